"""Key sets on the device: which keys count, how the next ones come, and what an expired set can still do."""

from __future__ import annotations

from protocol import keyset, sync
from protocol.ack import WANTED_FARE_TABLE, WANTED_KEY_SET
from protocol.cose import TYP_FARE_TABLE, sign1
from protocol.fare_table import FareTable, encode_fare_table
from protocol.tap import CLOCK_HOLDOVER
from tests.firmware.bench_board import NOW_S, Key, run_for
from tests.firmware.bench_service import ACK_KEY, AUDIENCE, DOCUMENT_KEY, MINUTE_MS, Bench
from tests.firmware.key_bench import (
    ANOTHER_ROOT,
    NEXT_ACK_KEY,
    ROLES,
    ROOT,
    WITH_NEXT_ACK_KEY,
    make_set,
    path,
    with_key_set,
)

DAY_S = 86_400


def held_number(bench: Bench) -> int:
    assert bench.membership.key_set is not None
    return bench.membership.key_set.number


def test_an_ack_counts_only_by_a_key_that_may_sign_acks() -> None:
    for key in (DOCUMENT_KEY, ROOT, Key(0x7777)):
        bench = with_key_set()
        bench.tap(3)
        bench.service.key = key
        assert bench.happen() == sync.BACKING_OFF
        assert bench.journal.acked == 0
        assert bench.service.asked == [path(2)], "the set after its own may name that key"
        bench.service.key = ACK_KEY
        assert bench.happen() == sync.IDLE
        assert bench.journal.acked == 3


def test_a_document_counts_only_by_a_key_of_its_role() -> None:
    message = encode_fare_table(FareTable(4, 0, NOW_S + DAY_S, 1, {6: {1: 20_000}}))
    for key, number in ((ACK_KEY, 0), (ROOT, 0), (DOCUMENT_KEY, 4)):
        bench = with_key_set()
        bench.loop.spawn(bench.uploader.run())
        bench.service.change = {"wanted": {WANTED_FARE_TABLE: 4}}
        bench.service.documents["/v1/fare-tables/4"] = sign1(message, TYP_FARE_TABLE, AUDIENCE, key)
        run_for(bench.board, bench.loop, MINUTE_MS)
        assert bench.recorder.versions == (number, 0)


def test_key_sets_are_fetched_one_after_another_before_anything_else() -> None:
    bench = with_key_set()
    bench.loop.spawn(bench.uploader.run())
    bench.service.change = {"wanted": {WANTED_KEY_SET: 4, WANTED_FARE_TABLE: 1}}
    # The one on the way has expired meanwhile.
    for number, expires_s in ((2, NOW_S + DAY_S), (3, NOW_S - DAY_S), (4, NOW_S + DAY_S)):
        bench.service.documents[path(number)] = make_set(number, expires_s=expires_s)
    run_for(bench.board, bench.loop, MINUTE_MS)
    assert bench.service.asked[:4] == [path(2), path(3), path(4), "/v1/fare-tables/1"]
    assert held_number(bench) == 4


def test_a_set_that_is_not_the_next_one_or_not_of_its_roots_is_not_taken() -> None:
    for wrong in (
        make_set(3),
        make_set(1),
        make_set(2, root=ANOTHER_ROOT),
        make_set(2, roles=((ANOTHER_ROOT, keyset.ROLE_ROOT), ROLES[1], ROLES[2]), root=ANOTHER_ROOT),
        make_set(2, expires_s=NOW_S - 1),
        b"garbage",
    ):
        bench = with_key_set(bench=Bench(sectors=2))
        bench.loop.spawn(bench.uploader.run())
        bench.service.change = {"wanted": {WANTED_KEY_SET: 2}}
        bench.service.documents[path(2)] = wrong
        bench.tap(3)
        run_for(bench.board, bench.loop, 20 * MINUTE_MS)
        assert held_number(bench) == 1
        assert 2 <= bench.service.asked.count(path(2)) <= 12
        assert bench.journal.acked == 3, "it holds nothing up"


def test_an_announced_ack_key_counts_when_it_is_used() -> None:
    bench = with_key_set()
    bench.loop.spawn(bench.uploader.run())
    bench.service.change = {"wanted": {WANTED_KEY_SET: 2}}
    bench.service.documents[path(2)] = make_set(2, WITH_NEXT_ACK_KEY)
    run_for(bench.board, bench.loop, MINUTE_MS)
    bench.service.key = NEXT_ACK_KEY
    bench.tap(40)
    run_for(bench.board, bench.loop, MINUTE_MS)
    assert bench.journal.acked == 40
    assert bench.service.asked == [path(2)]


def test_a_device_that_was_away_finds_the_new_ack_key() -> None:
    bench = with_key_set()
    bench.loop.spawn(bench.uploader.run())
    bench.tap(2)
    bench.service.key = NEXT_ACK_KEY
    bench.service.documents[path(2)] = make_set(2)
    bench.service.documents[path(3)] = make_set(3, WITH_NEXT_ACK_KEY)
    run_for(bench.board, bench.loop, MINUTE_MS)
    assert held_number(bench) == 3
    assert bench.journal.acked == 2
    assert bench.uploader.state == sync.IDLE


def test_an_expired_set_frees_nothing_and_is_replaced_by_the_next() -> None:
    bench = with_key_set(make_set(1, expires_s=NOW_S + 3_600))
    bench.loop.spawn(bench.uploader.run())
    bench.tap(2)
    run_for(bench.board, bench.loop, 30 * MINUTE_MS)
    assert bench.journal.acked == 2
    bench.tap(3)
    run_for(bench.board, bench.loop, 31 * MINUTE_MS)
    sent = len(bench.service.batches)
    bench.tap(3)
    run_for(bench.board, bench.loop, 60 * MINUTE_MS)
    assert len(bench.service.batches) == sent
    assert 3 <= bench.service.asked.count(path(2)) <= 20, "asked for each time it would sync"
    bench.service.documents[path(2)] = make_set(2)
    run_for(bench.board, bench.loop, 20 * MINUTE_MS)
    assert (held_number(bench), bench.journal.acked) == (2, 8)


def test_who_does_not_know_the_time_is_told_by_the_ack_that_the_set_has_expired() -> None:
    bench = with_key_set(make_set(1, expires_s=NOW_S))
    bench.board.set_clock((NOW_S - DAY_S) * 1000, CLOCK_HOLDOVER)
    bench.tap(2)
    assert bench.happen() == sync.BACKING_OFF
    assert bench.service.asked == [path(2)]
    assert bench.journal.acked == 0


def test_a_clock_that_jumped_ahead_does_not_make_the_keys_expire() -> None:
    bench = with_key_set()
    bench.sync()
    bench.board.set_clock((NOW_S + 3_650 * DAY_S) * 1000, CLOCK_HOLDOVER)
    bench.tap(2)
    bench.sync()
    assert bench.journal.acked >= 2
    assert abs(bench.board.clock()[0] - NOW_S) <= 1


def test_the_set_held_is_the_one_held_after_a_start() -> None:
    bench = with_key_set()
    bench.service.change = {"wanted": {WANTED_KEY_SET: 2}}
    bench.service.documents[path(2)] = make_set(2, WITH_NEXT_ACK_KEY)
    bench.loop.spawn(bench.uploader.run())
    run_for(bench.board, bench.loop, MINUTE_MS)
    again = with_key_set(bench=bench)
    assert held_number(again) == 2
    # What is kept of another enrolment does not count.
    bench.board.store.write("key-set", b"\x82\x02" + bench.board.store.files["key-set"][2:])
    assert held_number(with_key_set(bench=bench)) == 1
