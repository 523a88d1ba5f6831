"""How much of a device's heap the validator needs: the 32-bit MicroPython with compiled modules through a short day."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.runtimes import DEVICE_HEAP
from tests.bench.day import SHORT_DAY
from tests.bench.table import Table
from tests.system.town import play

if TYPE_CHECKING:
    from tests.bench.table import Tell


def measure(tell: Tell) -> Table:
    """Play a day and report the most that was alive; a validator without memory would end it."""
    tell(f"a short day within {DEVICE_HEAP}")
    with tempfile.TemporaryDirectory(prefix="jolaqy-bench-") as folder:
        settings = replace(SHORT_DAY, runtime="micropython32", report_heap=True)
        report = play(Path(folder), settings).report
    limit = int(DEVICE_HEAP.removesuffix("k")) * 1024
    rows: list[tuple[str | int | float | None, ...]] = [
        ("limit: the heap", limit, 100.0),
        ("most alive while idle", report.heap_peak, 100 * report.heap_peak / limit),
    ]
    note = (
        f"{report.result['taps_presented']} taps on 12 validators, measured after a collection whenever one has nothing to do; "
        "what lives only within a turn (a batch being signed) comes on top."
    )
    return Table("Heap of the validator", ("micropython32", "bytes", "per cent"), rows, note)
