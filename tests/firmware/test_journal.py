"""The journal in everyday use: appending, reading, freeing, and a ring that is full."""

from __future__ import annotations

from firmware.journal import JournalError, JournalFull
from protocol.errors import LocalProtocolError
from tests.firmware.journal_bench import (
    EPOCH,
    GENESIS,
    SIZES,
    add,
    everything,
    heads,
    make_flash,
    open_journal,
    payload,
)
from tests.protocol.expect import refusal

PER_SECTOR = 7


def test_a_new_flash_is_an_empty_journal() -> None:
    journal = open_journal(make_flash())
    assert (journal.next_sequence, journal.acked, journal.oldest_sequence) == (1, 0, 1)
    assert journal.records_from(1, 10, 1000) == (GENESIS, [], GENESIS, 1)
    assert journal.head_at(0) == GENESIS
    assert journal.head_at(1) is None
    assert journal.free_slots == 4 * PER_SECTOR
    assert not journal.erase_ahead()
    assert not journal.is_unsure


def test_sequences_follow_on_from_one_and_records_come_back() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    told: list[int] = []

    def make(sequence: int) -> bytes:
        told.append(sequence)
        return payload(sequence)

    assert [journal.append(make) for _ in range(10)] == told == list(range(1, 11))
    assert everything(journal) == [payload(sequence) for sequence in told]
    again = open_journal(flash)
    assert everything(again) == everything(journal)
    assert (again.head, again.next_sequence, again.torn) == (journal.head, 11, 0)
    assert flash.reprogrammed == 0


def test_records_of_all_sizes_come_back() -> None:
    for size in SIZES:
        for shorter in (0, 1, 107):
            flash = make_flash()
            add(open_journal(flash), 4, size - shorter)
            assert everything(open_journal(flash)) == [payload(each, size - shorter) for each in range(1, 5)], size
            assert flash.reprogrammed == 0


def test_a_record_that_does_not_fit_into_the_rest_of_a_sector_begins_the_next_one() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    for sequence, size in enumerate((492, 364, 492, 364, 60), 1):
        add(journal, 1, size)
        assert everything(open_journal(flash))[-1] == payload(sequence, size)


def test_a_record_that_cannot_be_made_leaves_no_trace() -> None:
    def fail(_: int) -> bytes:
        raise LocalProtocolError("no")

    journal = open_journal(make_flash())
    add(journal)
    refusal(LocalProtocolError, journal.append, fail)
    add(journal)
    assert everything(journal) == [payload(1), payload(2)]


def test_the_ring_goes_round_while_the_service_acknowledges() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    for sequence in range(1, 200):
        add(journal)
        if sequence % 5 == 0:
            journal.acknowledge(sequence - 3)
    all_records = [payload(sequence) for sequence in range(1, 200)]
    oldest = journal.oldest_sequence
    assert 192 - 4 * PER_SECTOR < oldest <= 192
    assert everything(journal, oldest) == all_records[oldest - 1 :]
    again = open_journal(flash)
    assert (again.oldest_sequence, again.next_sequence) == (oldest, 200)
    assert everything(again, oldest) == all_records[oldest - 1 :]
    assert again.head_at(oldest - 1) == heads(all_records)[oldest - 1]
    assert flash.reprogrammed == 0


def test_a_full_ring_refuses_and_keeps_everything() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    add(journal, 4 * PER_SECTOR)
    assert journal.free_slots == 0
    before = flash.image()
    for _ in range(3):
        refusal(JournalFull, add, journal)
    assert flash.image() == before
    assert journal.next_sequence == 4 * PER_SECTOR + 1
    assert everything(journal) == [payload(sequence) for sequence in range(1, 4 * PER_SECTOR + 1)]
    refusal(JournalFull, add, open_journal(flash))


def test_only_a_wholly_acknowledged_sector_is_used_again() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    add(journal, 4 * PER_SECTOR)
    journal.acknowledge(PER_SECTOR - 1)
    refusal(JournalFull, add, journal)
    journal.acknowledge(PER_SECTOR)
    assert journal.free_slots == PER_SECTOR
    add(journal, PER_SECTOR)
    refusal(JournalFull, add, journal)
    assert everything(journal, journal.oldest_sequence)[0] == payload(PER_SECTOR + 1)


def test_an_ack_never_goes_back_nor_beyond_what_was_written() -> None:
    journal = open_journal(make_flash())
    add(journal, 10)
    journal.acknowledge(7)
    journal.acknowledge(3)
    assert journal.acked == 7
    journal.acknowledge(99)
    assert journal.acked == 10


def test_the_outcome_of_a_debit_always_has_a_place() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    add(journal, 4 * PER_SECTOR - 3)
    journal.append(payload, 2)
    refusal(JournalFull, journal.append, payload, 2)
    add(journal, 1, 200)
    assert everything(journal)[-1] == payload(4 * PER_SECTOR - 1, 200)
    assert journal.free_slots == 0


