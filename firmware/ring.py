"""Where the journal's records lie: which sectors of the ring are in use, what is in them, which of them may be erased.

The sectors are opened round the ring, so from the oldest to the newest their numbers rise. A sector whose header cannot be read
lies among them and is read on from the one before. Memory: one buffer of four slots, and a few numbers for each sector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.sectors import Cursor, Sectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.boards.board import Flash
    from firmware.slots import SectorHeader

    # First and last sequence, payload (None: lost); or the sequence before a sector twice, None, and its header.
    Found = tuple[int, int, bytes | None, SectorHeader | None]


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


class JournalFull(JournalError):  # noqa: N818 - a state that the validator acts on
    """No room that is not still owed to the clearing service."""


class Ring:
    """The sectors that are in use.

    Attributes:
        next_sequence: of the record that will be appended.
        acked: every record up to it is known to be stored by the clearing service.
        torn: torn slots met at the last recovery.
    """

    def __init__(self, flash: Flash, key: bytes, epoch: int, mac_genesis: bytes) -> None:
        self._sectors = Sectors(flash, key, epoch)
        # By sector: first sequence (0: no live records, or no readable header), and whether it takes no header.
        self._first = [0] * self._sectors.count
        self._bad = bytearray(self._sectors.count)
        self._newest = -1
        self._oldest = 0
        # Where the next record goes in the newest one.
        self._slot = 0
        # What the first record is chained to: no record of another epoch can follow.
        self._mac_genesis = mac_genesis
        self.next_sequence = 1
        self.acked = 0
        self.torn = 0

    @property
    def oldest_sequence(self) -> int:
        """The first sequence that is still on flash."""
        return self._first[self._oldest] if self._newest >= 0 else self.next_sequence

    @property
    def free_slots(self) -> int:
        """How many slots can be written before something must be acknowledged."""
        sectors = [sector for sector in range(self._sectors.count) if not self._bad[sector] and self._is_free(sector)]
        free = len(sectors) * (self._sectors.slots - 1)
        return free + (max(self._sectors.slots - self._slot, 0) if self._newest >= 0 else 0)

    def _is_live(self, sector: int) -> bool:
        if self._newest < 0:
            return False
        count = self._sectors.count
        return (sector - self._oldest) % count <= (self._newest - self._oldest) % count

    def _is_free(self, sector: int) -> bool:
        """Return whether a sector may be erased: it holds nothing that is still owed, and is not the one being written."""
        if not self._is_live(sector):
            return True
        if sector == self._newest:
            return False
        while sector != self._newest:
            sector = (sector + 1) % self._sectors.count
            if self._first[sector]:
                return self._first[sector] - 1 <= self.acked
        return self.next_sequence - 1 <= self.acked

    def _following(self) -> int:
        """Return the sector that comes next."""
        sector = self._newest
        for _ in range(self._sectors.count):
            sector = (sector + 1) % self._sectors.count
            if not self._bad[sector]:
                break
        return sector

    def _sector_of(self, sequence: int) -> int:
        """Return the live sector with a readable header in which a sequence lies, or from which it can be reached."""
        found = sector = self._oldest
        while sector != self._newest:
            sector = (sector + 1) % self._sectors.count
            if 0 < self._first[sector] <= sequence:
                found = sector
        return found

    def _cursor(self, expected: int) -> Cursor:
        return Cursor(expected, self._mac_genesis if expected == 1 else None)

    def _walk(self, sector: int, cursor: Cursor) -> Iterator[Found]:
        """Yield what lies in the ring from a sector on: records, holes, and headers on the way."""
        while True:
            header = self._sectors.header(sector)
            if header is not None:
                if header.first_sequence > cursor.expected:
                    yield cursor.expected, header.first_sequence - 1, None, None
                    cursor.expected = header.first_sequence
                yield header.first_sequence - 1, header.first_sequence - 1, None, header
            for first, last, payload in self._sectors.records(sector, header, cursor):
                yield first, last, payload, None
            if sector == self._newest:
                return
            sector = (sector + 1) % self._sectors.count

    def _walk_after(self, sequence: int) -> Iterator[Found]:
        """Yield what follows a sequence, up to the end of the journal."""
        sector = self._sector_of(sequence + 1)
        cursor = self._cursor(min(sequence + 1, self._first[sector]))
        for first, last, payload, header in self._walk(sector, cursor):
            if header is not None:
                if last >= sequence:
                    yield first, last, None, header
            elif last > sequence:
                yield max(first, sequence + 1), last, payload, None
        expected = max(cursor.expected, sequence + 1)
        if expected < self.next_sequence:
            yield expected, self.next_sequence - 1, None, None
