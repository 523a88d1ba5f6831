"""The journal reads what older firmware wrote, writes the new format, and believes no record without a MAC in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.journal import Journal, JournalError, JournalFull, lost_range
from firmware.slots import FORMAT, SLOT_BYTES, decode_header, encode_record, mac_of, record_key, record_mac
from protocol.compat import hmac_sha256, sha256
from tests.firmware.journal_bench import (
    DEVICE,
    EPOCH,
    KEY,
    SECTOR_BYTES,
    SLOT,
    add,
    everything,
    make_flash,
    open_journal,
    payload,
)
from tests.firmware.old_journal import PER_SECTOR, old_flash, sealed
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from tests.firmware.ram_flash import RamFlash


def records(count: int, *lost: int) -> list[bytes]:
    return [lost_range(each, each) if each in lost else payload(each) for each in range(1, count + 1)]


def slot_of(flash: RamFlash, sequence: int) -> bytes:
    sector, slot = (sequence - 1) // PER_SECTOR, (sequence - 1) % PER_SECTOR + 1
    return bytes(flash.sectors[sector][slot * SLOT : (slot + 1) * SLOT])


def put(flash: RamFlash, sequence: int, slot: bytes) -> None:
    """Let a record's cells hold something else, as a programmer can."""
    sector, place = (sequence - 1) // PER_SECTOR, ((sequence - 1) % PER_SECTOR + 1) * SLOT
    flash.sectors[sector][place : place + SLOT] = slot


def forged(slot: bytes) -> bytes:
    """Another payload, and a check sum that holds: whoever has no key can do no more."""
    return sealed(slot[:8] + b"FORGED" + slot[14:])


# Format 1.


def test_a_journal_of_the_old_format_is_read_whole() -> None:
    for count in (1, PER_SECTOR, PER_SECTOR + 1, 4 * PER_SECTOR):
        journal = open_journal(old_flash(count))
        assert everything(journal) == records(count), count
        assert journal.next_sequence == count + 1
        assert not journal.is_unsure


def test_it_goes_on_in_a_sector_of_the_new_format() -> None:
    flash = old_flash(PER_SECTOR + 2)
    journal = open_journal(flash)
    add(journal, 2)
    versions = [decode_header(sector[:SLOT_BYTES], KEY) for sector in flash.sectors[:3]]
    assert [header.version for header in versions if header] == [1, 1, FORMAT]
    again = open_journal(flash)
    assert everything(again) == everything(journal) == records(PER_SECTOR + 4)
    assert flash.reprogrammed == 0


def test_an_old_journal_that_is_full_waits_for_an_ack() -> None:
    flash = old_flash(3 * PER_SECTOR + 2)
    journal = open_journal(flash)
    refusal(JournalFull, add, journal)
    assert everything(open_journal(flash)) == records(3 * PER_SECTOR + 2)
    journal.acknowledge(PER_SECTOR)
    add(journal)
    assert everything(open_journal(flash), PER_SECTOR + 1) == records(3 * PER_SECTOR + 3)[PER_SECTOR:]


def test_in_the_old_format_a_hole_costs_one_record_and_a_rotten_header_none() -> None:
    flash = old_flash(2 * PER_SECTOR, spoilt={3})
    assert everything(open_journal(flash)) == records(2 * PER_SECTOR, 3)
    flash = old_flash(3 * PER_SECTOR)
    flash.flip(SECTOR_BYTES + 30, 1)
    journal = open_journal(flash)
    assert everything(journal) == records(3 * PER_SECTOR)
    add(journal)
    assert everything(open_journal(flash)) == records(3 * PER_SECTOR + 1)


def test_an_old_record_whose_crc_alone_has_rotted_is_mended() -> None:
    flash = old_flash(4)
    flash.flip(2 * SLOT + SLOT - 1, 4)
    assert everything(open_journal(flash)) == records(4)


# Format 2.


def test_a_records_mac_is_what_the_specification_says() -> None:
    key = hmac_sha256(KEY, b"JQJ2\x00\x00\x00\x03")
    assert record_key(KEY, EPOCH) == key
    slots = encode_record(5, b"payload", b"8 before", key)
    own = hmac_sha256(key, slots[:-12])
    assert mac_of(slots) == own[:4] + sha256(own[4:] + b"8 before")[:4]
    assert record_mac(slots[:-12], b"8 before", key) == mac_of(slots)


