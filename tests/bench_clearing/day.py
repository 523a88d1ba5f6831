"""A synthetic day of taps as a Parquet file: so many taps by a fifth as many media, the same from one seed.

The tariff is flat by medium and category, with a transfer from the last paid ride and a cap of the day: what needs the rides
before, and no more, so that it can be said in SQL as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

TAPS_EACH = 5
DAY_S = 1_715_724_000
_SECONDS = 68_400
# Rows: medium; columns: rider category. Tiyn.
PRICES = np.array([[10_000, 5_000, 5_000, 0], [10_000, 7_000, 7_000, 0]], np.int64)
_CATEGORY_SHARES = (0.62, 0.15, 0.13, 0.10)
TRANSFER_S = 1800
TRANSFER_RIDES = 1
CAP_MINOR = 36_000


def write_day(path: Path, taps: int, seed: int) -> None:
    """Write the day, its taps in the order of their moments, as they come in."""
    chance = np.random.default_rng(seed)
    media = max(1, taps // TAPS_EACH)
    kind = chance.integers(0, 2, media, dtype=np.int64)
    category = chance.choice(4, media, p=_CATEGORY_SHARES)
    # Half of the riders come in trips of a few taps close together, as people change buses.
    token = chance.integers(0, media, taps, dtype=np.int64)
    trip_s = chance.integers(0, _SECONDS // 7200, taps) * 7200
    at_s = DAY_S + trip_s + chance.integers(0, 7200, taps)
    at_s = np.where(token % 2 == 0, DAY_S + chance.integers(0, _SECONDS, taps), at_s)
    order = np.argsort(at_s, kind="stable")
    token, at_s = token[order], at_s[order]
    pl.DataFrame(
        {
            "id": np.arange(taps, dtype=np.int64),
            "token": token,
            "at_s": at_s,
            "medium": kind[token],
            "category": category[token].astype(np.int64),
        }
    ).write_parquet(path)
