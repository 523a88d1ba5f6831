"""A flash that is watched, and every state in which a power cut could leave it.

Bytes are programmed one after another, or, as of a chip that programs a page at once, with some of their bits in no order; of a
sector that is being erased some cells have let go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.flash import NorFlash

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_HALF_ERASED = 4
_HALF_PROGRAMMED = 2


class WatchedFlash(NorFlash):
    """It notes what is done to it, so that each state on the way can be shown.

    Attributes:
        done: (place, data) of each program; (place, None) of each erase.
    """

    def __init__(self, sectors: int, sector_bytes: int) -> None:
        super().__init__(sectors, sector_bytes)
        self.done: list[tuple[int, bytes | None]] = []

    def writeblocks(self, block: int, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None:
        self.done.append((block * self.sector_bytes + offset, bytes(buffer)))
        super().writeblocks(block, buffer, offset)

    def _erase(self, place: int) -> None:
        self.done.append((place, None))
        super()._erase(place)


def states(flash: NorFlash, done: list[tuple[int, bytes | None]], chance: random.Random) -> Iterator[bool]:
    """Do the same to a flash again, and stop at every state in which a power cut could leave it.

    What is yielded says whether bits were programmed in no order.
    """
    yield False
    for place, data in done:
        if data is None:
            yield from _erase_by_halves(flash, place, chance)
        else:
            yield from _program_by_bytes(flash, place, data, chance)


def states_of(data: bytes | None) -> int:
    """Return how many states there are on the way of one operation."""
    return _HALF_ERASED + 1 if data is None else _HALF_PROGRAMMED + len(data)


def _program_by_bytes(flash: NorFlash, place: int, data: bytes, chance: random.Random) -> Iterator[bool]:
    """Show it with some of its bits in no order, as of a chip that programs a page at once, and then byte after byte."""
    page = slice(place, place + len(data))
    before = bytes(flash.data[page])
    for _ in range(_HALF_PROGRAMMED):
        still_set = chance.randbytes(len(data))
        flash.data[page] = bytes(old & (new | more) for old, new, more in zip(before, data, still_set, strict=True))
        yield True
    flash.data[page] = before
    for index, byte in enumerate(data):
        flash.data[place + index] &= byte
        yield False


def _erase_by_halves(flash: NorFlash, place: int, chance: random.Random) -> Iterator[bool]:
    sector = slice(place, place + flash.sector_bytes)
    before = bytes(flash.data[sector])
    for _ in range(_HALF_ERASED):
        bits = chance.randbytes(flash.sector_bytes)
        where = chance.randbytes(flash.sector_bytes)
        flash.data[sector] = bytes(
            byte | (more if here & 1 else 0) for byte, more, here in zip(before, bits, where, strict=True)
        )
        yield False
    flash.data[sector] = b"\xff" * flash.sector_bytes
    yield False
