"""Pricing a large day: our fold, compiled and plain, beside DuckDB's recursive query; all fares equal, or it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.runtimes import TOP
from tests.bench.machine import DISK
from tests.bench.table import Cell, Table
from tests.bench_clearing.day import TAPS_EACH, write_day
from tests.bench_clearing.engines import ENGINES

if TYPE_CHECKING:
    from tests.bench.table import Tell

SEED = 5
_NAMES = {
    "ours": "our fold, compiled (Polars, numba)",
    "duckdb": "DuckDB, recursive query",
    "plain": "our fold, plain Python",
}


@dataclass(frozen=True)
class Priced:
    """What one engine made of the day."""

    seconds: float
    cpu_seconds: float
    compile_seconds: float
    peak_mb: float
    rides: int
    charged_minor: int
    sha256: str


def price_day(taps: int, tell: Tell, seed: int = SEED) -> dict[str, Priced]:
    """Price one day by every engine, each in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="jolaqy-bench-", dir=DISK) as folder:
        path = Path(folder) / "day.parquet"
        tell(f"a day of {taps} taps by {taps // TAPS_EACH} media")
        write_day(path, taps, seed)
        return {name: _run(name, path, tell) for name in ENGINES}


def _run(name: str, path: Path, tell: Tell) -> Priced:
    tell(_NAMES[name])
    command = [sys.executable, "-m", "tests.bench_clearing.engines", name, str(path)]
    environment = os.environ | {"POLARS_MAX_THREADS": "1"}
    done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, check=True)
    return Priced(**json.loads(done.stdout))


def measure(taps: int, tell: Tell) -> Table:
    """Price a day, and hold the engines against each other.

    Raises:
        ValueError: they do not say the same.
    """
    priced = price_day(taps, tell)
    if len({each.sha256 for each in priced.values()}) > 1:
        raise ValueError(f"the engines price differently: {priced}")
    fastest = min(each.cpu_seconds for name, each in priced.items() if name != "ours")
    rows: list[tuple[Cell, ...]] = [
        (
            _NAMES[name],
            each.seconds,
            each.cpu_seconds,
            each.rides / each.cpu_seconds,
            each.peak_mb,
            each.cpu_seconds / fastest,
            each.charged_minor,
        )
        for name, each in priced.items()
    ]
    note = (
        f"{taps} taps by {taps // TAPS_EACH} media, from Parquet to a fare for each; one core each, in processes of their own. "
        "Flat by medium and category, a transfer within 30 minutes of the last paid ride, a cap of the day; every fare is the "
        "same. Ratio: to the fastest of the others, by processor time, which a busy machine does not stretch. Compiling is not "
        f"in it: {priced['ours'].compile_seconds:.1f} s."
    )
    columns = ("engine", "seconds", "processor s", "rides/s", "peak MB", "ratio", "charged, tiyn")
    return Table("Pricing a day", columns, rows, note)
