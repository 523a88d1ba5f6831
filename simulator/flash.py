"""NOR flash in memory, with everything that can go wrong with one, on demand.

Programming clears bits and erasing sets a sector's. A bit that is asked to become 1 again stays 0, and `reprogrammed` counts it.
"""

from __future__ import annotations

import random

_SECTORS = 4
_SIZE = 5
_ERASE = 6


class PowerCut(Exception):  # noqa: N818 - it is no error
    """The power failed in the middle of an operation."""


class NorFlash:
    """An extended block device in memory.

    Attributes:
        data: what the cells hold.
        cut_after_bytes: power fails after so many more bytes; None for never.
        stuck: cells that keep their value whatever is programmed, by address.
        erases, programmed_bytes: wear.
        reprogrammed: bytes in which a program asked for a bit that was already cleared.
    """

    def __init__(self, sectors: int, sector_bytes: int = 4096, seed: int = 0) -> None:
        self.sector_bytes = sector_bytes
        self.data = bytearray(b"\xff" * sectors * sector_bytes)
        self.cut_after_bytes: int | None = None
        self.stuck: dict[int, int] = {}
        self.erases = 0
        self.programmed_bytes = 0
        self.reprogrammed = 0
        self._chance = random.Random(seed)

    def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None:
        place = block * self.sector_bytes + offset
        buffer[:] = self.data[place : place + len(buffer)]

    def writeblocks(self, block: int, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None:
        place = block * self.sector_bytes + offset
        assert offset + len(buffer) <= self.sector_bytes
        if self.cut_after_bytes is None and not self.stuck:
            self._program(place, bytes(buffer))
            return
        for index, byte in enumerate(bytes(buffer)):
            self._spend_power()
            old = self.data[place + index]
            self.reprogrammed += old != 0xFF
            self.data[place + index] = self.stuck.get(place + index, old & byte)
            self.programmed_bytes += 1

    def _program(self, place: int, data: bytes) -> None:
        """Program at one go what nothing happens to."""
        old = self.data[place : place + len(data)]
        self.reprogrammed += len(old) - old.count(0xFF)
        kept = int.from_bytes(old, "big") & int.from_bytes(data, "big")
        self.data[place : place + len(data)] = kept.to_bytes(len(data), "big")
        self.programmed_bytes += len(data)

    def ioctl(self, operation: int, argument: int) -> int:
        if operation == _SECTORS:
            return len(self.data) // self.sector_bytes
        if operation == _SIZE:
            return self.sector_bytes
        if operation == _ERASE:
            self._erase(argument * self.sector_bytes)
        return 0

    def _erase(self, place: int) -> None:
        try:
            self._spend_power()
        except PowerCut:
            # Half the cells have let go, in no order.
            for index in range(place, place + self.sector_bytes):
                if self._chance.random() < 0.5:
                    self.data[index] |= self._chance.randrange(256)
            raise
        self.data[place : place + self.sector_bytes] = b"\xff" * self.sector_bytes
        self.erases += 1

    def _spend_power(self) -> None:
        if self.cut_after_bytes is not None:
            if self.cut_after_bytes == 0:
                self.cut_after_bytes = None
                raise PowerCut
            self.cut_after_bytes -= 1
