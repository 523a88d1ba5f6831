"""The journal on any flash: recovery and reading raise nothing but JournalError, come to an end, and hand out nothing false.

Three ways to make an image. Raw: the input is what the cells hold. Edited: the input chooses a real journal and changes it, as
rot and power cuts would, or also as somebody with a programmer and no key; such images reach deeper than chance ever does.

"Nothing false" is measured against the cells: each record that is handed out, but for lost ranges, stands there at its own
sequence with a MAC over itself and some record or header before it. Behind a hole nobody knows the record before: there half of
the MAC holds, and in a sector of format 1 only the CRC.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from firmware.journal import Journal, JournalError
from firmware.slots import (
    FORMAT,
    FORMAT_CHAINED_ONLY,
    MAC_BYTES,
    RECORD_SLOTS_MAX,
    SLOT_BYTES,
    chained_mac_holds,
    decode_header,
    decode_record,
    mac_holds,
    mac_of,
    record_key,
    record_slots,
    slots_for,
)
from protocol.compat import crc32
from protocol.errors import TapError
from protocol.tap import KIND_LOST_RANGE, decode_tap, last_sequence
from tests.firmware.journal_bench import DEVICE, EPOCH, GENESIS, KEY, SECTOR_BYTES, add, make_flash
from tests.firmware.old_journal import old_image
from tests.firmware.ram_flash import PowerCut, RamFlash
from tests.fuzz.target import Target

_SECTORS = 4
_SLOTS = SECTOR_BYTES // SLOT_BYTES
_IMAGE_BYTES = _SECTORS * SECTOR_BYTES
_EDIT_BYTES = 4
# Recovery reads each slot a few times, a walk hardly more; a loop would not stop there.
_READS_MAX = 40_000
_BATCH_RECORDS = 4
# Kinds of edits: the first four are nature's.
_NATURAL, _FORGED = 4, 7

if TYPE_CHECKING:
    from collections.abc import Iterator


class WatchedFlash(RamFlash):
    """It lends its cells to so many reads and no more."""

    def __init__(self, image: bytes) -> None:
        super().__init__(_SECTORS, SECTOR_BYTES)
        self.load([image[start : start + SECTOR_BYTES] for start in range(0, _IMAGE_BYTES, SECTOR_BYTES)])
        self.reads = 0

    def readblocks(self, block: int, buffer: bytearray | memoryview, offset: int = 0) -> None:
        self.reads += 1
        assert self.reads < _READS_MAX, "it reads and reads"
        super().readblocks(block, buffer, offset)


# What must hold.


def check_image(data: bytes) -> None:
    """Any cells: what is missing of the input is blank."""
    _check_journal(WatchedFlash(data[:_IMAGE_BYTES].ljust(_IMAGE_BYTES, b"\xff")), is_forged=True)


def _check_journal(flash: WatchedFlash, *, is_forged: bool) -> None:
    told: list[tuple[int, bytes]] = []
    journal = Journal(flash, KEY, DEVICE, EPOCH)
    try:
        journal.recover(lambda sequence, record: told.append((sequence, record)))
        oldest = journal.oldest_sequence
        records, following = _read_all(journal, oldest)
        pieces = _read_in_pieces(journal, oldest)
    except JournalError:
        return
    cells = _Cells(flash, any_sequence=is_forged)
    for read in (told, records, pieces):
        _require_true(cells, read)
    assert oldest - 1 <= journal.acked < journal.next_sequence
    if not is_forged:
        assert records == pieces, "a record is not the same at each reading"
        assert following == journal.next_sequence, "sequences follow on"
        assert all(first < second for (first, _), (second, _) in pairwise(told)), "a record is told twice"
    if not (is_forged and cells.has_old_sectors):
        _require_that_it_goes_on(flash, journal, is_forged=is_forged)


def _read_all(journal: Journal, oldest: int) -> tuple[list[tuple[int, bytes]], int]:
    """Return sequence and record of everything, read at once, and the sequence that would follow."""
    _, records, _, following = journal.records_from(oldest, 10_000, 1_000_000)
    assert following == journal.next_sequence
    return _numbered(records, oldest)


def _read_in_pieces(journal: Journal, oldest: int) -> list[tuple[int, bytes]]:
    """Return the same, read in batches."""
    found = []
    sequence = oldest
    while sequence < journal.next_sequence:
        _, records, _, following = journal.records_from(sequence, _BATCH_RECORDS, 1_000_000)
        assert records
        assert following > sequence, "it comes to an end"
        found += _numbered(records, sequence)[0]
        sequence = following
    return found


def _numbered(records: list[bytes], sequence: int) -> tuple[list[tuple[int, bytes]], int]:
    """Return records with their sequences, and the one that would follow."""
    found = []
    for record in records:
        found.append((sequence, record))
        sequence = last_sequence(decode_tap(record)) + 1 if _is_lost_range(sequence, record) else sequence + 1
    return found, sequence


def _require_true(cells: _Cells, records: list[tuple[int, bytes]]) -> None:
    """Raise if something is handed out that nobody with the key has written."""
    after_hole = False
    for sequence, record in records:
        stands = cells.hold(sequence, record)
        if not stands and not _is_lost_range(sequence, record):
            assert after_hole, "a record without a MAC"
            assert cells.hold_alone(sequence, record), "a record that is not there, or that anybody can have written"
            stands = True
        after_hole = not stands


def _is_lost_range(sequence: int, record: bytes) -> bool:
    try:
        tap = decode_tap(record)
    except TapError:
        return False
    return (tap.kind, tap.sequence) == (KIND_LOST_RANGE, sequence)


class _Cells:
    """What stands on a flash, read without the journal's code; where slots were copied about, at any sequence.

    Attributes:
        has_old_sectors: of format 1, where whoever has no key can put a record behind a hole.
    """

    def __init__(self, flash: RamFlash, *, any_sequence: bool) -> None:
        self._any_sequence = any_sequence
        self._sectors = flash.image()
        self.has_old_sectors = any(sector[:6] == b"JQJ1\x00\x01" for sector in self._sectors)
        slots = [
            sector[start : start + SLOT_BYTES]
            for sector in self._sectors
            for start in range(0, SECTOR_BYTES, SLOT_BYTES)
        ]
        headers = [decode_header(slot, KEY) for slot in slots if slot[:4] == b"JQJ1"]
        # Every MAC that a record could be chained to: that of any slot's end, of any header, and the first of all.
        self._macs = {mac_of(slot) for slot in slots} | {header.mac_before for header in headers if header}
        self._macs.add(GENESIS[:MAC_BYTES])
        self._key = record_key(KEY, EPOCH)
        self._held: dict[tuple[int, bytes], bool] = {}

    def hold(self, sequence: int, record: bytes) -> bool:
        """Return whether a record stands there, with a MAC over one that could be before it."""
        if (sequence, record) not in self._held:
            self._held[sequence, record] = any(
                mac_holds(slots, mac, self._key) or (version != FORMAT and chained_mac_holds(slots, mac, KEY))
                for slots, version in self._places(sequence, record)
                for mac in self._macs
            )
        return self._held[sequence, record]

    def hold_alone(self, sequence: int, record: bytes) -> bool:
        """Return whether a record stands there that can be believed whatever stands before it."""
        return any(
            mac_holds(slots, None, self._key) or (version == FORMAT_CHAINED_ONLY and decode_record(slots) is not None)
            for slots, version in self._places(sequence, record)
        )

    def _places(self, sequence: int, record: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield the slots of such a record, and the format of their sector, 0 where nobody knows."""
        count = slots_for(len(record))
        for sector in self._sectors:
            header = decode_header(sector[:SLOT_BYTES], KEY)
            version = header.version if header is not None else 0
            for start in range(0, SECTOR_BYTES - count * SLOT_BYTES + 1, SLOT_BYTES):
                size, found = sector[start + 1 : start + 3], sector[start + 3 : start + 8]
                is_here = size == len(record).to_bytes(2, "big") and sector.startswith(record, start + 8)
                if is_here and (self._any_sequence or found == sequence.to_bytes(5, "big")):
                    # The first byte says once more what the size says, so it may be mended.
                    yield bytes((0xE0 | count,)) + sector[start + 1 : start + count * SLOT_BYTES], version


