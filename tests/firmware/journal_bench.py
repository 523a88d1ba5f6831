"""A journal on flash in memory, and records of any size for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.journal import Journal
from protocol.batch import genesis_head, next_head
from tests.firmware.ram_flash import RamFlash

if TYPE_CHECKING:
    from firmware.boards.board import Flash

KEY = b"journal key of this device......"
DEVICE = b"sixteen bytes id"
EPOCH = 3
GENESIS = genesis_head(DEVICE, EPOCH)
# Eight slots a sector: a header and seven for records.
SECTOR_BYTES = 1024
SLOT = 128
# Payloads that fill one to four slots to the last byte.
SIZES = (108, 236, 364, 492)


def make_flash(sectors: int = 4) -> RamFlash:
    return RamFlash(sectors, SECTOR_BYTES)


def open_journal(flash: Flash, key: bytes = KEY, epoch: int = EPOCH) -> Journal:
    """Return the journal as it is after a start."""
    journal = Journal(flash, key, DEVICE, epoch)
    journal.recover()
    return journal


def payload(sequence: int, size: int = 60) -> bytes:
    """Return a record of so many bytes, none like another."""
    start = b"record " + str(sequence).encode() + b" "
    return (start * (size // len(start) + 1))[:size]


def add(journal: Journal, count: int = 1, size: int = 60) -> None:
    for _ in range(count):
        journal.append(lambda sequence: payload(sequence, size))


def everything(journal: Journal, sequence: int = 1) -> list[bytes]:
    """Return all records from a sequence on; the chain over them must lead to the journal's head."""
    before, records, after, following = journal.records_from(sequence, 10_000, 1_000_000)
    head = before
    for record in records:
        head = next_head(head, record)
    assert head == after == journal.head
    assert following == journal.next_sequence
    return records


def heads(records: list[bytes], head: bytes = GENESIS) -> list[bytes]:
    """Return the chain head before the first record, and after each."""
    found = [head]
    for record in records:
        found.append(next_head(found[-1], record))
    return found
