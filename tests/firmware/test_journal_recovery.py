"""What power cuts, rot and bad cells do to the journal, case by case."""

from __future__ import annotations

from firmware.journal import Journal, JournalError, JournalFull, lost_range
from firmware.slots import HEADER_REBASED, decode_header
from protocol.tap import KIND_LOST_RANGE, decode_tap, last_sequence
from tests.firmware.journal_bench import (
    DEVICE,
    EPOCH,
    KEY,
    SECTOR_BYTES,
    SLOT,
    add,
    everything,
    heads,
    make_flash,
    open_journal,
    payload,
)
from tests.firmware.ram_flash import PowerCut, RamFlash
from tests.protocol.expect import refusal

PER_SECTOR = 7


def place_of(sequence: int) -> int:
    """The address of a one-slot record that was written on a new flash."""
    sector, slot = (sequence - 1) // PER_SECTOR, (sequence - 1) % PER_SECTOR
    return sector * SECTOR_BYTES + (slot + 1) * SLOT


def written(count: int, sectors: int = 4) -> RamFlash:
    flash = make_flash(sectors)
    add(open_journal(flash), count)
    return flash


def rot(flash: RamFlash, place: int) -> None:
    """Flip a bit that was programmed."""
    while flash.byte(place) == 0xFF:
        place += 1
    cleared = ~flash.byte(place) & 0xFF
    flash.flip(place, cleared & -cleared)


def records_with(count: int, *lost: tuple[int, int]) -> list[bytes]:
    """What is read of one-slot records of which some are lost."""
    records = []
    sequence = 1
    while sequence <= count:
        ends = [last for first, last in lost if first == sequence]
        records.append(lost_range(sequence, ends[0]) if ends else payload(sequence))
        sequence = ends[0] + 1 if ends else sequence + 1
    return records


def open_journal_telling(flash: RamFlash, told: list[tuple[int, bytes]]) -> Journal:
    journal = Journal(flash, KEY, DEVICE, EPOCH)
    journal.recover(lambda sequence, record: told.append((sequence, record)))
    return journal


# Power cuts.


def test_a_record_torn_at_any_byte_is_skipped_and_its_sequence_used_again() -> None:
    whole = written(2)
    for cut in range(3 * SLOT):
        flash = make_flash()
        flash.load(whole.image())
        journal = open_journal(flash)
        flash.cut_after_bytes = cut
        refusal(PowerCut, add, journal, 1, 364)
        again = open_journal(flash)
        assert everything(again) == [payload(1), payload(2)], cut
        assert not again.is_unsure, cut
        add(again)
        assert everything(open_journal(flash)) == [payload(1), payload(2), payload(3)], cut
        assert flash.reprogrammed == 0, cut


def test_a_record_that_was_programmed_to_its_last_byte_is_kept() -> None:
    flash = written(2)
    journal = open_journal(flash)
    flash.cut_after_bytes = SLOT
    add(journal)
    assert everything(open_journal(flash)) == [payload(1), payload(2), payload(3)]


def test_a_header_torn_at_any_byte_is_written_again() -> None:
    whole = written(PER_SECTOR)
    for cut in range(SLOT):
        flash = make_flash()
        flash.load(whole.image())
        journal = open_journal(flash)
        flash.cut_after_bytes = cut
        refusal(PowerCut, add, journal)
        again = open_journal(flash)
        assert (again.next_sequence, again.torn) == (PER_SECTOR + 1, 0), cut
        add(again, 2)
        assert everything(open_journal(flash)) == [payload(each) for each in range(1, PER_SECTOR + 3)], cut
        assert flash.reprogrammed == 0, cut


def test_a_half_erased_sector_takes_nothing_with_it() -> None:
    flash = written(4 * PER_SECTOR)
    journal = open_journal(flash)
    journal.acknowledge(PER_SECTOR + 3)
    flash.cut_after_bytes = 0
    refusal(PowerCut, journal.erase_ahead)
    again = open_journal(flash)
    assert (again.acked, again.oldest_sequence) == (PER_SECTOR, PER_SECTOR + 1)
    assert everything(again, PER_SECTOR + 1)[0] == payload(PER_SECTOR + 1)
    add(again, PER_SECTOR)
    assert flash.erases == 2, "the half-erased one, once more"
    refusal(JournalFull, add, again)


