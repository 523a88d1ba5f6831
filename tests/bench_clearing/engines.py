"""One pricing of a day by one engine, in a process of its own: `python -m tests.bench_clearing.engines ENGINE FILE`.

It prints one JSON object: seconds and those of the processor, what compiling took, peak memory, and a digest over every fare in
the order of (medium, moment, tap), so that engines that say the same can be told from those that do not.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from clearing.pricing import fold as folding
from clearing.pricing.compiled import fold_columns
from clearing.pricing.fold import Fares, Rides, Rules
from clearing.pricing.walk import fold_plainly
from tests.bench_clearing.day import CAP_MINOR, DAY_S, PRICES, TRANSFER_RIDES, TRANSFER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Column = NDArray[np.int64]

_DAY_NUMBER = 739_021
_MONTH = 2024 * 12 + 5
_RULES = Rules([0], [TRANSFER_S], [TRANSFER_RIDES], [0], [0], [0], [CAP_MINOR])
_RIDES_AT_ONCE = 200_000
_SQL = f"""
WITH RECURSIVE ride AS (
    SELECT token, at_s, price.fare, row_number() OVER (PARTITION BY token ORDER BY at_s, id) AS n
    FROM read_parquet(?) AS tap JOIN price ON price.medium = tap.medium AND price.category = tap.category
), walk AS (
    SELECT token, n, least(fare, {CAP_MINOR}) AS charged, least(fare, {CAP_MINOR}) AS spent,
        CASE WHEN fare > 0 THEN at_s END AS paid_s, 0 AS transfers
    FROM ride WHERE n = 1
    UNION ALL
    SELECT token, n, charged, spent + charged,
        CASE WHEN goes_along OR charged = 0 THEN paid_s ELSE at_s END,
        CASE WHEN goes_along THEN transfers + 1 WHEN charged = 0 THEN transfers ELSE 0 END
    FROM (
        SELECT ride.token, ride.n, ride.at_s, walk.spent, walk.paid_s, walk.transfers,
            coalesce(ride.fare > 0 AND ride.at_s - walk.paid_s <= {TRANSFER_S} AND walk.transfers < {TRANSFER_RIDES}, false)
                AS goes_along,
            CASE WHEN goes_along THEN 0 ELSE least(ride.fare, {CAP_MINOR} - walk.spent) END AS charged
        FROM walk JOIN ride ON ride.token = walk.token AND ride.n = walk.n + 1
    )
)
SELECT charged FROM walk ORDER BY token, n
"""  # noqa: S608 - of numbers of this module


def columns(token: Column, at_s: Column, base_minor: Column) -> Rides:
    """A day's rides, in order, as the fold takes them; what is the same for all takes no memory."""
    count = len(token)
    # The compiler tells columns that may be written from those that may not: one kind for all.
    token, at_s, base_minor = (_read_only(column) for column in (token, at_s, base_minor))

    def same(value: int) -> Any:  # noqa: ANN401 - a column that is one number
        return np.broadcast_to(np.int64(value), count)

    flags = folding.ON_SPOT | folding.PRICED | folding.MAY_TRANSFER
    nothing = same(0)
    rides: Any = Rides(
        medium=token,  # type: ignore[arg-type]
        from_s=at_s,  # type: ignore[arg-type]
        to_s=at_s,  # type: ignore[arg-type]
        day=same(_DAY_NUMBER),
        month=same(_MONTH),
        rules=nothing,
        flags=same(flags),
        base_minor=base_minor,  # type: ignore[arg-type]
        scheduled_minor=base_minor,  # type: ignore[arg-type]
        others=nothing,
        others_minor=nothing,
        taken_minor=base_minor,  # type: ignore[arg-type]
        less=same(folding.CHARGED_LESS),
        quota=nothing,
        carrier=nothing,
        line=nothing,
        vehicle=nothing,
        caps=same(1),
        charged_minor=nothing,
        rule=nothing,
    )
    return rides  # type: ignore[no-any-return]


def _read_only(column: Column) -> Column:
    view = column.view()
    view.setflags(write=False)
    return view


def price_sorted(token: Column, at_s: Column, base_minor: Column) -> Fares:
    """The compiled fold over a day in order."""
    rules: Any = Rules(*(np.asarray(column, np.int64) for column in _RULES))  # type: ignore[arg-type]
    return fold_columns(columns(token, at_s, base_minor), rules)


def _read_sorted(path: str) -> tuple[Column, Column, Column]:
    import polars as pl  # noqa: PLC0415 - each engine loads its own

    frame = pl.read_parquet(path, columns=["id", "token", "at_s", "medium", "category"])
    frame = frame.sort("token", "at_s", "id")
    base_minor = PRICES[frame["medium"].to_numpy(), frame["category"].to_numpy()]
    return frame["token"].to_numpy(), frame["at_s"].to_numpy(), base_minor


def ours(path: str) -> Column:
    """Polars sorts, the compiled fold walks."""
    return np.asarray(price_sorted(*_read_sorted(path)).charged_minor, np.int64)


def plain(path: str) -> Column:
    """The same text without a compiler, in parts of whole media."""
    token, at_s, base_minor = _read_sorted(path)
    found = []
    start = 0
    while start < len(token):
        end = int(np.searchsorted(token, token[min(start + _RIDES_AT_ONCE, len(token) - 1)], "right"))
        part = columns(token[start:end], at_s[start:end], base_minor[start:end])
        lists = Rides(*(column.tolist() for column in part))  # type: ignore[attr-defined]
        found.append(np.array(fold_plainly(lists, _RULES).charged_minor, np.int64))
        start = end
    return np.concatenate(found)


def duckdb(path: str) -> Column:
    """A recursive query over the rank of each ride: the independent peer."""
    import duckdb as engine  # noqa: PLC0415 - each engine loads its own

    connection = engine.connect()
    connection.execute("SET threads = 1")
    connection.execute("CREATE TABLE price (medium BIGINT, category BIGINT, fare BIGINT)")
    rows = [(medium, category, int(PRICES[medium, category])) for medium in range(2) for category in range(4)]
    connection.executemany("INSERT INTO price VALUES (?, ?, ?)", rows)
    return np.asarray(connection.execute(_SQL, [path]).fetchnumpy()["charged"], np.int64)


ENGINES: dict[str, Callable[[str], Column]] = {"ours": ours, "duckdb": duckdb, "plain": plain}


def main(arguments: list[str]) -> int:
    name, path = arguments
    begun = time.perf_counter()
    if name == "ours":
        few = np.array([DAY_S] * 3, np.int64)
        price_sorted(few, few, few)
    compiled_s = time.perf_counter() - begun
    begun, begun_cpu = time.perf_counter(), time.process_time()
    fares = ENGINES[name](path)
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - begun_cpu
    told = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "compile_seconds": compiled_s if name == "ours" else 0.0,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rides": len(fares),
        "charged_minor": int(fares.sum()),
        "sha256": hashlib.sha256(np.ascontiguousarray(fares).tobytes()).hexdigest(),
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
