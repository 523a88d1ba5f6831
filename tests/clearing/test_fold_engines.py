"""A day of many media by engines that have nothing in common: the fold plain and compiled, and a recursive query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.bench_clearing.day import CAP_MINOR, write_day
from tests.bench_clearing.engines import ENGINES

if TYPE_CHECKING:
    from pathlib import Path

_TAPS = 30_000


@pytest.mark.parametrize("seed", [1, 2])
def test_every_engine_finds_the_same_fare_for_every_ride(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "day.parquet"
    write_day(path, _TAPS, seed)
    ours, others = ENGINES["ours"](str(path)), [ENGINES[name](str(path)) for name in ("plain", "duckdb")]
    assert len(ours) == _TAPS
    for other in others:
        assert np.array_equal(ours, other)
    assert len(np.unique(ours)) > 4, "there are transfers, and fares that a cap has cut"
    assert ours.max() <= CAP_MINOR
