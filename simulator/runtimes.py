"""The three things that can run the firmware, and how each is started: two MicroPythons and CPython.

The 32-bit MicroPython has a device's heap and runs a device's image in place, as a device does; the others run the sources.
"""

from __future__ import annotations

import sys
from pathlib import Path

from simulator.device_build import image

TOP = Path(__file__).resolve().parents[1]
RUNTIMES = ("micropython", "micropython32", "cpython")
DEVICE_HEAP = "180k"
# Small: the firmware collects often, as a device must, and that takes as long as a heap is large.
_DESK_HEAP = "1m"
_CACHE = TOP / ".cache"
_ROM_BOOT = Path(__file__).with_name("rom_boot.py")


class RuntimeMissing(Exception):  # noqa: N818 - a state, told to who set the machine up
    """A runtime is not set up."""


def micropython(runtime: str) -> Path:
    """Return the program of a MicroPython.

    Raises:
        RuntimeMissing: it is not set up.
    """
    program = _CACHE / "micropython" / "bin" / runtime
    if not program.exists():
        raise RuntimeMissing(f"{runtime} is not set up: run .ci/get-micropython, or choose --runtime cpython")
    return program


def start_command(runtime: str) -> tuple[list[str], dict[str, str]]:
    """Return how a runtime starts the firmware, and the environment it needs.

    Raises:
        RuntimeMissing: it is not set up.
    """
    if runtime == "cpython":
        return [sys.executable, "-m", "firmware"], {"PYTHONPATH": str(TOP), "PYTHONHASHSEED": "0"}
    program = micropython(runtime)
    if runtime == "micropython32":
        return device_command(program, image(TOP, _CACHE / "device")), {}
    path = f".frozen:{TOP / 'firmware' / 'device_root'}:{TOP}"
    return [str(program), "-X", f"heapsize={_DESK_HEAP}", "-m", "firmware"], {"MICROPYPATH": path}


def device_command(program: Path, rom: Path) -> list[str]:
    """Return how a MicroPython with a device's heap runs a device's image."""
    return [str(program), "-X", f"heapsize={DEVICE_HEAP}", str(_ROM_BOOT), str(rom)]
