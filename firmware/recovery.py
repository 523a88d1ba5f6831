"""What the journal finds on flash at a start. It belongs to `Journal`, is needed once, and then forgotten to save memory.

What a power cut leaves:

- A torn record at the end is skipped; its sequence was promised to nobody and is used by the next record.
- A torn header, or a half-erased sector, is erased when its turn comes. Without a header there are no records in it, because
  the header is written first.
- The acknowledged mark is only a hint, stored when a sector is opened. After a cut it may be old: records are then sent again,
  which the clearing service expects. The sequence before the oldest live sector is a floor under it, since a sector is erased
  only when all of it was acknowledged. A service that was restored from a backup may have less than the newest header says: it
  answers so, and `join` goes back.

What rots. A record that cannot be read amid good ones is a hole. A LOST_RANGE record that covers it is derived from its
neighbours, the same bytes at each reading, so that sync never waits for what nobody can send. A record at the very end that was
programmed whole and cannot be read is a hole, too: it may have been promised, unless it was written again behind. Records behind
a header that cannot be read are still found by their MACs. A flash written with another key is refused, never silently reused.
"""
# ruff: noqa: SLF001 - it is the part of the journal that is forgotten

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.chain import lost_range
from firmware.ring import JournalError
from firmware.slots import FORMAT, HEADER_REBASED, is_header
from protocol.batch import next_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.journal import Journal
    from firmware.sectors import Cursor
    from firmware.slots import SectorHeader

    Told = Callable[[int, bytes], None] | None


def recover(journal: Journal, on_record: Told) -> None:
    """Set a new journal to what is on its flash.

    Raises:
        JournalError: the flash holds the journal of another device.
    """
    numbers = _read_headers(journal)
    if 1 not in numbers:
        sector = _where_it_begins(journal, numbers)
        if sector >= 0:
            numbers[sector] = journal._first[sector] = 1
    journal._number = max(numbers)
    if not journal._number:
        return
    _find_ends(journal, numbers)
    journal.acked = max(journal.acked, journal.oldest_sequence - 1)
    _walk(journal, on_record)


def _read_headers(journal: Journal) -> list[int]:
    """Return the number of each sector with a readable header, 0 for the others."""
    sectors = journal._sectors
    numbers = []
    newest = 0
    is_foreign = False
    for sector in range(sectors.count):
        header = sectors.header(sector)
        numbers.append(header.number if header is not None else 0)
        if header is None:
            is_foreign = is_foreign or sectors.is_foreign(sector)
            sectors.note_blank(sector)
            continue
        journal._first[sector] = header.first_sequence
        if header.number > newest:
            newest = header.number
            journal.acked = header.acked_sequence
    if is_foreign:
        raise JournalError(
            "the flash holds the journal of another device: read it out with that device's key, then erase it"
        )
    return numbers


def _where_it_begins(journal: Journal, numbers: list[int]) -> int:
    """Return the sector where the journal begins behind a header that cannot be read, or -1.

    That is the first one, with the first record; anywhere, with the lowest, if no header is left at all.
    """
    is_lost = not max(numbers)
    found, lowest = -1, 0
    for sector in range(journal._sectors.count if is_lost else 1):
        if _has_lost_its_header(journal, sector):
            for first, last, payload in journal._sectors.records(sector, None, journal._cursor(1)):
                sequence = last + 1 if payload is None else first
                if found < 0 or sequence < lowest:
                    found, lowest = sector, sequence
                break
    return found if is_lost or lowest == 1 else -1


def _has_lost_its_header(journal: Journal, sector: int) -> bool:
    """Return whether there may be records without a header: a blank sector, or one of another epoch, is not read for nothing."""
    return not journal._sectors.is_known_blank(sector) and not is_header(journal._sectors._read(sector, 0, 1))


def _find_ends(journal: Journal, numbers: list[int]) -> None:
    """Find the newest and the oldest sector: they are opened round the ring, so going back their numbers fall."""
    journal._newest = journal._oldest = numbers.index(journal._number)
    sector = journal._newest
    for _ in range(journal._sectors.count - 1):
        sector = (sector - 1) % journal._sectors.count
        if numbers[sector] > numbers[journal._oldest]:
            break
        if numbers[sector]:
            journal._oldest = sector
    for sector in range(journal._sectors.count):
        if not journal._is_live(sector):
            journal._first[sector] = 0


def _walk(journal: Journal, on_record: Told) -> None:
    start = journal._sector_of(journal.acked + 1)
    if start == journal._newest and start != journal._oldest:
        start = journal._sector_of(journal._first[start] - 1)
    journal._anchor_at(start)
    journal.head = journal._anchor_head
    journal.next_sequence = journal._anchor + 1
    cursor = journal._cursor(journal.next_sequence)
    for first, last, payload, following in journal._walk(start, cursor):
        if following is not None:
            _pass_header(journal, following)
        else:
            _take(journal, first, last, payload, on_record)
    journal.torn = cursor.torn
    journal._slot = cursor.slot
    doubtful = cursor.doubtful
    if not _walk_past_rotten_headers(journal, cursor, on_record) and doubtful:
        _take(journal, cursor.expected, cursor.expected + doubtful - 1, None, on_record)
    assert cursor.mac is not None
    journal._mac = cursor.mac
    header = journal._sectors.header(journal._newest)
    if journal._rebase or header is None or header.version != FORMAT:
        journal._slot = journal._sectors.slots


def _pass_header(journal: Journal, header: SectorHeader) -> None:
    """Compare the chain with the one that was known when a sector was opened, and go on with what can be believed."""
    journal._rebase = header.head_before != journal.head
    if not journal._rebase:
        return
    journal.is_unsure = True
    if header.flags & HEADER_REBASED or header.first_sequence - 1 <= journal.acked:
        journal._anchor, journal._anchor_head = header.first_sequence - 1, header.head_before
        journal.head = header.head_before
        journal._rebase = False


def _take(journal: Journal, first: int, last: int, payload: bytes | None, on_record: Told) -> None:
    if payload is None:
        journal._lost = last
        journal.is_unsure = True
        payload = lost_range(first, last)
    journal.head = next_head(journal.head, payload)
    journal.next_sequence = last + 1
    if on_record is not None:
        on_record(first, payload)


def _walk_past_rotten_headers(journal: Journal, cursor: Cursor, on_record: Told) -> bool:
    """Find the records behind the newest header if they go on in sectors whose own headers cannot be read."""
    is_found = False
    sector = journal._newest
    for _ in range(1, journal._sectors.count):
        sector = (sector + 1) % journal._sectors.count
        if journal._is_live(sector) or not _has_lost_its_header(journal, sector):
            continue
        expected = cursor.expected
        for first, last, payload in journal._sectors.records(sector, None, cursor):
            _take(journal, first, last, payload, on_record)
        if cursor.expected != expected:
            is_found = True
            # What lies between counts, too: numbers rise round the ring.
            journal._number += (sector - journal._newest) % journal._sectors.count
            journal._newest = sector
    return is_found
