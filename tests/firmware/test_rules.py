"""The signed documents: what is put into force, what is kept, and what is turned down."""

from __future__ import annotations

from protocol.ack import WANTED_DENY_LIST, WANTED_FARE_TABLE
from protocol.cose import TYP_FARE_TABLE, TYP_LIST, sign1
from protocol.errors import ProtocolError
from protocol.fare_table import FareTable, encode_fare_table
from protocol.medium_list import LIST_DENY, encode_list, make_list
from tests.firmware.bench_board import NOW_S, Key, run_to_end
from tests.firmware.bench_service import ACK_KEY, AUDIENCE, DOCUMENT_KEY, Bench
from tests.firmware.key_bench import ROLES, make_set, with_key_set


def table(number: int, key: Key = DOCUMENT_KEY, typ: str = TYP_FARE_TABLE, audience: str = AUDIENCE) -> bytes:
    return sign1(encode_fare_table(FareTable(number, 0, NOW_S + 9, 1, {6: {1: number}})), typ, audience, key)


def deny_list(number: int, kind: int = LIST_DENY) -> bytes:
    return sign1(encode_list(make_list(kind, number, NOW_S + 9, [b"t" * 16])), TYP_LIST, AUDIENCE, DOCUMENT_KEY)


def accept(bench: Bench, kind: int, message: bytes, number: int = 9) -> None:
    if kind == WANTED_FARE_TABLE:
        task = bench.rules.accept_fare_table(message)
    else:
        bench.service.documents["/v1/lists/deny/" + str(number)] = message
        task = bench.rules.fetch_list(kind, number)
    run_to_end(bench.board, bench.loop, task)


def kept(bench: Bench) -> list[bytes | None]:
    return [bench.board.store.files.get(name) for name in ("fare-table", "deny-list")]


def refused(bench: Bench, kind: int, message: bytes) -> str:
    files, versions = kept(bench), bench.recorder.versions
    try:
        accept(bench, kind, message)
    except ProtocolError as error:
        assert kept(bench) == files, "what is turned down is not kept"
        assert bench.recorder.versions == versions
        return str(error)
    raise AssertionError("accepted")


def load(bench: Bench) -> None:
    bench.start()
    run_to_end(bench.board, bench.loop, bench.rules.load())


def test_a_document_is_in_force_at_once_and_after_a_start() -> None:
    bench = Bench()
    accept(bench, WANTED_FARE_TABLE, table(4))
    accept(bench, WANTED_DENY_LIST, deny_list(9))
    for _ in range(2):
        assert bench.recorder.versions == (4, 9)
        assert bench.rules.fare_table is not None
        assert bench.rules.fare_table.fare_minor(6, 1) == 4
        assert bench.rules.deny_list is not None
        assert bench.rules.deny_list.holds(b"t" * 16)
        load(bench)


def test_an_older_document_is_turned_down_and_not_kept() -> None:
    bench = Bench()
    accept(bench, WANTED_FARE_TABLE, table(4))
    accept(bench, WANTED_DENY_LIST, deny_list(9))
    for number in (1, 3, 4):
        assert "not newer" in refused(bench, WANTED_FARE_TABLE, table(number))
    assert "not newer" in refused(bench, WANTED_DENY_LIST, deny_list(8))
    accept(bench, WANTED_FARE_TABLE, table(5))
    load(bench)
    assert bench.recorder.versions == (5, 9)


def test_what_is_not_signed_by_the_service_for_this_city_is_turned_down() -> None:
    bench = Bench()
    for message in (
        table(4, ACK_KEY),
        table(4, Key(0x3333)),
        table(4, typ=TYP_LIST),
        table(4, audience="astana"),
        deny_list(4),
        table(4)[:-1] + bytes((table(4)[-1] ^ 1,)),
        sign1(b"\xa0", TYP_FARE_TABLE, AUDIENCE, DOCUMENT_KEY),
        b"",
    ):
        assert refused(bench, WANTED_FARE_TABLE, message)


def test_another_kind_of_list_is_no_deny_list() -> None:
    assert refused(Bench(), WANTED_DENY_LIST, deny_list(4, LIST_DENY + 1))


def test_only_what_is_newer_than_in_force_is_missing() -> None:
    bench = Bench()
    assert bench.rules.missing(None) == {}
    assert bench.rules.missing({WANTED_FARE_TABLE: 4, WANTED_DENY_LIST: 9, 20: 1}) == {
        WANTED_FARE_TABLE: 4,
        WANTED_DENY_LIST: 9,
    }
    accept(bench, WANTED_FARE_TABLE, table(4))
    assert bench.rules.missing({WANTED_FARE_TABLE: 4}) == {}
    assert bench.rules.missing({WANTED_FARE_TABLE: 3}) == {}
    assert bench.rules.missing({WANTED_FARE_TABLE: 5}) == {WANTED_FARE_TABLE: 5}


def test_a_spoilt_file_is_as_good_as_none() -> None:
    bench = Bench()
    accept(bench, WANTED_DENY_LIST, deny_list(9))
    for spoilt in (b"", b"\xff", table(4)[:50]):
        bench.board.store.files["fare-table"] = spoilt
        load(bench)
        assert bench.rules.fare_table is None
        assert bench.recorder.versions == (0, 9)
        assert bench.board.logged[-1].startswith("fare-table: ")


def test_what_was_verified_once_is_in_force_though_its_key_is_gone() -> None:
    bench = Bench()
    accept(bench, WANTED_FARE_TABLE, table(4))
    accept(bench, WANTED_DENY_LIST, deny_list(9))
    with_key_set(make_set(1, ROLES[:2]), bench)
    run_to_end(bench.board, bench.loop, bench.rules.load())
    assert bench.recorder.versions == (4, 9)
    # Somebody who writes into the store cannot do that.
    bench.board.store.files["fare-table"] = table(5) + bytes(32)
    with_key_set(make_set(1, ROLES[:2]), bench)
    run_to_end(bench.board, bench.loop, bench.rules.load())
    assert bench.recorder.versions == (0, 9)


def test_what_an_older_firmware_has_kept_as_it_was_sent_is_verified_and_kept_anew() -> None:
    bench = Bench()
    bench.board.store.files = {"fare-table": table(4), "deny-list": deny_list(9)}
    for _ in range(2):
        load(bench)
        assert bench.recorder.versions == (4, 9)
    assert bench.board.store.files["fare-table"][:-32] == table(4)
    assert bench.board.store.files["deny-list"][8:12] == b"JQL2"
    for forged in (deny_list(9)[:-1] + b"x", table(4)):
        bench.board.store.files["deny-list"] = forged
        load(bench)
        assert bench.recorder.versions == (4, 0)