def test_a_cut_between_erase_and_header_does_not_lose_the_ack() -> None:
    flash = written(4 * PER_SECTOR)
    journal = open_journal(flash)
    journal.acknowledge(PER_SECTOR)
    assert journal.erase_ahead()
    again = open_journal(flash)
    assert again.acked == PER_SECTOR
    assert again.head == journal.head
    assert not again.is_unsure
    add(again, 1)
    assert open_journal(flash).acked == PER_SECTOR


def test_the_ack_in_a_header_is_remembered() -> None:
    flash = written(PER_SECTOR)
    journal = open_journal(flash)
    journal.acknowledge(5)
    assert open_journal(flash).acked == 0
    add(journal)
    assert open_journal(flash).acked == 5


def test_a_start_is_told_the_unacknowledged_part_and_the_last_two_sectors() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    add(journal, 2 * PER_SECTOR)
    journal.acknowledge(2 * PER_SECTOR)
    add(journal, 3)
    told: list[tuple[int, bytes]] = []
    again = open_journal_telling(flash, told)
    assert told == [(each, payload(each)) for each in range(PER_SECTOR + 1, 2 * PER_SECTOR + 4)]
    assert again.next_sequence == 2 * PER_SECTOR + 4


# Rot.


def test_a_lost_record_becomes_a_lost_range_the_same_at_each_reading() -> None:
    for lost in (2, PER_SECTOR, PER_SECTOR + 1, 10):
        flash = written(2 * PER_SECTOR + 3)
        rot(flash, place_of(lost) + 40)
        first = open_journal(flash)
        expected = records_with(2 * PER_SECTOR + 3, (lost, lost))
        assert everything(first) == expected, lost
        assert everything(first) == everything(open_journal(flash)) == expected, lost
        assert first.is_unsure
        tap = decode_tap(expected[lost - 1])
        assert (tap.kind, tap.sequence, last_sequence(tap)) == (KIND_LOST_RANGE, lost, lost)


def test_several_holes_are_several_lost_ranges() -> None:
    flash = written(3 * PER_SECTOR)
    for lost in (2, 3, 4, 7, 8, 15, 21):
        rot(flash, place_of(lost) + 5)
    expected = records_with(3 * PER_SECTOR, (2, 4), (7, 7), (8, 8), (15, 15), (21, 21))
    journal = open_journal(flash)
    assert everything(journal) == expected
    assert journal.next_sequence == 3 * PER_SECTOR + 1
    chain = heads(expected)
    assert journal.head_at(4) == chain[2]
    assert journal.records_from(5, 3, 1000) == (chain[2], expected[2:5], chain[5], 8)


def test_any_flipped_bit_of_a_record_is_noticed_and_some_are_mended() -> None:
    whole = written(5)
    for index in range(SLOT):
        flash = make_flash()
        flash.load(whole.image())
        flash.flip(place_of(3) + index, 1 << index % 8)
        is_said_twice = index == 0 or index >= SLOT - 4
        assert everything(open_journal(flash)) == records_with(5, *(() if is_said_twice else ((3, 3),))), index


def test_the_chain_goes_on_behind_a_hole_and_stays_what_it_was_read_as() -> None:
    flash = written(PER_SECTOR + 3)
    rot(flash, place_of(4) + 8)
    journal = open_journal(flash)
    assert everything(journal) == records_with(PER_SECTOR + 3, (4, 4))
    add(journal, 3)
    expected = records_with(PER_SECTOR + 6, (4, 4))
    assert everything(journal) == everything(open_journal(flash)) == expected
    header = decode_header(flash.sectors[2][:SLOT], KEY)
    assert header is not None, "the old headers name the old chain, so the next record opens a sector"
    assert header.flags & HEADER_REBASED
    assert header.head_before == heads(expected)[PER_SECTOR + 3]


def test_a_record_that_rots_while_the_program_runs_is_lost_in_the_same_way() -> None:
    for lost in (3, PER_SECTOR + 2, 2 * PER_SECTOR + 3):
        flash = written(2 * PER_SECTOR)
        journal = open_journal(flash)
        add(journal, 3)
        rot(flash, place_of(lost) + 8)
        journal.records_from(1, 50, 10_000)
        expected = records_with(2 * PER_SECTOR + 3, (lost, lost))
        assert everything(journal) == expected, lost
        assert journal.is_unsure
        add(journal)
        assert everything(journal) == everything(open_journal(flash)) == records_with(2 * PER_SECTOR + 4, (lost, lost))


