"""A piece of Python in a runtime of the firmware, which reports numbers."""

from __future__ import annotations

import os
import subprocess
import sys

from simulator.runtimes import TOP, micropython

RUNTIMES = ("cpython", "micropython", "micropython32")
# `ticks` counts microseconds on either Python; the small dance with `time` is all that differs.
_PRELUDE = """
import time
ticks = getattr(time, "ticks_us", None) or (lambda: time.perf_counter_ns() // 1000)
"""


def run_in(runtime: str, source: str) -> list[int]:
    """Run `source` there and return the numbers on the last line that it prints."""
    command = [sys.executable] if runtime == "cpython" else [str(micropython(runtime))]
    environment = os.environ | {"MICROPYPATH": ".frozen:firmware/device_root:."}
    done = subprocess.run(
        [*command, "-c", _PRELUDE + source], cwd=TOP, env=environment, capture_output=True, text=True, check=True
    )
    return [int(word) for word in done.stdout.splitlines()[-1].split()]
