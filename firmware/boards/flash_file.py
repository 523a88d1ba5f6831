"""NOR flash as a file: programming clears bits, erasing sets a sector's; power can fail at any byte.

Used by the desktop board. What a real chip would leave behind, the file holds: a torn program has its first bytes, a torn erase
leaves a sector half erased.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const

if TYPE_CHECKING:
    from collections.abc import Callable

_SECTOR_BYTES = const(4096)
_SECTORS = const(4)
_SIZE = const(5)
_ERASE = const(6)
_MODE_NEW = "wb"


class FlashFile:
    """An extended block device on a file.

    Attributes:
        cut_after_bytes: power fails when that many more bytes are programmed or erased; None for never.
    """

    def __init__(self, path: str, sectors: int, power_fails: Callable[[], None]) -> None:
        self._power_fails = power_fails
        self.cut_after_bytes: int | None = None
        try:
            self._file = open(path, "r+b")  # noqa: SIM115 - open as long as the board is
        except OSError:
            with open(path, _MODE_NEW) as blank:
                for _ in range(sectors):
                    blank.write(b"\xff" * _SECTOR_BYTES)
            self._file = open(path, "r+b")  # noqa: SIM115
        self._sectors = self._file.seek(0, 2) // _SECTOR_BYTES

    def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None:
        self._file.seek(block * _SECTOR_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block: int, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None:
        place = block * _SECTOR_BYTES + offset
        self._file.seek(place)
        old = self._file.read(len(buffer))
        self._write(place, bytes([a & b for a, b in zip(old, buffer)]))

    def ioctl(self, operation: int, argument: int) -> int:
        if operation == _SECTORS:
            return self._sectors
        if operation == _SIZE:
            return _SECTOR_BYTES
        if operation == _ERASE:
            self._write(argument * _SECTOR_BYTES, b"\xff" * _SECTOR_BYTES)
        return 0

    def _write(self, place: int, data: bytes) -> None:
        torn = self.cut_after_bytes is not None and self.cut_after_bytes < len(data)
        if self.cut_after_bytes is not None:
            data = data[: self.cut_after_bytes]
            self.cut_after_bytes -= len(data)
        self._file.seek(place)
        self._file.write(data)
        self._file.flush()
        if torn:
            self._power_fails()