def test_the_sequence_of_the_last_record_is_not_used_again_when_it_rots() -> None:
    for count in (1, PER_SECTOR - 1, PER_SECTOR, PER_SECTOR + 1):
        flash = written(count)
        rot(flash, place_of(count) + 20)
        journal = open_journal(flash)
        assert journal.next_sequence == count + 1
        assert everything(journal) == records_with(count, (count, count))
        add(journal)
        assert everything(open_journal(flash)) == records_with(count + 1, (count, count))


def test_behind_a_rotten_header_the_records_are_still_there() -> None:
    for sector in (1, 2, 3):
        flash = written(3 * PER_SECTOR + 2)
        rot(flash, sector * SECTOR_BYTES + 30)
        journal = open_journal(flash)
        assert (journal.oldest_sequence, journal.acked) == (1, 0), sector
        assert everything(journal) == records_with(3 * PER_SECTOR + 2), sector
        assert not journal.is_unsure


def test_two_rotten_headers_and_a_hole_lose_what_rotted_and_no_more() -> None:
    flash = written(4 * PER_SECTOR)
    for sector in (1, 2):
        rot(flash, sector * SECTOR_BYTES + 30)
    assert everything(open_journal(flash)) == records_with(4 * PER_SECTOR)
    rot(flash, place_of(10) + 9)
    expected = records_with(4 * PER_SECTOR, (10, 10))
    assert everything(open_journal(flash)) == expected


def test_the_newest_header_may_rot_and_sequences_go_on() -> None:
    flash = written(PER_SECTOR + 3)
    rot(flash, SECTOR_BYTES + 20)
    journal = open_journal(flash)
    assert journal.next_sequence == PER_SECTOR + 4
    add(journal, 2)
    assert everything(open_journal(flash)) == records_with(PER_SECTOR + 5)
    assert flash.reprogrammed == 0


def test_old_records_behind_a_rotten_header_are_not_taken_for_new_ones() -> None:
    flash = written(4 * PER_SECTOR)
    young = open_journal(flash, epoch=EPOCH + 1)
    add(young, PER_SECTOR)
    rot(flash, SECTOR_BYTES + 30)
    again = open_journal(flash, epoch=EPOCH + 1)
    assert everything(again) == records_with(PER_SECTOR)


# What the service says after something was lost.


def test_the_service_may_have_stored_a_record_before_it_rotted() -> None:
    for lost, acked in ((3, 3), (3, 5), (PER_SECTOR + 2, PER_SECTOR + 3), (3, PER_SECTOR + 2), (10, 10)):
        flash = written(PER_SECTOR + 3)
        original = heads(records_with(PER_SECTOR + 3))
        rot(flash, place_of(lost) + 8)
        journal = open_journal(flash)
        states = [journal.is_unsure]
        assert journal.join(acked, original[acked]), (lost, acked)
        states.append(journal.is_unsure)
        assert states == [True, False]
        journal.acknowledge(acked)
        assert everything(journal, acked + 1) == records_with(PER_SECTOR + 3)[acked:]
        assert journal.head == original[-1]
        add(journal, 2)
        again = open_journal(flash)
        assert again.head == heads([payload(PER_SECTOR + 4), payload(PER_SECTOR + 5)], original[-1])[-1]


def test_the_service_may_have_stored_the_lost_range() -> None:
    for acked_records in (4, 6, PER_SECTOR + 2):
        flash = written(2 * PER_SECTOR)
        rot(flash, place_of(3) + 8)
        chain = heads(records_with(2 * PER_SECTOR, (3, 3)))
        journal = open_journal(flash)
        assert journal.join(acked_records, chain[acked_records])
        journal.acknowledge(acked_records)
        add(journal, 2)
        again = open_journal(flash)
        assert again.join(2 * PER_SECTOR, chain[-1])
        assert again.head == journal.head


def test_a_chain_that_is_not_ours_is_not_joined_where_nothing_is_lost() -> None:
    flash = written(2 * PER_SECTOR)
    journal = open_journal(flash)
    for sequence in range(1, 2 * PER_SECTOR + 1):
        assert not journal.join(sequence, bytes(32))
    rot(flash, place_of(2) + 8)
    again = open_journal(flash)
    for sequence in range(PER_SECTOR, 2 * PER_SECTOR + 1):
        assert not again.join(sequence, bytes(32)), "the header behind the hole vouches for it"


