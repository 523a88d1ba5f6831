"""When the outbox sends, how it backs off, and what it makes of time and documents in an ack."""

from __future__ import annotations

from protocol.ack import STATUS_FORK, WANTED_DENY_LIST, WANTED_FARE_TABLE
from protocol.cose import TYP_FARE_TABLE, TYP_LIST, sign1
from protocol.fare_table import FareTable, encode_fare_table
from protocol.medium_list import LIST_DENY, encode_list, make_list
from protocol.tap import CLOCK_HOLDOVER, CLOCK_SYNCHRONISED, CLOCK_UNKNOWN, KIND_CLOCK_STEP, decode_tap
from tests.firmware.bench_board import NOW_S, run_for
from tests.firmware.bench_service import ACK_KEY, AUDIENCE, DOCUMENT_KEY, Bench, BenchService

MINUTE_MS = 60_000


def running(interval_ms: int = 180_000) -> Bench:
    bench = Bench(interval_ms)
    bench.loop.spawn(bench.uploader.run())
    return bench


def fare_table(number: int) -> bytes:
    table = FareTable(number, 0, NOW_S + 86_400, 1, {6: {1: 20_000}})
    return sign1(encode_fare_table(table), TYP_FARE_TABLE, AUDIENCE, DOCUMENT_KEY)


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


def wanted(service: BenchService, kind: int, number: int) -> str:
    service.change = {"wanted": {kind: number}}
    return ("/v1/fare-tables/" if kind == WANTED_FARE_TABLE else "/v1/lists/deny/") + str(number)


def test_wanted_documents_are_fetched_put_into_force_and_kept() -> None:
    bench = running()
    path = wanted(bench.service, WANTED_FARE_TABLE, 4)
    bench.service.change["wanted"][WANTED_DENY_LIST] = 9
    denied = encode_list(make_list(LIST_DENY, 9, NOW_S + 1000, [b"t" * 16]))
    bench.service.documents = {
        path: fare_table(4),
        "/v1/lists/deny/9": sign1(denied, TYP_LIST, AUDIENCE, DOCUMENT_KEY),
    }
    run_for(bench.board, bench.loop, 20 * MINUTE_MS)
    assert bench.service.asked == [path, "/v1/lists/deny/9"]
    assert bench.recorder.versions == (4, 9)
    assert bench.board.store.files["fare-table"] == fare_table(4)


def test_a_wrong_or_older_document_is_refused_and_holds_nothing_up() -> None:
    for bad in (
        sign1(encode_fare_table(FareTable(5, 0, NOW_S + 1000, 1, {})), TYP_FARE_TABLE, AUDIENCE, ACK_KEY),
        fare_table(3),
        b"garbage",
        None,
    ):
        bench = running()
        path = wanted(bench.service, WANTED_FARE_TABLE, 4)
        bench.service.documents[path] = fare_table(4)
        run_for(bench.board, bench.loop, MINUTE_MS)
        path = wanted(bench.service, WANTED_FARE_TABLE, 5)
        if bad is not None:
            bench.service.documents[path] = bad
        bench.tap(3)
        run_for(bench.board, bench.loop, 30 * MINUTE_MS)
        assert bench.recorder.versions == (4, 0)
        assert bench.board.store.files["fare-table"] == fare_table(4)
        assert bench.journal.acked == 3
        asked = bench.service.asked.count(path)
        assert 3 <= asked <= 12, "tried again, and not without end"
        bench.service.documents[path] = fare_table(5)
        run_for(bench.board, bench.loop, 12 * MINUTE_MS)
        assert bench.recorder.versions == (5, 0)


def test_what_is_newer_than_wanted_is_kept() -> None:
    bench = running()
    path = wanted(bench.service, WANTED_FARE_TABLE, 4)
    bench.service.documents[path] = fare_table(4)
    run_for(bench.board, bench.loop, MINUTE_MS)
    path = wanted(bench.service, WANTED_FARE_TABLE, 2)
    run_for(bench.board, bench.loop, 30 * MINUTE_MS)
    assert path not in bench.service.asked
