"""The validator's own record: a ring of slots on raw NOR flash, not a file (format: `firmware.slots`).

Promises. A record is durable and read back before `append` returns. Nothing is programmed twice, and nothing unacknowledged is
ever overwritten: a full ring raises JournalFull. Sequences follow on from 1 and are never used again.

What a power cut leaves:

- A torn record at the end is skipped; its sequence was promised to nobody and is used by the next record.
- A torn header, or a half-erased sector, is erased when its turn comes. Without a header there are no records in it, because
  the header is written first.
- The acknowledged mark is only a hint, stored when a sector is opened. After a cut it may be old: records are then sent again,
  which the clearing service expects. The sequence before the oldest live sector is a floor under it, since a sector is erased
  only when all of it was acknowledged.

What rots. A record that cannot be read amid good ones is a hole. A LOST_RANGE record that covers it is derived from its
neighbours, the same bytes at each reading, so that sync never waits for what nobody can send. A record at the very end that was
programmed whole and cannot be read is a hole, too: it may have been promised. Records behind a header that cannot be read are
still found by their MACs, which go on from the sector before. A flash written with another key is refused, never silently reused.

The wire chain. It goes on from an anchor, the last place where the clearing service was heard to agree (`join`), and after a
start from the header of the sector in which the acknowledged mark lies. Where something is lost, nobody here knows which chain
the service has: the one over the record (it was stored before it rotted) or the one over the LOST_RANGE. Then `is_unsure` is
set, and the service must be asked before anything is sent. What it answers is ours if a header or what can be read leads to
it, or leads on from it; where only lost records lie between, its signature is believed. A sector opened after that
carries HEADER_REBASED: its chain is right even if what lies before does not lead to it.

What is acknowledged stays for a while: a service that was restored from a backup gets it again. A sector is erased when its
room is needed; before, in idle time, when half of the one being written is full, or when nobody wants its records any more.

Memory: one buffer of four slots, and a few numbers for each sector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.sectors import Cursor, Sectors
from firmware.slots import HEADER_REBASED, MAC_BYTES, SectorHeader, encode_header, encode_record, mac_of, slots_for
from protocol.batch import genesis_head, next_head
from protocol.compat import const
from protocol.tap import CLOCK_UNKNOWN, KIND_LOST_RANGE, Tap, encode_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmware.boards.board import Flash

    # First and last sequence, payload (None: lost); or the sequence before a sector twice, None, and its header.
    Found = tuple[int, int, bytes | None, SectorHeader | None]

_PROGRAM_TRIES = const(3)


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


class JournalFull(JournalError):  # noqa: N818 - a state that the validator acts on
    """No room that is not still owed to the clearing service."""


class Journal:
    """A ring of sectors.

    Attributes:
        next_sequence: of the record that will be appended.
        acked: every record up to it is known to be stored by the clearing service.
        head: wire chain after the last record.
        is_unsure: something was lost, and the service has not yet said which chain it has.
        torn: torn slots met at the last recovery.
    """

    def __init__(self, flash: Flash, key: bytes, device: bytes, epoch: int) -> None:
        self._sectors = Sectors(flash, key, epoch)
        self._key = key
        self._epoch = epoch
        # By sector: first sequence (0: no live records, or no readable header), and whether it takes no header.
        self._first = [0] * self._sectors.count
        self._bad = bytearray(self._sectors.count)
        self._newest = -1
        self._oldest = 0
        self._number = 0
        self._slot = 0
        self._rebase = False
        self._lost = 0
        # First sequence of the sector whose last record was looked at, and that record.
        self._looked_at: tuple[int, bytes | None] = (0, None)
        self._anchor = 0
        self._anchor_head = genesis_head(device, epoch)
        # What the first record is chained to: no record of another epoch can follow.
        self._mac_genesis = self._anchor_head[:MAC_BYTES]
        self._mac = self._mac_genesis
        self.head = self._anchor_head
        self.next_sequence = 1
        self.acked = 0
        self.is_unsure = False
        self.torn = 0

    @property
    def erases(self) -> int:
        """Sectors erased since the start of the program."""
        return self._sectors.erases

    @property
    def programmed_bytes(self) -> int:
        """Bytes programmed since the start of the program."""
        return self._sectors.programmed_bytes

    # Recovery.

    def recover(self, on_record: Callable[[int, bytes], None] | None = None) -> None:
        """Find out what is on the flash.

        Args:
            on_record: told each record of the unacknowledged part and of the last two sectors, in order.

        Raises:
            JournalError: the flash holds the journal of another device.
        """
        numbers = self._read_headers()
        if not numbers[0] and 1 not in numbers and self._begins_at_first_sector():
            numbers[0] = self._first[0] = 1
        self._number = max(numbers)
        if not self._number:
            return
        self._newest = self._oldest = numbers.index(self._number)
        # Sectors are opened round the ring, so going back their numbers fall.
        sector = self._newest
        for _ in range(self._sectors.count - 1):
            sector = (sector - 1) % self._sectors.count
            if numbers[sector] > numbers[self._oldest]:
                break
            if numbers[sector]:
                self._oldest = sector
        for sector in range(self._sectors.count):
            if not self._is_live(sector):
                self._first[sector] = 0
        self.acked = max(self.acked, self._first[self._oldest] - 1)
        self._walk_at_start(on_record)

    def _read_headers(self) -> list[int]:
        """Return the number of each sector with a readable header, 0 for the others."""
        numbers = []
        is_foreign = False
        for sector in range(self._sectors.count):
            header = self._sectors.header(sector)
            numbers.append(header.number if header is not None else 0)
            if header is not None:
                self._first[sector] = header.first_sequence
                self.acked = max(self.acked, header.acked_sequence)
            else:
                is_foreign = is_foreign or self._sectors.is_foreign(sector)
                self._sectors.note_blank(sector)
        if is_foreign:
            raise JournalError(
                "the flash holds the journal of another device: read it out with that device's key, then erase it"
            )
        return numbers

    def _begins_at_first_sector(self) -> bool:
        """Return whether the journal's first records are there, behind a header that cannot be read."""
        for _ in self._sectors.records(0, None, self._cursor(1)):
            return True
        return False

    def _walk_at_start(self, on_record: Callable[[int, bytes], None] | None) -> None:
        start = self._sector_of(self.acked + 1)
        if start == self._newest and start != self._oldest:
            start = self._sector_of(self._first[start] - 1)
        self._anchor_at(start)
        self.head = self._anchor_head
        self.next_sequence = self._anchor + 1
        cursor = self._cursor(self.next_sequence)
        for first, last, payload, following in self._walk(start, cursor):
            if following is not None:
                self._pass_header_at_start(following)
            else:
                self._take_at_start(first, last, payload, on_record)
        if cursor.doubtful:
            self._take_at_start(cursor.expected, cursor.expected + cursor.doubtful - 1, None, on_record)
        self.torn = cursor.torn
        self._slot = cursor.slot
        self._walk_past_rotten_headers(cursor, on_record)
        assert cursor.mac is not None
        self._mac = cursor.mac
        if self._rebase or self._sectors.header(self._newest) is None:
            self._slot = self._sectors.slots

    def _pass_header_at_start(self, header: SectorHeader) -> None:
        """Compare the chain with the one that was known when a sector was opened, and go on with what can be believed."""
        self._rebase = header.head_before != self.head
        if not self._rebase:
            return
        self.is_unsure = True
        if header.flags & HEADER_REBASED or header.first_sequence - 1 <= self.acked:
            self._anchor, self._anchor_head = header.first_sequence - 1, header.head_before
            self.head = header.head_before
            self._rebase = False

    def _take_at_start(
        self, first: int, last: int, payload: bytes | None, on_record: Callable[[int, bytes], None] | None
    ) -> None:
        if payload is None:
            self._lost = last
            self.is_unsure = True
            payload = lost_range(first, last)
        self.head = next_head(self.head, payload)
        self.next_sequence = last + 1
        if on_record is not None:
            on_record(first, payload)

    def _walk_past_rotten_headers(self, cursor: Cursor, on_record: Callable[[int, bytes], None] | None) -> None:
        """Find the records behind the newest header if they go on in a sector whose own header cannot be read."""
        while True:
            sector = (self._newest + 1) % self._sectors.count
            if self._is_live(sector):
                return
            expected = cursor.expected
            for first, last, payload in self._sectors.records(sector, None, cursor):
                self._take_at_start(first, last, payload, on_record)
            if cursor.expected == expected:
                return
            self._newest = sector
            self._number += 1

    # The ring.

    def _is_live(self, sector: int) -> bool:
        if self._newest < 0:
            return False
        count = self._sectors.count
        return (sector - self._oldest) % count <= (self._newest - self._oldest) % count

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

    # Reading.

    def records_from(self, sequence: int, limit: int, bytes_max: int) -> tuple[bytes, list[bytes], bytes, int]:
        """Return records from `sequence` on, as a batch carries them.

        Returns:
            Chain head before the first, the records, chain head after the last, and the sequence that follows it.
        """
        if sequence >= self.next_sequence:
            return self.head, [], self.head, self.next_sequence
        start, head = self._anchor, self._anchor_head
        if start >= sequence:
            sector = self._sector_of(sequence)
            header = self._sectors.header(sector)
            if header is not None:
                start, head = header.first_sequence - 1, header.head_before
        before = head
        records: list[bytes] = []
        size = 0
        for first, last, payload, header in self._walk_after(start):
            if header is not None:
                continue
            record = payload or self._lost_record(first, last)
            if last < sequence:
                head = before = next_head(head, record)
                continue
            if len(records) == limit or size + len(record) > bytes_max:
                return before, records, head, first
            records.append(record)
            size += len(record) + 3
            head = next_head(head, record)
        return before, records, head, self.next_sequence

    def _lost_record(self, first: int, last: int) -> bytes:
        """Return what stands for lost records; the first to notice them makes the chain go on over it."""
        if last > self._lost:
            self._lost = last
            self.is_unsure = True
            self._chain_anew()
        return lost_range(first, last)

    def head_at(self, sequence: int) -> bytes | None:
        """Return the chain head after `sequence`, or None when the journal does not know it."""
        if sequence == self.next_sequence - 1:
            return self.head
        if sequence == self._anchor:
            return self._anchor_head
        if sequence >= self.next_sequence or sequence < self.oldest_sequence - 1:
            return None
        return self.records_from(sequence + 1, 0, 0)[0]

    # The chain.

    def _anchor_at(self, sector: int) -> None:
        header = self._sectors.header(sector)
        if header is not None:
            self._anchor, self._anchor_head = header.first_sequence - 1, header.head_before

    def join(self, sequence: int, head: bytes) -> bool:
        """Return whether the service's chain at `sequence` is ours, and go on from there."""
        if sequence >= self.next_sequence:
            return False
        goes_on = sequence >= self._anchor and self.head_at(sequence) == head
        if not goes_on and not self._leads_to_us(sequence, head):
            return False
        self._anchor, self._anchor_head = sequence, head
        self.is_unsure = False
        # A service that was restored from a backup has less than it once acknowledged: what it lacks is owed again.
        self.acked = min(self.acked, max(sequence, self.oldest_sequence - 1))
        if not goes_on:
            self._chain_anew()
            if self._rebase and self._is_free(self._following()):
                self._open_sector()
        return True

    def _leads_to_us(self, sequence: int, head: bytes) -> bool:
        if self._newest < 0:
            return head == self.head
        if sequence < self.oldest_sequence - 1:
            return True  # whatever lies between is lost: nobody but the service knows
        return self._is_reached(sequence, head) or self._leads_on(sequence, head)

    def _is_reached(self, sequence: int, head: bytes) -> bool:
        """Return whether some header leads there, or whether something lies between that is lost, and no header vouches for."""
        heads: list[bytes] = []
        is_lost = False
        for first, last, payload, header in self._walk_after(self.oldest_sequence - 1):
            if last > sequence:
                is_lost = is_lost or (header is None and first <= sequence)
                break
            if header is None:
                is_lost = is_lost or payload is None
                heads = [next_head(each, payload or lost_range(first, last)) for each in heads]
            elif header.head_before not in heads:
                # Older than the loss: it names the chain over the record itself.
                is_lost = False
                heads.append(header.head_before)
        return is_lost or head in heads

    def _leads_on(self, sequence: int, head: bytes) -> bool:
        """Return whether the chain goes on from there to some header, or to our own end."""
        for first, last, payload, header in self._walk_after(sequence):
            if header is None:
                head = next_head(head, payload or lost_range(first, last))
            elif header.head_before == head:
                return True
        return head == self.head

    def _chain_anew(self) -> None:
        """Compute the chain again from the anchor; the next record opens a sector that carries it."""
        head = self._anchor_head
        for first, last, payload, header in self._walk_after(self._anchor):
            if header is None:
                if payload is None:
                    self._lost = max(self._lost, last)
                head = next_head(head, payload or lost_range(first, last))
        if head != self.head:
            self.head = head
            self._rebase = True
            self._slot = self._sectors.slots

    # Writing.

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

    def _is_free(self, sector: int) -> bool:
        """Return whether a sector may be erased: it holds nothing that is still owed, and is not the one being written."""
        if not self._is_live(sector):
            return True
        while sector != self._newest:
            sector = (sector + 1) % self._sectors.count
            if self._first[sector]:
                return self._first[sector] - 1 <= self.acked
        return False

    def _following(self) -> int:
        """Return the sector that comes next."""
        sector = self._newest
        for _ in range(self._sectors.count):
            sector = (sector + 1) % self._sectors.count
            if not self._bad[sector]:
                break
        return sector

    def append(self, make_record: Callable[[int], bytes], slots_after: int = 0) -> int:
        """Make a record for the next sequence durable, and return that sequence.

        Args:
            make_record: is told the sequence and returns the record's bytes.
            slots_after: room that must be left afterwards: a debit's intent keeps the place of its outcome.

        Raises:
            JournalFull: that would overwrite what was not acknowledged.
            JournalError: the flash does not take it.
        """
        sequence = self.next_sequence
        payload = make_record(sequence)
        count = slots_for(len(payload))
        for _ in range(_PROGRAM_TRIES):
            self._make_room(count, slots_after)
            data = encode_record(sequence, payload, self._mac, self._key)
            slot = self._slot
            self._slot += count
            if self._sectors.program(self._newest, slot, data):
                self._mac = mac_of(data)
                self.head = next_head(self.head, payload)
                self.next_sequence = sequence + 1
                return sequence
        raise JournalError("the flash does not keep what is written: replace it")

    def _make_room(self, count: int, slots_after: int) -> None:
        left = self._sectors.slots - self._slot if self._newest >= 0 else 0
        if left < count:
            self._open_sector()
            left = self._sectors.slots - self._slot
        if left < count + slots_after and not self._is_free(self._following()):
            raise JournalFull("nothing free that is not still owed to the clearing service")

    def _open_sector(self) -> None:
        for _ in range(self._sectors.count):
            sector = self._following()
            if not self._is_free(sector):
                raise JournalFull("nothing free that is not still owed to the clearing service")
            self._erase(sector)
            flags = HEADER_REBASED if self._rebase else 0
            header = SectorHeader(
                flags, self._epoch, self._number + 1, self.next_sequence, self.head, self._mac, self.acked
            )
            if self._sectors.program(sector, 0, encode_header(header, self._key)):
                if self._newest < 0:
                    self._oldest = sector
                self._newest = sector
                self._number += 1
                self._first[sector] = self.next_sequence
                self._rebase = False
                self._slot = 1
                return
            self._bad[sector] = 1
        raise JournalError("the flash does not keep what is written: replace it")

    def _erase(self, sector: int) -> None:
        """Make a sector blank that holds nothing which is still owed."""
        if self._is_live(sector):
            # It comes next in the ring, so it is the oldest, or lies before the oldest that can be read.
            self._first[sector] = 0
            while not self._first[self._oldest]:
                self._oldest = (self._oldest + 1) % self._sectors.count
            if self._anchor < self.oldest_sequence - 1:
                self._anchor_at(self._oldest)
        self._sectors.make_blank(sector)

    def acknowledge(self, sequence: int) -> None:
        """Note that the clearing service has everything up to `sequence`; its room may be used again."""
        self.acked = max(self.acked, min(sequence, self.next_sequence - 1))

    def erase_ahead(self, is_kept: Callable[[bytes], bool] | None = None) -> bool:
        """Erase the sector that comes next, in idle time, so that no tap waits for it; return whether that was needed.

        Args:
            is_kept: is told the last record of the sector and returns whether it is worth keeping while there is room: until
                half of the sector being written is full.
        """
        sector = self._following()
        if self._newest < 0 or self._sectors.is_known_blank(sector) or not self._is_free(sector):
            return False
        if is_kept is not None and 2 * self._slot < self._sectors.slots and self._is_live(sector):
            last = self._last_record(sector)
            if last is not None and is_kept(last):
                return False
        self._erase(sector)
        return True

    def _last_record(self, sector: int) -> bytes | None:
        """Return the last record of a sector that can be read; it is read once, not each time that nothing is to be done."""
        if self._looked_at[0] != self._first[sector]:
            last = None
            header = self._sectors.header(sector)
            if header is not None:
                for _, _, payload in self._sectors.records(sector, header, self._cursor(header.first_sequence)):
                    last = payload or last
            self._looked_at = (self._first[sector], last)
        return self._looked_at[1]


def lost_range(first: int, last: int) -> bytes:
    """Return the record that stands for what became unreadable: the same bytes at each reading."""
    return encode_tap(
        Tap(
            sequence=first,
            tapped_at_s=0,
            clock_quality=CLOCK_UNKNOWN,
            uptime_ms=0,
            boot=0,
            kind=KIND_LOST_RANGE,
            reference=[first, last],
        )
    )
