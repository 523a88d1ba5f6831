"""The journal's sectors on flash: reads the records of one, erases, and programs with reading back.

Which of them are in use, and what may be erased, `firmware.journal` knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.slots import (
    FORMAT,
    FORMAT_CHAINED_ONLY,
    RECORD_SLOTS_MAX,
    SLOT_BYTES,
    begins_record,
    chained_mac_holds,
    counts_of,
    crc_holds,
    decode_header,
    is_blank,
    is_header,
    is_torn,
    mac_holds,
    mac_of,
    mark,
    read_record,
    record_key,
    record_slots,
)
from protocol.compat import const

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.boards.board import Flash
    from firmware.slots import Bytes, SectorHeader

_SECTORS = const(4)
_SECTOR_BYTES = const(5)
_ERASE = const(6)


class Cursor:
    """Where the reading of one sector after another has come to.

    Attributes:
        expected: the sequence that comes next if nothing is lost.
        mac: of the record before it; None while nobody knows.
        slot: the first slot of the sector behind everything that was programmed.
        torn: slots passed over.
        doubtful: records behind the last good one that are whole and cannot be read: they may have been promised to riders.
    """

    __slots__ = ("doubtful", "expected", "mac", "slot", "torn")

    def __init__(self, expected: int, mac: bytes | None = None) -> None:
        self.expected = expected
        self.mac = mac
        self.slot = 1
        self.torn = 0
        self.doubtful = 0


class Sectors:
    """The flash, by sectors of slots; one buffer of four slots.

    Attributes:
        count: how many there are.
        slots: in each of them.
        record_key: for the MACs of records.
    """

    def __init__(self, flash: Flash, key: bytes, epoch: int) -> None:
        self._flash = flash
        self._key = key
        self._epoch = epoch
        self.record_key = record_key(key, epoch)
        self.count = flash.ioctl(_SECTORS, 0)
        self.slots = flash.ioctl(_SECTOR_BYTES, 0) // SLOT_BYTES
        self._buffer = memoryview(bytearray(RECORD_SLOTS_MAX * SLOT_BYTES))
        self._known_blank = bytearray(self.count)

    def _read(self, sector: int, slot: int, count: int) -> memoryview:
        view = self._buffer[: count * SLOT_BYTES]
        self._flash.readblocks(sector, view, slot * SLOT_BYTES)
        return view

    def header(self, sector: int) -> SectorHeader | None:
        """Return the header of a sector of this epoch, or None."""
        header = decode_header(self._read(sector, 0, 1), self._key)
        return header if header is not None and header.epoch == self._epoch else None

    def is_foreign(self, sector: int) -> bool:
        """Return whether a header stands there that was written with another key."""
        slot = self._read(sector, 0, 1)
        return is_header(slot) and decode_header(slot, self._key) is None

    def note_blank(self, sector: int) -> None:
        """Look whether a sector is blank: then it need not be erased."""
        self._known_blank[sector] = all(is_blank(self._read(sector, slot, 1)) for slot in range(self.slots))

    def is_known_blank(self, sector: int) -> bool:
        return bool(self._known_blank[sector])

    def records(
        self, sector: int, header: SectorHeader | None, cursor: Cursor
    ) -> Iterator[tuple[int, int, bytes | None]]:
        """Yield (first sequence, last sequence, payload) of a sector's records; without a payload: these cannot be read.

        The cursor goes along. In a sector whose header cannot be read may lie what is of an older lap, or of an older epoch:
        neither has a MAC that holds and a sequence that comes next or later.
        """
        version = 0
        if header is not None:
            cursor.mac = header.mac_before
            version = header.version
        cursor.doubtful = 0
        cursor.slot = slot = announced = 1
        while slot < self.slots and cursor.mac is not None:
            if is_blank(self._read(sector, slot, 1)):
                slot += 1
                continue
            view, record = self._record_at(sector, slot, cursor.mac, version)
            if record is None or not self._follows(record[0], view, cursor, version):
                if slot >= announced:
                    tried, is_whole = self._tried(sector, slot, cursor.expected)
                    announced = slot + tried
                    cursor.doubtful += header is not None and is_whole
                slot += 1
                cursor.slot = slot
                cursor.torn += 1
                continue
            cursor.mac = mac_of(view)
            cursor.doubtful = 0
            cursor.slot = slot = announced = slot + len(view) // SLOT_BYTES
            if record[0] > cursor.expected:
                yield cursor.expected, record[0] - 1, None
            cursor.expected = record[0] + 1
            yield record[0], record[0], record[1]

    def _record_at(
        self, sector: int, slot: int, mac: bytes, version: int
    ) -> tuple[memoryview, tuple[int, bytes] | None]:
        """Return a record's slots, and its sequence and payload: None when they cannot be read.

        What it says twice is mended: the count of slots follows from the size, and the MAC vouches for more than the CRC.
        """
        view = self._read(sector, slot, 1)
        for count in counts_of(view):
            if count and slot + count <= self.slots:
                view = self._read(sector, slot, count)
                mark(view, count)
                record = read_record(view)
                if record is None:
                    continue
                if crc_holds(view) or (not is_torn(view) and self.mac_holds(view, mac, version)):
                    return view, record
        return view, None

    def _follows(self, sequence: int, slots: memoryview, cursor: Cursor, version: int) -> bool:
        """Return whether a record may stand here; after a hole nobody knows the MAC before it."""
        if sequence < cursor.expected:
            return False
        return self.mac_holds(slots, cursor.mac if sequence == cursor.expected else None, version)

    def mac_holds(self, slots: Bytes, mac_before: bytes | None, version: int) -> bool:
        """Return whether the MAC of a record holds, in the format of its sector: 0 for either, since nobody knows which.

        Behind a hole, where nobody knows the MAC before, a record of the old format is believed by its CRC.
        """
        if version != FORMAT_CHAINED_ONLY and mac_holds(slots, mac_before, self.record_key):
            return True
        if mac_before is None:
            return version == FORMAT_CHAINED_ONLY
        return version != FORMAT and chained_mac_holds(slots, mac_before, self._key)

    def _tried(self, sector: int, slot: int, sequence: int) -> tuple[int, bool]:
        """Return how many slots an unreadable record takes, and whether it was programmed to its end.

        It takes fewer than it says where it was torn and tried again behind.
        """
        count = record_slots(self._read(sector, slot, 1))
        tried = 1
        while tried < (count or RECORD_SLOTS_MAX) and slot + tried < self.slots:
            view = self._read(sector, slot + tried, 1)
            if begins_record(view, sequence) or (not count and is_blank(view)):
                break
            tried += 1
        return tried, tried >= count and not is_torn(self._read(sector, slot, tried))

    def make_blank(self, sector: int) -> None:
        """Erase a sector, unless it is known to be blank."""
        if not self._known_blank[sector]:
            self._flash.ioctl(_ERASE, sector)
            self._known_blank[sector] = 1

    def program(self, sector: int, slot: int, data: bytes) -> bool:
        """Program and read back; return whether the flash kept it."""
        self._known_blank[sector] = 0
        self._flash.writeblocks(sector, data, slot * SLOT_BYTES)
        return bytes(self._read(sector, slot, len(data) // SLOT_BYTES)) == data