def test_room_that_must_be_left_may_lie_in_the_next_sector() -> None:
    journal = open_journal(make_flash())
    add(journal, PER_SECTOR - 1)
    journal.append(payload, 2)
    add(journal, 1, 200)
    assert journal.oldest_sequence == 1
    assert journal.free_slots == 3 * PER_SECTOR - 2


def test_records_are_read_from_any_place_within_any_limit() -> None:
    journal = open_journal(make_flash())
    add(journal, 20, 100)
    records = [payload(sequence, 100) for sequence in range(1, 21)]
    chain = heads(records)
    for start in range(1, 22):
        for limit in (0, 1, 6, 50):
            found = journal.records_from(start, limit, 100_000)
            end = min(start - 1 + limit, 20)
            assert found == (chain[start - 1], records[start - 1 : end], chain[max(end, start - 1)], end + 1), start
        assert journal.head_at(start - 1) == chain[start - 1]
    assert journal.records_from(50, 5, 1000) == (chain[20], [], chain[20], 21)


def test_a_batch_is_no_longer_than_it_may_be() -> None:
    journal = open_journal(make_flash())
    add(journal, 10, 100)
    for bytes_max, count in ((99, 0), (100, 1), (202, 1), (203, 2), (300, 2), (306, 3), (10_000, 10)):
        assert len(journal.records_from(1, 50, bytes_max)[1]) == count, bytes_max


def test_heads_are_known_for_what_is_still_there() -> None:
    journal = open_journal(make_flash())
    add(journal, 4 * PER_SECTOR)
    journal.acknowledge(2 * PER_SECTOR)
    add(journal, 1)
    oldest = journal.oldest_sequence
    assert oldest == PER_SECTOR + 1
    chain = heads([payload(sequence) for sequence in range(1, 4 * PER_SECTOR + 2)])
    assert journal.head_at(oldest - 2) is None
    assert journal.head_at(oldest - 1) == chain[oldest - 1]
    assert journal.head_at(journal.next_sequence) is None


def test_a_sector_is_erased_ahead_once_and_only_when_it_is_free() -> None:
    flash = make_flash()
    journal = open_journal(flash)
    add(journal, 3 * PER_SECTOR + 2)
    assert not journal.erase_ahead(), "nothing is acknowledged"
    journal.acknowledge(PER_SECTOR)
    assert journal.erase_ahead()
    assert not journal.erase_ahead()
    assert (flash.erases, journal.oldest_sequence) == (1, PER_SECTOR + 1)
    add(journal, PER_SECTOR)
    assert flash.erases == 1, "no tap waits for an erase"
    assert open_journal(flash).oldest_sequence == PER_SECTOR + 1


def test_a_blank_flash_is_not_erased() -> None:
    flash = make_flash()
    add(open_journal(flash), 4 * PER_SECTOR)
    assert flash.erases == 0
    assert flash.programmed_bytes == 4 * 8 * 128


def test_the_journal_of_another_device_is_refused() -> None:
    flash = make_flash()
    add(open_journal(flash), 3)
    before = flash.image()
    assert "another device" in refusal(JournalError, open_journal, flash, b"another key")
    assert flash.image() == before


def test_a_new_epoch_begins_anew_and_uses_the_old_sectors() -> None:
    flash = make_flash()
    old = open_journal(flash)
    add(old, 4 * PER_SECTOR)
    journal = open_journal(flash, epoch=EPOCH + 1)
    assert (journal.next_sequence, journal.acked, journal.oldest_sequence) == (1, 0, 1)
    assert journal.head != old.head
    assert journal.free_slots == 4 * PER_SECTOR
    add(journal, 3)
    again = open_journal(flash, epoch=EPOCH + 1)
    assert everything(again) == [payload(1), payload(2), payload(3)]
    assert again.erase_ahead()
    add(again, 4 * PER_SECTOR - 3)
    refusal(JournalFull, add, again)
    assert everything(open_journal(flash, epoch=EPOCH + 1)) == [payload(each) for each in range(1, 29)]
    assert flash.reprogrammed == 0


def test_the_service_is_joined_where_its_chain_is_ours() -> None:
    journal = open_journal(make_flash())
    add(journal, 20)
    chain = heads(everything(journal))
    for sequence in (0, 5, 20, 7, 14):
        assert journal.join(sequence, chain[sequence]), sequence
        assert everything(journal, 3) == [payload(each) for each in range(3, 21)]
        assert not journal.join(sequence, bytes(32)), sequence
    assert not journal.join(21, chain[20])
    assert not journal.join(19, chain[20])
    assert journal.acked == 0, "joining frees nothing"


def test_an_empty_journal_joins_its_beginning_alone() -> None:
    journal = open_journal(make_flash())
    assert journal.join(0, GENESIS)
    assert not journal.join(0, bytes(32))
    assert not journal.join(1, GENESIS)
