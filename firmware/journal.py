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
neighbours, the same bytes at each reading, so that sync never waits for what nobody can send. The wire chain goes on over that
record; headers written before the hole was found then name an old chain and are not believed, until a sector is opened
with the flag HEADER_REBASED. A flash written with another key is refused, never silently reused.

Memory: one buffer of four slots, and two numbers for each sector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.slots import (
    HEADER_REBASED,
    RECORD_SLOTS_MAX,
    SLOT_BYTES,
    SectorHeader,
    decode_header,
    decode_record,
    encode_header,
    encode_record,
    is_blank,
    is_header,
    mac_holds,
    mac_of,
    record_slots,
    slots_for,
)
from protocol.batch import genesis_head, next_head
from protocol.compat import const
from protocol.tap import CLOCK_UNKNOWN, KIND_LOST_RANGE, Tap, encode_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmware.boards.board import Flash

_SECTORS = const(4)
_SECTOR_BYTES = const(5)
_ERASE = const(6)
_PROGRAM_TRIES = const(3)
_MAC_GENESIS = bytes(8)


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
        torn: torn slots met at the last recovery.
        erases, programmed_bytes: since the start of the program.
    """

    def __init__(self, flash: Flash, key: bytes, device: bytes, epoch: int) -> None:
        self._flash = flash
        self._key = key
        self._epoch = epoch
        self._sectors = flash.ioctl(_SECTORS, 0)
        self._slots = flash.ioctl(_SECTOR_BYTES, 0) // SLOT_BYTES
        self._buffer = bytearray(RECORD_SLOTS_MAX * SLOT_BYTES)
        # By sector: first sequence (0: no live records), and whether its header's chain is believed.
        self._first = [0] * self._sectors
        self._trusted = bytearray(self._sectors)
        self._erased = bytearray(self._sectors)
        self._newest = -1
        self._oldest = 0
        self._number = 0
        self._slot = 0
        self._mac = _MAC_GENESIS
        self._rebase = False
        self._genesis = genesis_head(device, epoch)
        self.head = self._genesis
        self.next_sequence = 1
        self.acked = 0
        self.torn = 0
        self.erases = 0
        self.programmed_bytes = 0

    # Recovery.

    def recover(self, on_record: Callable[[int, bytes], None] | None = None) -> None:
        """Find out what is on the flash.

        Args:
            on_record: told each record of the unacknowledged part and of the last two sectors, in order.

        Raises:
            JournalError: the flash holds the journal of another device.
        """
        numbers = self._read_headers()
        live = sorted([number for number in numbers if number])
        if not live:
            return
        self._newest = numbers.index(live[-1])
        self._number = live[-1]
        # The live run ends before the first number missing going back: what lies further is of an older lap.
        oldest = self._newest
        for _ in range(self._sectors - 1):
            before = (oldest - 1) % self._sectors
            if (numbers[before] and numbers[before] < numbers[oldest]) or (
                not self._erased[before] and not numbers[before] and self._has_older(numbers, before, oldest)
            ):
                oldest = before
            else:
                break
        self._oldest = oldest
        for sector in range(self._sectors):
            if not self._is_live(sector):
                self._first[sector] = 0
        self.acked = max(self.acked, self._first_live() - 1)
        self._walk_at_start(on_record)

    def _has_older(self, numbers: list[int], sector: int, newer: int) -> bool:
        """Return whether a sector without a readable header lies between live ones."""
        before = (sector - 1) % self._sectors
        return not numbers[sector] and before != newer and 0 < numbers[before] < numbers[newer]

    def _read_headers(self) -> list[int]:
        numbers = []
        slot = memoryview(self._buffer)[:SLOT_BYTES]
        foreign = False
        for sector in range(self._sectors):
            self._flash.readblocks(sector, slot, 0)
            header = decode_header(slot, self._key)
            self._erased[sector] = header is None and is_blank(slot) and self._is_blank_sector(sector)
            numbers.append(header.number if header and header.epoch == self._epoch else 0)
            foreign = foreign or (header is None and is_header(slot))
            if numbers[-1] and header is not None:
                self._first[sector] = header.first_sequence
                self.acked = max(self.acked, header.acked_sequence)
        if foreign:
            raise JournalError(
                "the flash holds the journal of another device: read it out with that device's key, then erase it"
            )
        return numbers

    def _is_blank_sector(self, sector: int) -> bool:
        return all(is_blank(self._read(sector, slot, 1)) for slot in range(self._slots))

    def _first_live(self) -> int:
        sector = self._oldest
        while not self._first[sector]:
            sector = (sector + 1) % self._sectors
        return self._first[sector]

    def _is_live(self, sector: int) -> bool:
        if self._newest < 0:
            return False
        return (sector - self._oldest) % self._sectors <= (self._newest - self._oldest) % self._sectors

    def _walk_at_start(self, on_record: Callable[[int, bytes], None] | None) -> None:
        start = self._sector_of(self.acked + 1)
        if start == self._newest and start != self._oldest:
            start = (start - 1) % self._sectors
        while not self._first[start] and start != self._oldest:
            start = (start - 1) % self._sectors
        self.torn = 0
        self._trusted[start] = 1
        header = self._header(start)
        self.head = header.head_before if header else self._genesis
        self.next_sequence = self._first[start] or self._first_live()
        sector = start
        while True:
            header = self._header(sector)
            if header is not None:
                self._trusted[sector] = header.head_before == self.head
                if header.flags & HEADER_REBASED or sector == start:
                    self.head = header.head_before
                    self._trusted[sector] = 1
                # Believed after a hole only once a sector was opened that knows of it.
                self._rebase = not self._trusted[sector]
            for sequence, last, payload in self._records_in(sector, self.next_sequence, count=True):
                self._rebase = self._rebase or last != sequence
                self.head = next_head(self.head, payload)
                self.next_sequence = last + 1
                if on_record is not None:
                    on_record(sequence, payload)
            if sector == self._newest:
                break
            sector = (sector + 1) % self._sectors
        if self._rebase:
            self._slot = self._slots

    # Reading.

    def _header(self, sector: int) -> SectorHeader | None:
        return decode_header(self._read(sector, 0, 1), self._key)

    def _read(self, sector: int, slot: int, count: int) -> memoryview:
        view = memoryview(self._buffer)[: count * SLOT_BYTES]
        self._flash.readblocks(sector, view, slot * SLOT_BYTES)
        return view

    def _sector_of(self, sequence: int) -> int:
        """Return the live sector in which a sequence lies, or would lie."""
        found = self._oldest
        sector = self._oldest
        while True:
            if self._first[sector] and self._first[sector] <= sequence:
                found = sector
            if sector == self._newest:
                return found
            sector = (sector + 1) % self._sectors

    def _records_in(self, sector: int, expected: int, *, count: bool = False) -> Iterator[tuple[int, int, bytes]]:
        """Yield (sequence, last sequence, payload) of a sector's records, holes filled by derived ones.

        Args:
            sector: which.
            expected: the sequence that comes first if nothing is lost.
            count: this is the recovery: note the place and the MAC for the next record, and torn slots.
        """
        header = self._header(sector)
        mac = header.mac_before if header else None
        slot = 1
        blank_from = 1
        while slot < self._slots and header is not None:
            view = self._read(sector, slot, 1)
            size = record_slots(view)
            if is_blank(view):
                slot += 1
                continue
            record = None
            if size and slot + size <= self._slots:
                view = self._read(sector, slot, size)
                record = decode_record(view)
            if (
                record is None
                or record[0] < expected
                or (mac is not None and record[0] == expected and not mac_holds(view, mac, self._key))
            ):
                slot += 1
                blank_from = slot
                self.torn += count
                continue
            mac = mac_of(view)
            slot += size
            blank_from = slot
            if record[0] > expected:
                yield expected, record[0] - 1, lost_range(expected, record[0] - 1)
            yield record[0], record[0], record[1]
            expected = record[0] + 1
        if count and sector == self._newest:
            self._slot = blank_from
            self._mac = mac or _MAC_GENESIS
        if sector != self._newest:
            following = self._next_first(sector)
            if following > expected:
                yield expected, following - 1, lost_range(expected, following - 1)

    def _follows(self, sequence: int, expected: int, slots: memoryview, mac: bytes | None) -> bool:
        """Return whether a record's MAC holds; after a hole nobody knows the MAC before it."""
        return mac is None or sequence != expected or mac_holds(slots, mac, self._key)

    def _next_first(self, sector: int) -> int:
        """Return the first sequence of the next sector with a readable header; 0 when there is none before a hole's end."""
        sector = (sector + 1) % self._sectors
        return self._first[sector] if self._first[sector] else 0

    def records_from(self, sequence: int, limit: int, bytes_max: int) -> tuple[bytes, list[bytes], bytes, int]:
        """Return records from `sequence` on, as a batch carries them.

        Returns:
            Chain head before the first, the records, chain head after the last, and the sequence that follows it.
        """
        if self._newest < 0 or sequence >= self.next_sequence:
            return self.head, [], self.head, self.next_sequence
        sector = self._sector_of(sequence)
        while not self._trusted[sector] and sector != self._oldest:
            sector = (sector - 1) % self._sectors
        header = self._header(sector)
        head = header.head_before if header else self._genesis
        before = head
        records: list[bytes] = []
        size = 0
        following = self._first[sector] or self._first_live()
        while True:
            for first, last, payload in self._records_in(sector, following):
                following = last + 1
                if first >= sequence or last >= sequence:
                    if len(records) == limit or size + len(payload) > bytes_max:
                        return before, records, head, first
                    records.append(payload)
                    size += len(payload) + 3
                    head = next_head(head, payload)
                else:
                    head = before = next_head(head, payload)
            if sector == self._newest:
                return before, records, head, following
            sector = (sector + 1) % self._sectors

    def head_at(self, sequence: int) -> bytes | None:
        """Return the chain head after `sequence`, or None when the journal no longer knows it."""
        if sequence == self.next_sequence - 1:
            return self.head
        if sequence >= self.next_sequence or (self._newest >= 0 and sequence < self._first_live() - 1):
            return None
        return self.records_from(sequence + 1, 0, 0)[0]

    # Writing.

    @property
    def oldest_sequence(self) -> int:
        """The first sequence that is still on flash."""
        return self._first_live() if self._newest >= 0 else self.next_sequence

    @property
    def free_slots(self) -> int:
        """How many slots can be written before something must be acknowledged."""
        free = 0
        for sector in range(self._sectors):
            if not self._is_live(sector) or self._is_spent(sector):
                free += self._slots - 1
        return free + (max(self._slots - self._slot, 0) if self._newest >= 0 else 0)

    def _is_spent(self, sector: int) -> bool:
        """Return whether everything in a live sector was acknowledged, and it is not the one being written."""
        if sector == self._newest:
            return False
        following = (sector + 1) % self._sectors
        while not self._first[following]:
            if following == self._newest:
                return False
            following = (following + 1) % self._sectors
        return self._first[following] - 1 <= self.acked

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
            if self._program(self._newest, slot, data):
                self._mac = mac_of(data)
                self.head = next_head(self.head, payload)
                self.next_sequence = sequence + 1
                return sequence
        raise JournalError("the flash does not keep what is written: replace it")

    def _make_room(self, count: int, slots_after: int) -> None:
        left = self._slots - self._slot if self._newest >= 0 else 0
        if left < count:
            self._open_sector()
            left = self._slots - 1
        if left < count + slots_after and not self._next_is_free():
            raise JournalFull("nothing free that is not still owed to the clearing service")

    def _next_is_free(self) -> bool:
        following = (self._newest + 1) % self._sectors
        return not self._is_live(following) or self._is_spent(following)

    def _open_sector(self) -> None:
        if not self._next_is_free():
            raise JournalFull("nothing free that is not still owed to the clearing service")
        for _ in range(self._sectors):
            sector = (self._newest + 1) % self._sectors
            if not self._next_is_free():
                break
            self._erase(sector)
            flags = HEADER_REBASED if self._rebase else 0
            header = SectorHeader(
                flags, self._epoch, self._number + 1, self.next_sequence, self.head, self._mac, self.acked
            )
            self._erased[sector] = 0
            if self._program(sector, 0, encode_header(header, self._key)):
                if self._newest < 0:
                    self._oldest = sector
                self._newest = sector
                self._number += 1
                self._first[sector] = self.next_sequence
                self._trusted[sector] = 1
                self._rebase = False
                self._slot = 1
                return
        raise JournalError("the flash does not keep what is written: replace it")

    def _erase(self, sector: int) -> None:
        """Make a sector blank that holds nothing which is still owed."""
        if self._newest >= 0 and sector == self._oldest and self._is_live(sector):
            self._first[sector] = 0
            self._oldest = (sector + 1) % self._sectors
            while not self._first[self._oldest] and self._oldest != self._newest:
                self._oldest = (self._oldest + 1) % self._sectors
        if not self._erased[sector]:
            self._flash.ioctl(_ERASE, sector)
            self.erases += 1
            self._erased[sector] = 1

    def _program(self, sector: int, slot: int, data: bytes) -> bool:
        """Program and read back; return whether the flash kept it."""
        self._flash.writeblocks(sector, data, slot * SLOT_BYTES)
        self.programmed_bytes += len(data)
        return bytes(self._read(sector, slot, len(data) // SLOT_BYTES)) == data

    def acknowledge(self, sequence: int) -> None:
        """Note that the clearing service has everything up to `sequence`; its room may be used again."""
        self.acked = max(self.acked, min(sequence, self.next_sequence - 1))

    def erase_ahead(self) -> bool:
        """Erase the sector that comes next, in idle time, so that no tap waits for it; return whether that was needed."""
        following = (self._newest + 1) % self._sectors
        if self._newest < 0 or self._erased[following] or not self._next_is_free() or following == self._newest:
            return False
        self._erase(following)
        return True


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
