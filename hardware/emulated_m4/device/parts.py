"""Parts of the board that plays along: ports, flash in memory, files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uctypes
from micropython import const

from hardware.emulated_m4.device.meter import ERASE, PROGRAM, READ, Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    Bytes = bytes | bytearray | memoryview

_SCRIPT = "/rom/script/"
# Memory beyond the program and outside of the heap.
_FLASH_ADDRESS = const(0x21800000)
_SECTOR_BYTES = const(4096)
_SECTORS = const(4)
_SIZE = const(5)
_ERASE = const(6)


def content(name: str) -> memoryview:
    """Return a file of the script, where it lies."""
    return memory_of(_SCRIPT + name)


def memory_of(path: str) -> memoryview:
    """Return a file of the image, where it lies."""
    return memoryview(open(path, "rb"))  # type: ignore[arg-type]


class Port:
    """A stream of bytes, or one connection."""

    def __init__(self, number: int, heard: Callable[[int, bytes], None]) -> None:
        self._number = number
        self._heard = heard
        self._data = b""
        self.closed = False

    def give(self, data: bytes) -> None:
        self._data += data

    def has_data(self) -> bool:
        return bool(self._data) or self.closed

    def read(self) -> bytes:
        data, self._data = self._data, b""
        return data

    def write(self, data: bytes) -> None:
        self._heard(self._number, data)

    def set_rate(self, bits_per_s: int) -> None: ...

    def close(self) -> None:
        self.closed = True


class Flash:
    """NOR flash in memory; what it does takes no instructions of the firmware's, and is noted."""

    def __init__(self, meter: Meter, sectors: int) -> None:
        self._meter = meter
        self._sectors = sectors
        self._cells = uctypes.bytearray_at(_FLASH_ADDRESS, sectors * _SECTOR_BYTES)
        for sector in range(sectors):
            self._erase(sector)

    def _erase(self, sector: int) -> None:
        place = sector * _SECTOR_BYTES
        self._cells[place : place + _SECTOR_BYTES] = b"\xff" * _SECTOR_BYTES

    def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None:
        self._meter.enter()
        self._meter.note(READ, len(buffer))
        place = block * _SECTOR_BYTES + offset
        buffer[:] = memoryview(self._cells)[place : place + len(buffer)]
        self._meter.leave()

    def writeblocks(self, block: int, buffer: Bytes, offset: int = 0) -> None:
        self._meter.enter()
        self._meter.note(PROGRAM, len(buffer))
        place = block * _SECTOR_BYTES + offset
        for index in range(len(buffer)):
            self._cells[place + index] &= buffer[index]
        self._meter.leave()

    def ioctl(self, operation: int, argument: int) -> int:
        if operation == _SECTORS:
            return self._sectors
        if operation == _SIZE:
            return int(_SECTOR_BYTES)
        if operation == _ERASE:
            self._meter.enter()
            self._meter.note(ERASE)
            self._erase(argument)
            self._meter.leave()
        return 0


class Store:
    """The files of the script, and what has been written since."""

    def __init__(self) -> None:
        self._files: dict[str, Bytes | None] = {}

    def _content(self, name: str) -> Bytes | None:
        if name in self._files:
            return self._files[name]
        try:
            return content("store/" + name)
        except OSError:
            return None

    def read(self, name: str) -> bytes | None:
        data = self._content(name)
        return None if data is None else bytes(data)

    def write(self, name: str, data: bytes) -> None:
        self._files[name] = data

    def size(self, name: str) -> int | None:
        data = self._content(name)
        return None if data is None else len(data)

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        return bytes((self._content(name) or b"")[offset : offset + count])

    def append(self, name: str, data: Bytes) -> None:
        self._files[name] = bytes(self._content(name) or b"") + bytes(data)

    def rename(self, name: str, new_name: str) -> None:
        self._files[new_name] = self._content(name)
        self.remove(name)

    def remove(self, name: str) -> None:
        self._files[name] = None
