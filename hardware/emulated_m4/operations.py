"""Counts single operations of the firmware on the emulated Cortex-M4, by the program `device/operations.py`."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from hardware.emulated_m4 import emulator
from hardware.emulated_m4.image import compiled, files_in, make_image
from protocol.limits import LIST_ENTRY_BYTES
from simulator import device_build
from simulator.runtimes import DEVICE_HEAP

_HERE = Path(__file__).parent
_DEVICE_ROOT = emulator.TOP / "firmware" / "device_root"
_MEDIA = 1_000_000
_CHANGES = 1_000
_HEAP_BYTES = int(DEVICE_HEAP.removesuffix("k")) * 1024


def device_image(program: str, files: dict[str, bytes] | None = None) -> bytes:
    """Return a device: the firmware as devices get it, a device's heap, one of the programs in `device`, and more files."""
    rom = files_in(device_build.build(emulator.TOP, emulator.TOP / ".cache" / "device"))
    rom |= {f"{name}.py": (_DEVICE_ROOT / f"{name}.py").read_bytes() for name in ("__future__", "typing")}
    for path in sorted((_HERE / "device").glob("*.py")):
        module = f"hardware/emulated_m4/device/{path.stem}"
        rom[f"{module}.mpy"] = compiled(module, path.read_text())
    rom["main.mpy"] = compiled("main", f"import hardware.emulated_m4.device.{program}")
    return make_image(rom | (files or {}), _HEAP_BYTES)


@cache
def _lists() -> dict[str, bytes]:
    """Return a long list of media, and what has come and gone since: their tokens are as good as random."""
    chance = random.Random(1)
    return {"media": _entries(chance, _MEDIA), "changes": _entries(chance, _CHANGES) + _entries(chance, _CHANGES)}


def _entries(chance: random.Random, count: int) -> bytes:
    drawn = chance.randbytes(count * LIST_ENTRY_BYTES)
    return b"".join(sorted(drawn[at : at + LIST_ENTRY_BYTES] for at in range(0, len(drawn), LIST_ENTRY_BYTES)))


def count_operations() -> dict[str, int]:
    """Return instructions by operation.

    Raises:
        EmulatorMissing: it is not set up.
    """
    counts = {}
    for line in emulator.run_once(device_image("operations", _lists())).splitlines():
        instructions, name = line.split(" ", 1)
        counts[name] = int(instructions)
    return counts
