"""NOR flash in memory that runs on both Pythons: programming clears bits, erasing sets a sector's, power fails on demand."""

from __future__ import annotations

_SECTORS = 4
_SIZE = 5
_ERASE = 6


class PowerCut(Exception):  # noqa: N818 - it is no error
    """The power failed in the middle of an operation."""


class RamFlash:
    """An extended block device.

    Attributes:
        sectors: what the cells hold.
        cut_after_bytes: power fails after so many more bytes (an erase counts as one); None for never.
        stuck: cells that keep their value whatever is programmed, by address.
        reprogrammed: bytes that were programmed without having been erased.
        erases, programmed_bytes: so far.
    """

    def __init__(self, sectors: int, sector_bytes: int = 1024) -> None:
        self.sector_bytes = sector_bytes
        self.sectors = [bytearray(b"\xff" * sector_bytes) for _ in range(sectors)]
        self.cut_after_bytes: int | None = None
        self.stuck: dict[int, int] = {}
        self.reprogrammed = 0
        self.erases = 0
        self.programmed_bytes = 0

    def image(self) -> list[bytes]:
        """Return what all cells hold."""
        return [bytes(sector) for sector in self.sectors]

    def load(self, image: list[bytes]) -> None:
        """Let the cells hold what they held then."""
        self.sectors = [bytearray(sector) for sector in image]

    def byte(self, place: int) -> int:
        return self.sectors[place // self.sector_bytes][place % self.sector_bytes]

    def flip(self, place: int, bits: int) -> None:
        """Change bits of a byte, as age does."""
        self.sectors[place // self.sector_bytes][place % self.sector_bytes] ^= bits

    def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None:
        buffer[:] = self.sectors[block][offset : offset + len(buffer)]

    def writeblocks(self, block: int, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None:
        assert offset + len(buffer) <= self.sector_bytes
        sector = self.sectors[block]
        kept = len(buffer)
        if self.cut_after_bytes is not None:
            kept = min(kept, self.cut_after_bytes)
        for index in range(kept):
            old = sector[offset + index]
            self.reprogrammed += old != 0xFF
            place = block * self.sector_bytes + offset + index
            sector[offset + index] = self.stuck.get(place, old & buffer[index])
        self.programmed_bytes += kept
        self._spend(kept, len(buffer))

    def ioctl(self, operation: int, argument: int) -> int:
        if operation == _SECTORS:
            return len(self.sectors)
        if operation == _SIZE:
            return self.sector_bytes
        if operation == _ERASE:
            size = self.sector_bytes
            if self.cut_after_bytes == 0:
                size //= 2  # the first half has let go, the rest has not
            self.sectors[argument][:size] = b"\xff" * size
            self.erases += 1
            self._spend(1 if size == self.sector_bytes else 0, 1)
        return 0

    def _spend(self, done: int, wanted: int) -> None:
        if self.cut_after_bytes is not None:
            self.cut_after_bytes -= done
            if done < wanted:
                self.cut_after_bytes = None
                raise PowerCut
