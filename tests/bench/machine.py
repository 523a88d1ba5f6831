"""The machine that figures belong to."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

# Not /tmp: it may be memory, where a sync costs nothing.
DISK = Path("/var/tmp")  # noqa: S108 - only folders of our own are made in it
_SYNCS = 50


def describe() -> dict[str, str | int | float]:
    """Return what the machine is, and how busy it was when the measures began."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sync_ms": round(_sync_ms(), 2),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _sync_ms() -> float:
    """Return how long it takes until 4 KB are on the disk (median): the floor of anything durable."""
    with tempfile.TemporaryFile(dir=DISK) as file:
        times = []
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    return median(times) * 1000