def test_no_record_is_believed_by_its_check_sum_behind_a_hole() -> None:
    for sequence in (2, 3, PER_SECTOR, PER_SECTOR + 2):
        flash = make_flash()
        add(open_journal(flash), 2 * PER_SECTOR)
        put(flash, sequence - 1, bytes(SLOT))
        put(flash, sequence, forged(slot_of(flash, sequence)))
        found = everything(open_journal(flash))
        assert not any(b"FORGED" in record for record in found), sequence
        assert payload(sequence + 1) in found, "and what comes behind is known again"


def test_no_record_is_believed_at_a_sequence_that_is_not_its_own() -> None:
    flash = make_flash()
    add(open_journal(flash), 5)
    put(flash, 2, bytes(SLOT))
    third = slot_of(flash, 3)
    put(flash, 3, sealed(third[:3] + (9).to_bytes(5, "big") + third[8:]))
    journal = open_journal(flash)
    assert everything(journal) == [payload(1), lost_range(2, 3), payload(4), payload(5)]
    assert journal.next_sequence == 6


def test_no_record_of_another_epoch_or_key_is_believed_behind_a_hole() -> None:
    for key, epoch in ((KEY, EPOCH + 1), (b"another device's key", EPOCH)):
        flash, other = make_flash(), make_flash()
        add(open_journal(flash), 4)
        add(open_journal(other, key, epoch), 4)
        put(flash, 2, bytes(SLOT))
        put(flash, 3, slot_of(other, 3))
        assert everything(open_journal(flash)) == [payload(1), lost_range(2, 3), payload(4)]


def test_a_record_of_the_old_format_is_not_believed_in_a_sector_of_the_new() -> None:
    flash = make_flash()
    add(open_journal(flash), 4)
    for sequence in (2, 3):
        put(flash, sequence, slot_of(old_flash(4), sequence))
    assert everything(open_journal(flash)) == [payload(1), lost_range(2, 3), payload(4)]


# What was written again behind.


def stuck_then_written_again(count: int) -> RamFlash:
    """The last record of a sector meets a cell that keeps its value, and stands in the next one, too."""
    flash = make_flash()
    journal = open_journal(flash)
    add(journal, PER_SECTOR - 1)
    flash.stuck[PER_SECTOR * SLOT + 20] = 0
    add(journal, count)
    assert decode_header(flash.sectors[1][:SLOT_BYTES], KEY) is not None
    return flash


def told_by(flash: RamFlash) -> list[int]:
    """Return the sequences of the records that a start is told."""
    told: list[int] = []
    Journal(flash, KEY, DEVICE, EPOCH).recover(lambda sequence, _: told.append(sequence))
    return told


def test_a_record_that_was_written_again_is_told_once_even_if_that_header_rots() -> None:
    for count in (1, 2, PER_SECTOR):
        flash = stuck_then_written_again(count)
        flash.stuck.clear()
        flash.flip(SECTOR_BYTES + 30, 1)
        total = PER_SECTOR - 1 + count
        assert told_by(flash) == list(range(1, total + 1)), count
        journal = open_journal(flash)
        assert everything(journal) == records(total)
        assert not journal.is_unsure
        add(journal)
        assert everything(open_journal(flash)) == records(total + 1)


def test_a_rotten_end_and_a_rotten_header_behind_it_lose_the_end_alone() -> None:
    flash = make_flash()
    add(open_journal(flash), PER_SECTOR + 3)
    put(flash, PER_SECTOR, bytes(SLOT))
    flash.flip(SECTOR_BYTES + 30, 1)
    journal = open_journal(flash)
    assert everything(journal) == records(PER_SECTOR + 3, PER_SECTOR)
    assert journal.next_sequence == PER_SECTOR + 4
    add(journal)
    assert everything(open_journal(flash)) == records(PER_SECTOR + 4, PER_SECTOR)


# The acknowledged mark.


def test_the_newest_header_knows_the_mark_even_if_it_went_back() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    add(journal, PER_SECTOR)
    journal.acknowledge(PER_SECTOR - 1)
    add(journal, 1)
    head = journal.head_at(2)
    assert head is not None
    assert open_journal(flash).acked == PER_SECTOR - 1
    assert journal.join(2, head), "a service that was restored has less"
    assert journal.acked == 2
    add(journal, PER_SECTOR)
    assert open_journal(flash).acked == 2