def test_what_the_service_lacks_and_nobody_has_becomes_a_lost_range() -> None:
    flash = written(4 * PER_SECTOR)
    journal = open_journal(flash)
    journal.acknowledge(PER_SECTOR)
    add(journal, 2)
    rot(flash, SECTOR_BYTES + 20)
    again = open_journal(flash)
    assert again.oldest_sequence == 2 * PER_SECTOR + 1, "nothing vouches for what is behind the oldest header"
    chain = heads(records_with(PER_SECTOR + 3))
    head = chain[PER_SECTOR + 3]
    assert again.join(PER_SECTOR + 3, head)
    gap = lost_range(PER_SECTOR + 4, 2 * PER_SECTOR)
    before, records, after, following = again.records_from(PER_SECTOR + 4, 2, 1000)
    assert (before, records, following) == (head, [gap, payload(2 * PER_SECTOR + 1)], 2 * PER_SECTOR + 2)
    restarted = open_journal(flash)
    assert restarted.is_unsure, "a sector was opened at once: it names another chain than what lies before leads to"
    assert restarted.join(2 * PER_SECTOR + 1, after)
    assert restarted.records_from(2 * PER_SECTOR + 2, 1, 1000)[:2] == (after, [payload(2 * PER_SECTOR + 2)])
    assert restarted.head == again.head


def test_the_oldest_header_of_all_is_not_missed() -> None:
    for count in (1, 3, PER_SECTOR, 2 * PER_SECTOR + 1):
        flash = written(count)
        rot(flash, 30)
        journal = open_journal(flash)
        assert everything(journal) == records_with(count), "the first record is chained to device and epoch"
        add(journal, 2)
        assert everything(open_journal(flash)) == records_with(count + 2)
        assert flash.reprogrammed == 0


# Bad cells.


def test_a_stuck_cell_costs_slots_and_no_record() -> None:
    for slots_bad in (1, 2):
        flash = make_flash()
        journal = open_journal(flash)
        add(journal, 2)
        for bad in range(slots_bad):
            flash.stuck[place_of(3 + bad) + 10] = 0x00
        add(journal, 3)
        assert everything(journal) == records_with(5)
        again = open_journal(flash)
        assert everything(again) == records_with(5)
        assert (again.torn, again.is_unsure) == (slots_bad, False)
        assert flash.reprogrammed == 0


def test_a_power_cut_between_a_failed_program_and_its_repetition_uses_no_sequence_twice() -> None:
    flash = written(2)
    journal = open_journal(flash)
    flash.stuck[place_of(3) + 10] = 0x00
    flash.cut_after_bytes = SLOT
    refusal(PowerCut, add, journal)
    again = open_journal(flash)
    assert everything(again) == records_with(3, (3, 3))


def test_a_sector_that_takes_no_header_is_passed_over() -> None:
    flash = make_flash(5)
    flash.stuck[SECTOR_BYTES + 3] = 0x00
    journal = open_journal(flash)
    add(journal, 2 * PER_SECTOR)
    assert everything(journal) == records_with(2 * PER_SECTOR)
    assert everything(open_journal(flash)) == records_with(2 * PER_SECTOR)
    for sequence in range(2 * PER_SECTOR + 1, 100):
        journal.acknowledge(sequence - 5)
        add(journal)
        if sequence % 9 == 0:
            journal.erase_ahead()
        if sequence % 10 == 0:
            journal = open_journal(flash)
        oldest = journal.oldest_sequence
        assert everything(journal, oldest) == records_with(sequence)[oldest - 1 :]


def test_a_flash_that_keeps_nothing_is_told_to_be_replaced() -> None:
    flash = make_flash(3)
    for sector in range(3):
        flash.stuck[sector * SECTOR_BYTES + 3] = 0x00
    assert "replace it" in refusal(JournalError, add, open_journal(flash))
    flash = make_flash(3)
    for slot in range(1, 8):
        flash.stuck[slot * SLOT + 10] = 0x00
    assert "replace it" in refusal(JournalError, add, open_journal(flash))