def _require_that_it_goes_on(flash: WatchedFlash, journal: Journal, *, is_forged: bool) -> None:
    """A record that is taken is there after the next start, at the sequence that was promised.

    Where all headers are gone, or were moved about, records of ours that nobody had reached may come to light behind it.
    """
    # Unlike any record of the images: MACs must not go on from it to what an older life has left.
    fresh = b"the first record after this start"
    try:
        sequence = journal.append(lambda _: fresh)
    except JournalError:
        return
    again = Journal(flash, KEY, DEVICE, EPOCH)
    again.recover()
    assert again.next_sequence > sequence if is_forged else again.next_sequence == sequence + 1
    assert again.records_from(sequence, 1, 1_000_000)[1] == [fresh], "a promised record is gone"


# Images by edits.


@cache
def real_images() -> tuple[bytes, ...]:
    """Return journals: new, short, with records of all sizes, gone round the ring, torn in mid-record, and of format 1."""
    images = []
    for records, acked, cut in ((0, 0, None), (5, 0, None), (40, 38, None), (90, 86, None), (11, 0, 200), (60, 58, 70)):
        flash = make_flash(_SECTORS)
        journal = Journal(flash, KEY, DEVICE, EPOCH)
        for number in range(records):
            add(journal, size=(60, 60, 108, 109, 300, 492)[number % 6])
            journal.acknowledge(min(number - 3, acked))
        flash.cut_after_bytes = cut
        try:
            add(journal, size=300 if cut else 60)
        except PowerCut:
            flash.cut_after_bytes = None
        images.append(b"".join(flash.image()))
    return (*images, old_image(20))


