"""What an ack asks for is fetched, put into force and kept; what is wrong holds nothing up."""

from __future__ import annotations

from protocol.ack import WANTED_DENY_LIST, WANTED_FARE_TABLE
from protocol.cose import TYP_FARE_TABLE, TYP_LIST, sign1
from protocol.fare_table import FareTable, encode_fare_table
from protocol.medium_list import LIST_DENY, encode_list, make_list
from tests.firmware.bench_board import NOW_S, run_for
from tests.firmware.bench_service import ACK_KEY, AUDIENCE, DOCUMENT_KEY, MINUTE_MS, BenchService, running


def fare_table(number: int) -> bytes:
    table = FareTable(number, 0, NOW_S + 86_400, 1, {6: {1: 20_000}})
    return sign1(encode_fare_table(table), TYP_FARE_TABLE, AUDIENCE, DOCUMENT_KEY)


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
    assert bench.board.store.files["fare-table"][:-32] == fare_table(4)


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
        assert bench.board.store.files["fare-table"][:-32] == fare_table(4)
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
