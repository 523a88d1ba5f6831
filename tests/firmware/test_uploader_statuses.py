"""What the outbox makes of each status, signed or not: it acts as the state table says, and the taps are safe whatever comes."""

from __future__ import annotations

from firmware.leaving import LeavingUploader
from protocol import ack, sync
from protocol.ack import (
    STATUS_BUSY,
    STATUS_CLOCK_SUSPECT,
    STATUS_EPOCH,
    STATUS_KID_UNKNOWN,
    STATUS_MAINTENANCE,
    STATUS_OK,
    STATUS_TOO_LARGE,
    STATUS_UPGRADE,
    ErrorAnswer,
    encode_error,
)
from protocol.sync_drawing import EVENTS
from protocol.tap import CLOCK_SYNCHRONISED, CLOCK_UNKNOWN, decode_tap
from tests.firmware.bench_board import NOW_S, http_answer, run_for
from tests.firmware.bench_service import MINUTE_MS, Bench, running

STATUSES = sorted([getattr(ack, name) for name in dir(ack) if name.startswith("STATUS_")])
HOUR_MS = 3_600_000


def refuse_unsigned(bench: Bench, status: int) -> None:
    bench.service.distort = lambda _: http_answer(encode_error(ErrorAnswer(status)), 403)


def test_every_action_of_the_table_is_a_method() -> None:
    for rows in sync.DEVICE.values():
        for event, (_, action) in rows.items():
            assert event == sync.ENROLLED or hasattr(LeavingUploader, action), action


def test_every_unsigned_status_leads_where_the_table_says_and_frees_nothing() -> None:
    for status in sorted(STATUSES + list(range(19, 22))):
        bench = Bench(sectors=2)
        bench.tap(3)
        refuse_unsigned(bench, status)
        following, _ = sync.next_state(sync.DEVICE, sync.WAITING, sync.event_of(status, is_signed=False))
        assert bench.happen() == following, status
        assert bench.journal.acked == 0
        assert bench.uploader._due_ms() > bench.board.now_ms + 1_000


def test_every_signed_status_leads_where_the_table_says() -> None:
    for status in STATUSES:
        bench = Bench(sectors=2)
        bench.tap(3)
        bench.service.change = {"status": status}
        following, _ = sync.next_state(sync.DEVICE, sync.WAITING, sync.event_of(status, is_signed=True))
        assert bench.happen() == following, (status, EVENTS[sync.event_of(status, is_signed=True)])
        # Whatever the status: the ack is signed, and its head is ours.
        assert bench.journal.acked == 3


def test_who_is_refused_again_and_again_stops_hammering_and_tells_the_driver() -> None:
    bench = running(sectors=5)
    refuse_unsigned(bench, STATUS_KID_UNKNOWN)
    run_for(bench.board, bench.loop, 5 * MINUTE_MS)
    assert bench.uploader.state == sync.MUST_ENROL
    assert bench.board.driver.written == b"service: must enrol\n"
    sent = len(bench.service.batches)
    assert sent == 3
    bench.tap(20)
    run_for(bench.board, bench.loop, 25 * MINUTE_MS)
    assert len(bench.service.batches) == sent
    assert bench.journal.next_sequence == 21, "taps go on being recorded"
    run_for(bench.board, bench.loop, 40 * MINUTE_MS)
    assert len(bench.service.batches) == sent + 1
    assert bench.uploader.state == sync.MUST_ENROL
    bench.service.distort = None
    run_for(bench.board, bench.loop, HOUR_MS)
    assert (bench.uploader.state, bench.journal.acked) == (sync.IDLE, 20)


def test_one_refusal_among_others_is_not_believed() -> None:
    bench = Bench()
    for _ in range(4):
        refuse_unsigned(bench, STATUS_KID_UNKNOWN)
        assert bench.happen() == sync.BACKING_OFF
        assert bench.happen() == sync.BACKING_OFF
        bench.service.distort = None
        assert bench.happen() == sync.IDLE


def test_of_another_epoch_the_device_must_enrol() -> None:
    bench = Bench()
    bench.tap(3)
    bench.service.change = {"status": STATUS_EPOCH, "epoch": 2}
    assert [bench.happen() for _ in range(3)] == [sync.BACKING_OFF, sync.BACKING_OFF, sync.MUST_ENROL]
    assert bench.journal.acked == 0


def test_a_service_that_is_closed_for_a_while_says_for_how_long() -> None:
    for status in (STATUS_BUSY, STATUS_MAINTENANCE):
        bench = running(sectors=2)
        bench.service.change = {"status": status, "retry_after_s": 1_800}
        run_for(bench.board, bench.loop, 29 * MINUTE_MS)
        assert len(bench.service.batches) == 1
        run_for(bench.board, bench.loop, 2 * MINUTE_MS)
        assert len(bench.service.batches) == 2
        bench.service.change = {}
        run_for(bench.board, bench.loop, 30 * MINUTE_MS)
        assert bench.uploader.state == sync.IDLE


def test_an_older_firmware_calls_for_help_once_an_hour() -> None:
    bench = running()
    refuse_unsigned(bench, STATUS_UPGRADE)
    bench.tap(2)
    run_for(bench.board, bench.loop, 4 * HOUR_MS)
    assert 4 <= len(bench.service.batches) <= 9
    assert bench.board.driver.written.count(b"service: upgrade\n") == len(bench.service.batches)


def test_a_batch_that_is_too_large_is_made_far_smaller_and_grows_again() -> None:
    bench = Bench(sectors=4)
    bench.tap(20)
    service = bench.service
    genesis = service.head
    sizes = []
    for _ in range(4):
        service.change = {"status": STATUS_TOO_LARGE, "sequence": 0, "head": genesis}
        bench.happen()
        sizes.append(len(service.batches.pop().records))
        service.acked, service.head, service.records = 0, genesis, []
        bench.board.requests.clear()
    assert sizes == [20, 12, 3, 1]
    service.change = {}
    for _ in range(5):
        bench.happen()
        sizes.append(len(service.batches[-1].records))
    assert sizes[4:] == [1, 2, 4, 8, 5]
    assert bench.journal.acked == 20


def test_a_suspicious_clock_is_set_and_the_taps_are_taken() -> None:
    bench = Bench()
    bench.board.set_clock((NOW_S - 90_000) * 1000, CLOCK_SYNCHRONISED)
    bench.tap(2)
    bench.service.change = {"status": STATUS_CLOCK_SUSPECT}
    assert bench.happen() == sync.IDLE
    assert abs(bench.board.clock()[0] - NOW_S) <= 1
    assert bench.journal.acked == 2


def test_a_clock_that_no_record_can_hold_never_ends_the_program() -> None:
    for unix_s, kept in ((1 << 33, 0xFFFFFFFF), (-5, 0), (946_684_800, 946_684_800), (1_577_836_799, 1_577_836_799)):
        bench = Bench(sectors=2)
        bench.board.set_clock(unix_s * 1000, CLOCK_SYNCHRONISED)
        bench.tap()
        tap = decode_tap(bench.journal.records_from(1, 1, 1000)[1][0])
        assert (tap.tapped_at_s, tap.clock_quality) == (kept, CLOCK_UNKNOWN)
        ack_taken, _ = bench.sync()
        assert (bench.service.batches[0].device_time_s, bench.service.batches[0].clock_quality) == (kept, CLOCK_UNKNOWN)
        assert ack_taken.status == STATUS_OK
        assert abs(bench.board.clock()[0] - NOW_S) <= 1
        assert bench.journal.next_sequence == 2, "nobody knows by how much it was set"
