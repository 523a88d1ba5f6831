"""What a device is given of the sources: all that its program reaches, and no more."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from simulator.device_build import DeviceSources, image
from simulator.runtimes import DEVICE_HEAP, TOP, micropython

if TYPE_CHECKING:
    from pathlib import Path

_ROOM_FOR_WORK_BYTES = 80_000

_LIMITS = '''"""Limits."""
from protocol.compat import const

WANTED = const(7)
NEVER_WANTED = const(-8)
'''
_COMPAT = """
import sys
MICROPYTHON = sys.implementation.name == "micropython"
if not MICROPYTHON:
    def const(value): return value
else:
    from micropython import const
"""
_CODEC = '''"""A codec."""
from __future__ import annotations
from typing import TYPE_CHECKING
from protocol import limits
from protocol.limits import WANTED
if TYPE_CHECKING:
    from collections.abc import Iterator

class Message:
    """A message."""
    __slots__ = ("field",)
    def __init__(self, field: int = WANTED) -> None:
        self.field: int = field

class NeverMade:
    pass

def decode(data: bytes) -> Message:
    """Return the message."""
    return _read(data) if data else Message(limits.NEVER_WANTED)

def _read(data: bytes) -> Message:
    return Message(len(data))

def encode(message: Message) -> bytes:
    from protocol import only_for_encoding
    return only_for_encoding.write(message)
'''
_MAIN = """
from protocol import codec
from protocol.codec import NeverMade

def main(words):
    return codec.decode(words[0]).field

if __name__ == "__main__":
    main([])
"""


def _texts(top: Path) -> dict[str, str]:
    for name, text in {
        "protocol/__init__": "",
        "protocol/compat": _COMPAT,
        "protocol/limits": _LIMITS,
        "protocol/codec": _CODEC,
        "protocol/only_for_encoding": "def write(message): return b''",
        "firmware/__init__": "",
        "firmware/__main__": _MAIN,
        "firmware/device_root/typing": "TYPE_CHECKING = False",
    }.items():
        path = top / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return dict(DeviceSources(top, ("firmware.__main__",)).texts())


def test_what_is_reached_stays_and_what_is_not_goes(tmp_path: Path) -> None:
    texts = _texts(tmp_path)
    assert sorted(texts) == ["firmware", "firmware.__main__", "protocol", "protocol.codec"]
    codec = texts["protocol.codec"]
    assert "def decode(Z1)" in codec
    assert "def Z0(Z1)" in codec, "what nobody outside sees has a short name"
    assert "class Message" in codec
    for gone in ("encode", "NeverMade", "__slots__", "TYPE_CHECKING", "Iterator", '"""', "int"):
        assert gone not in codec
    assert "NeverMade" not in texts["firmware.__main__"]


def test_numbers_are_written_where_they_are_used(tmp_path: Path) -> None:
    codec = _texts(tmp_path)["protocol.codec"]
    assert "field=7" in codec
    assert "Message(-8)" in codec
    assert "limits" not in codec


def test_what_is_left_still_works(tmp_path: Path) -> None:
    for name, text in _texts(tmp_path / "whole").items():
        path = (tmp_path / "less").joinpath(*name.split("."))
        path = path / "__init__.py" if name in {"firmware", "protocol"} else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = "import firmware.__main__ as m; print(m.main([b'abc']), m.main([b'']))"
    ran = subprocess.run(
        [micropython("micropython"), "-c", program], cwd=tmp_path / "less", capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["3", "-8"]


def test_the_firmware_runs_in_place_and_leaves_room_for_its_work_on_a_devices_heap() -> None:
    rom = image(TOP, TOP / ".cache" / "device")
    program = (
        f"import sys; sys.path.append({str(TOP / 'simulator')!r}); import rom_boot; rom_boot.mount({str(rom)!r});"
        "import firmware.program, firmware.app, gc; gc.collect(); print(gc.mem_free())"
    )
    command = [str(micropython("micropython32")), "-X", f"heapsize={DEVICE_HEAP}", "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) > _ROOM_FOR_WORK_BYTES
