"""When the outbox sends, how it backs off, and what it makes of the time in an ack."""

from __future__ import annotations

from protocol.ack import STATUS_FORK
from protocol.tap import CLOCK_HOLDOVER, CLOCK_SYNCHRONISED, CLOCK_UNKNOWN, KIND_CLOCK_STEP, decode_tap
from tests.firmware.bench_board import NOW_S, run_for
from tests.firmware.bench_service import MINUTE_MS, Bench, running


def silence(_: bytes) -> None:
    return None


def test_the_service_is_greeted_at_once_and_then_every_quarter_of_an_hour() -> None:
    bench = running()
    run_for(bench.board, bench.loop, 61 * MINUTE_MS)
    assert len(bench.service.batches) == 5


def test_a_tap_waits_no_longer_than_the_interval() -> None:
    bench = running()
    run_for(bench.board, bench.loop, MINUTE_MS)
    bench.tap()
    run_for(bench.board, bench.loop, MINUTE_MS)
    assert len(bench.service.batches) == 1
    run_for(bench.board, bench.loop, 2 * MINUTE_MS)
    assert bench.journal.acked == 1


def test_many_taps_do_not_wait() -> None:
    bench = running()
    run_for(bench.board, bench.loop, MINUTE_MS)
    bench.tap(31)
    run_for(bench.board, bench.loop, 5_000)
    assert bench.journal.acked == 0
    bench.tap()
    run_for(bench.board, bench.loop, 5_000)
    assert bench.journal.acked == 32


def test_back_off_grows_with_jitter_and_is_bounded() -> None:
    bench = running()
    bench.service.distort = silence
    times = []
    for _ in range(16):
        before = len(bench.service.batches)
        while len(bench.service.batches) == before:
            run_for(bench.board, bench.loop, 1_000)
        times.append(bench.board.now_ms)
    pauses = [times[index] - times[index - 1] - 20_000 for index in range(1, len(times))]
    for failures, pause in enumerate(pauses):
        longest = min(10_000 << failures, 600_000)
        assert longest // 2 - 1_000 <= pause <= longest + 1_000, (failures, pause)
    shares = [pause * 100 // min(10_000 << failures, 600_000) for failures, pause in enumerate(pauses)]
    assert len(set(shares)) > 5, "buses must not come back in step"


def test_a_service_that_takes_nothing_is_not_hammered() -> None:
    bench = running()
    bench.tap(33)
    genesis = bench.service.head
    bench.service.change = {"sequence": 0, "head": genesis, "status": STATUS_FORK, "records_max": 4}
    run_for(bench.board, bench.loop, 30 * MINUTE_MS)
    assert 4 <= len(bench.service.batches) <= 12
    assert bench.journal.acked == 0


def test_the_service_says_when_to_come_back_within_an_hour() -> None:
    bench = running()
    bench.tap()
    bench.service.change = {"retry_after_s": 600}
    run_for(bench.board, bench.loop, 9 * MINUTE_MS)
    bench.tap()
    run_for(bench.board, bench.loop, MINUTE_MS // 2)
    assert len(bench.service.batches) == 1
    bench.service.change = {"retry_after_s": 0xFFFFFFFF}
    run_for(bench.board, bench.loop, MINUTE_MS)
    assert len(bench.service.batches) == 2
    bench.tap()
    run_for(bench.board, bench.loop, 61 * MINUTE_MS)
    assert len(bench.service.batches) == 3


def test_time_is_taken_from_the_ack_and_a_step_is_recorded() -> None:
    bench = Bench()
    bench.service.ahead_s = 100
    bench.sync()
    unix_s, quality = bench.board.clock()
    assert abs(unix_s - (NOW_S + 100)) <= 1
    assert quality == CLOCK_SYNCHRONISED
    step = decode_tap(bench.journal.records_from(1, 1, 1000)[1][0])
    assert step.kind == KIND_CLOCK_STEP
    assert step.extensions is not None
    assert abs(step.extensions[0] - 100) <= 1


def test_a_clock_that_goes_back_is_a_step_too() -> None:
    bench = Bench()
    bench.board.quality = CLOCK_HOLDOVER
    bench.service.ahead_s = -3_600
    bench.sync()
    step = decode_tap(bench.journal.records_from(1, 1, 1000)[1][0])
    assert step.extensions is not None
    assert -3_601 <= step.extensions[0] <= -3_599


def test_a_small_drift_and_a_first_time_are_no_steps() -> None:
    bench = Bench()
    bench.service.ahead_s = 4
    bench.sync()
    bench.board.set_clock(0, CLOCK_UNKNOWN)
    bench.sync()
    assert bench.board.clock()[1] == CLOCK_SYNCHRONISED
    assert bench.journal.next_sequence == 1


def test_an_answer_that_was_long_on_the_way_says_nothing_about_time() -> None:
    bench = Bench()
    bench.service.ahead_s = 500
    answer = bench.service.answer

    def late(request: bytes) -> bytes | None:
        bench.board.now_ms += 11_000
        return answer(request)

    bench.board.answer = late
    bench.sync()
    assert bench.board.clock()[0] == NOW_S + 11
    assert bench.journal.next_sequence == 1