def check_rot(data: bytes) -> None:
    """Rot, torn writes, torn erases: besides, each record is the same at each reading, and told once."""
    _check_journal(WatchedFlash(_edited(data, _NATURAL)), is_forged=False)


def check_forged(data: bytes) -> None:
    """Besides those: slots and sectors copied, and check sums that hold, as from somebody who has no key."""
    _check_journal(WatchedFlash(_edited(data, _FORGED)), is_forged=True)


def _edited(data: bytes, kinds: int) -> bytes:
    """The first byte chooses a journal; every four bytes after it are an edit: what, where (2), how."""
    images = real_images()
    cells = bytearray(images[data[0] % len(images)] if data else images[0])
    for start in range(1, len(data) - _EDIT_BYTES + 1, _EDIT_BYTES):
        what, high, low, how = data[start : start + _EDIT_BYTES]
        _edit(cells, what % kinds, (high << 8 | low) % _IMAGE_BYTES, how)
    return bytes(cells)


def _edit(cells: bytearray, what: int, place: int, how: int) -> None:
    slot = place - place % SLOT_BYTES
    if what == 0:
        cells[place] ^= how
    elif what == 1:
        cells[place] = how
    elif what == 2:  # torn: programmed up to there
        cells[place : slot + SLOT_BYTES] = b"\xff" * (slot + SLOT_BYTES - place)
    elif what == 3:  # blank slots
        end = min(slot + (1 + how % _SLOTS) * SLOT_BYTES, _IMAGE_BYTES)
        cells[slot:end] = b"\xff" * (end - slot)
    elif what == 4:  # copied from another place
        source = how % (_SECTORS * _SLOTS) * SLOT_BYTES
        cells[slot : slot + SLOT_BYTES] = cells[source : source + SLOT_BYTES]
    elif what == 5:  # a check sum that holds: whoever changes a record can make it
        _seal(cells, slot, 1 + how % RECORD_SLOTS_MAX)
    else:
        sector = place - place % SECTOR_BYTES
        source = how % _SECTORS * SECTOR_BYTES
        cells[sector : sector + SECTOR_BYTES] = cells[source : source + SECTOR_BYTES]


def _seal(cells: bytearray, slot: int, count: int) -> None:
    count = record_slots(cells[slot : slot + 1]) or count
    end = min(slot + count * SLOT_BYTES, _IMAGE_BYTES)
    cells[end - 4 : end] = crc32(bytes(cells[slot : end - 4])).to_bytes(4, "big")


def _edit_seeds() -> list[bytes]:
    """Each journal as it is, with one edit of each kind, and with a hole before a record whose check sum was made anew."""
    kinds = [bytes((1 + what % 5, what, 4, 0x90, 1)) for what in range(_FORGED)]
    return (
        [bytes((index,)) for index in range(len(real_images()))]
        + kinds
        + [bytes.fromhex("01000090ff00011001050110 00")]
    )


TARGETS = (
    Target("journal-image", check_image, lambda: list(real_images()), _IMAGE_BYTES),
    Target("journal-rot", check_rot, _edit_seeds, 48),
    Target("journal-forged", check_forged, _edit_seeds, 48),
)
