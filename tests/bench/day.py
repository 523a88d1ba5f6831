"""How much faster than real time a simulated day is, on each runtime."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.day import Settings
from tests.bench.child import RUNTIMES
from tests.bench.table import Table
from tests.system.town import play

if TYPE_CHECKING:
    from tests.bench.table import Tell

SHORT_DAY = Settings(seed=20, riders=60, hours=(7, 9), power_cuts=3)


def measure(tell: Tell) -> Table:
    """Play the same short day on each runtime."""
    rows: list[tuple[str | int | float | None, ...]] = []
    for runtime in RUNTIMES:
        tell(f"a short day on {runtime}")
        with tempfile.TemporaryDirectory(prefix="jolaqy-bench-") as folder:
            report = play(Path(folder), replace(SHORT_DAY, runtime=runtime)).report
        presented = report.result["taps_presented"]
        rows.append(
            (runtime, presented, report.seconds, presented / report.seconds, report.simulated_seconds / report.seconds)
        )
    columns = ("runtime", "taps", "seconds", "taps/s", "times real time")
    first, last = SHORT_DAY.hours
    note = (
        f"12 validators, {SHORT_DAY.riders} riders, {first}:00 to {last}:40; the seconds include issue of cards, enrolment, the "
        "depot and the close. Real time is 1. micropython32 has a device's heap."
    )
    return Table("A simulated day", columns, rows, note)
