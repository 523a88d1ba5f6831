"""Acknowledged records stay for a day while there is room, and a service that was restored from a backup gets them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import sync
from protocol.tap import CLOCK_SYNCHRONISED, CLOCK_UNKNOWN, KIND_LOST_RANGE, decode_tap
from tests.firmware.bench_board import NOW_S, run_for
from tests.firmware.bench_service import MINUTE_MS, Bench, running
from tests.firmware.journal_bench import add, make_flash, open_journal, payload

if TYPE_CHECKING:
    from tests.firmware.bench_service import BenchService

    Copy = tuple[int, bytes, int]

PER_SECTOR = 7
DAY_MS = 86_400_000


def back_up(service: BenchService) -> Copy:
    return service.acked, service.head, len(service.records)


def restore(service: BenchService, copy: Copy) -> None:
    service.acked, service.head = copy[0], copy[1]
    service.records = service.records[: copy[2]]


def sequences(records: list[bytes]) -> list[int]:
    return [decode_tap(record).sequence for record in records]


def tap_and_sync(bench: Bench, count: int) -> None:
    bench.tap(count)
    assert bench.happen() == sync.IDLE


def test_a_young_sector_is_kept_until_its_room_is_needed() -> None:
    journal = open_journal(make_flash(4))
    add(journal, 3 * PER_SECTOR + 1)
    journal.acknowledge(3 * PER_SECTOR)
    asked = []

    def is_kept(record: bytes) -> bool:
        asked.append(record)
        return True

    assert not journal.erase_ahead(is_kept)
    assert asked == [payload(PER_SECTOR)], "the youngest of the oldest sector"
    add(journal, 1)
    assert not journal.erase_ahead(is_kept)
    add(journal, 1)
    assert journal.erase_ahead(is_kept), "half of the sector is full: soon its room is needed"
    assert journal.oldest_sequence == PER_SECTOR + 1


def test_what_nobody_wants_any_more_is_erased_in_idle_time() -> None:
    journal = open_journal(make_flash(4))
    add(journal, 3 * PER_SECTOR + 1)
    journal.acknowledge(3 * PER_SECTOR)
    assert journal.erase_ahead(lambda _: False)


def test_a_full_ring_gives_up_the_oldest_acknowledged_sector_first() -> None:
    journal = open_journal(make_flash(4))
    add(journal, 4 * PER_SECTOR)
    journal.acknowledge(4 * PER_SECTOR)
    assert journal.oldest_sequence == 1
    add(journal, 1)
    assert journal.oldest_sequence == PER_SECTOR + 1


def test_records_are_kept_for_a_day_by_the_devices_own_clock() -> None:
    bench = running(sectors=4)
    bench.tap(3 * PER_SECTOR + 1)
    run_for(bench.board, bench.loop, 20 * MINUTE_MS)
    assert bench.journal.acked == 3 * PER_SECTOR + 1
    run_for(bench.board, bench.loop, DAY_MS - 60 * MINUTE_MS)
    assert bench.journal.oldest_sequence == 1
    run_for(bench.board, bench.loop, 60 * MINUTE_MS)
    assert bench.journal.oldest_sequence == PER_SECTOR + 1


def test_where_nobody_knows_the_time_records_are_kept_while_there_is_room() -> None:
    for unix_s, quality in ((NOW_S, CLOCK_UNKNOWN), (1 << 34, CLOCK_SYNCHRONISED)):
        bench = Bench(sectors=4)
        bench.tap(1)
        record = bench.journal.records_from(1, 1, 1000)[1][0]
        bench.board.set_clock((NOW_S + 2 * 86_400) * 1000, CLOCK_SYNCHRONISED)
        assert not bench.uploader._is_kept(record)
        bench.board.set_clock(unix_s * 1000, quality)
        assert bench.uploader._is_kept(record)
    assert not bench.uploader._is_kept(b"nobody can read this")


def test_a_restored_service_gets_again_what_is_still_kept() -> None:
    bench = Bench()
    tap_and_sync(bench, 10)
    copy = back_up(bench.service)
    tap_and_sync(bench, 12)
    tap_and_sync(bench, 5)
    head = bench.service.head
    restore(bench.service, copy)
    bench.tap(2)
    assert [bench.happen() for _ in range(2)] == [sync.IDLE, sync.IDLE]
    assert sequences(bench.service.records) == list(range(1, 30))
    assert bench.service.head == bench.journal.head != head
    assert bench.journal.acked == 29


def test_the_devices_restart_between_backup_and_restore_changes_nothing() -> None:
    bench = Bench()
    tap_and_sync(bench, 10)
    copy = back_up(bench.service)
    tap_and_sync(bench, 20)
    restore(bench.service, copy)
    bench.start()
    bench.tap()
    while bench.journal.acked < 31:
        assert bench.happen() == sync.IDLE
    assert sequences(bench.service.records) == list(range(1, 32))
    assert bench.service.head == bench.journal.head


def test_a_restart_in_the_middle_of_sending_again_skips_nothing_that_is_kept() -> None:
    for sent_before_restart in (0, 1, 2):
        bench = Bench()
        copy = back_up(bench.service)
        for _ in range(5):
            tap_and_sync(bench, 6)  # each header remembers a mark that the restored service does not reach
        restore(bench.service, copy)
        bench.start()
        assert bench.journal.acked >= 20, "the hint is too high"
        bench.tap(1)
        for _ in range(sent_before_restart):
            bench.happen()
        bench.start()
        bench.tap(1)
        while bench.journal.acked < 32:
            assert bench.happen() == sync.IDLE
        assert sequences(bench.service.records) == list(range(1, 33)), sent_before_restart
        assert bench.service.head == bench.journal.head


def test_what_is_no_longer_kept_is_a_lost_range_and_the_rest_comes() -> None:
    for first_restored in (0, 3, 7, 9):
        bench = Bench(sectors=3)
        copy = back_up(bench.service)
        for taken in range(1, 36):
            tap_and_sync(bench, 1)
            if taken == first_restored:
                copy = back_up(bench.service)
        restore(bench.service, copy)
        bench.tap()
        oldest = bench.journal.oldest_sequence
        assert oldest > first_restored + 1
        for _ in range(4):
            assert bench.happen() == sync.IDLE
        lost = decode_tap(bench.service.records[first_restored])
        assert (lost.kind, lost.reference) == (KIND_LOST_RANGE, [first_restored + 1, oldest - 1])
        assert sequences(bench.service.records[first_restored + 1 :]) == list(range(oldest, 37))
        assert bench.service.head == bench.journal.head
        # And it stays so, after a start and with more taps.
        bench.start()
        bench.tap(3)
        while bench.journal.acked < 39:
            assert bench.happen() == sync.IDLE
        assert bench.service.head == bench.journal.head


def test_what_a_restored_service_lacks_is_not_overwritten() -> None:
    bench = Bench(sectors=3)
    tap_and_sync(bench, 2)
    copy = back_up(bench.service)
    tap_and_sync(bench, 12)
    restore(bench.service, copy)
    assert bench.happen() == sync.IDLE
    assert bench.journal.acked == 2
    bench.tap(7)
    assert bench.journal.free_slots == 0
    while bench.journal.acked < 21:
        assert bench.happen() == sync.IDLE
    assert sequences(bench.service.records) == list(range(1, 22))