# No header is left.


def test_what_is_left_is_read_even_if_no_header_is() -> None:
    for gone in (0, 1):
        flash = make_flash()
        add(open_journal(flash), 2 * PER_SECTOR)
        for sector in range(2):
            flash.flip(sector * SECTOR_BYTES + 30, 1)
        if gone:
            flash.sectors[0][:] = b"\xff" * SECTOR_BYTES
        journal = open_journal(flash)
        assert journal.next_sequence == 2 * PER_SECTOR + 1, "no sequence is used twice"
        assert journal.is_unsure == bool(gone)
        expected = [lost_range(1, PER_SECTOR)] if gone else records(PER_SECTOR)
        assert everything(journal) == expected + records(2 * PER_SECTOR)[PER_SECTOR:]
        add(journal)
        assert everything(journal) == expected + records(2 * PER_SECTOR + 1)[PER_SECTOR:]
        assert open_journal(flash).next_sequence == 2 * PER_SECTOR + 2


def test_records_behind_several_rotten_headers_are_found() -> None:
    flash = make_flash()
    add(open_journal(flash), 4 * PER_SECTOR)
    for sector in (1, 2, 3):
        flash.flip(sector * SECTOR_BYTES + 30, 1)
    flash.sectors[2][SLOT:] = bytes(SECTOR_BYTES - SLOT)
    journal = open_journal(flash)
    assert journal.next_sequence == 4 * PER_SECTOR + 1
    middle = [lost_range(2 * PER_SECTOR + 1, 3 * PER_SECTOR)]
    assert everything(journal) == records(2 * PER_SECTOR) + middle + records(4 * PER_SECTOR)[3 * PER_SECTOR :]
    journal.acknowledge(4 * PER_SECTOR)
    add(journal)
    assert open_journal(flash).next_sequence == 4 * PER_SECTOR + 2


def test_a_rotten_first_header_is_no_hindrance_once_much_is_acknowledged() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    add(journal, 3 * PER_SECTOR)
    journal.acknowledge(3 * PER_SECTOR)
    add(journal, 1)
    flash.flip(30, 1)
    journal = open_journal(flash)
    assert journal.acked == 3 * PER_SECTOR
    assert everything(journal) == records(3 * PER_SECTOR + 1)
    asked: list[bytes] = []

    def is_kept(record: bytes) -> bool:
        asked.append(record)
        return True

    assert journal.erase_ahead(is_kept), "nobody can say how old it is"
    assert asked == []


def test_sectors_in_another_order_are_not_believed() -> None:
    flash = make_flash()
    add(open_journal(flash), 3 * PER_SECTOR)
    flash.sectors[1], flash.sectors[2] = flash.sectors[2], flash.sectors[1]
    journal = open_journal(flash)
    expected = records(3 * PER_SECTOR)
    expected[PER_SECTOR : 2 * PER_SECTOR] = [lost_range(PER_SECTOR + 1, 2 * PER_SECTOR)]
    assert everything(journal) == expected
    assert journal.is_unsure


def test_garbage_without_a_header_is_an_empty_journal() -> None:
    flash = make_flash()
    flash.load([bytes(SECTOR_BYTES), b"\xe1" * SECTOR_BYTES, b"\xff" * SECTOR_BYTES, bytes(SECTOR_BYTES)])
    journal = open_journal(flash)
    assert (journal.next_sequence, journal.is_unsure) == (1, False)
    add(journal, 4 * PER_SECTOR)
    assert everything(open_journal(flash)) == records(4 * PER_SECTOR)


def test_a_flash_on_which_no_header_holds_says_what_to_do() -> None:
    flash = make_flash()
    for sector in range(4):
        flash.stuck[sector * SECTOR_BYTES + 9] = 0xEE
    journal = open_journal(flash)
    for _ in range(2):
        assert "replace it" in str(refusal(JournalError, add, journal))


def test_all_that_rotted_at_the_end_is_lost_and_no_sequence_used_again() -> None:
    for first in (2, 3):
        flash = make_flash()
        add(open_journal(flash), 4)
        for sequence in range(first, 5):
            flash.flip(sequence * SLOT + 20, 1)
        journal = open_journal(flash)
        assert journal.next_sequence == 5
        expected = records(4)[: first - 1]
        expected.append(lost_range(first, 4))
        assert everything(journal) == expected
