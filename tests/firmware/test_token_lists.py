"""Lists of media on the device: in parts, by changes, in files; and what is turned down leaves everything as it was."""

from __future__ import annotations

from firmware.decision import MediumFacts, decide
from protocol import cbor
from protocol.ack import WANTED_DENY_LIST
from protocol.compat import sha256
from protocol.cose import TYP_LIST, TYP_LIST_DELTA, sign1
from protocol.decisions import DECISION_ACCEPTED, DECISION_DENIED
from protocol.errors import RemoteProtocolError
from protocol.fare_table import FareTable
from protocol.list_delta import ListDelta, encode_delta, make_delta
from protocol.medium_list import (
    LIST_ALLOW,
    LIST_DENY,
    ListPart,
    MediumList,
    encode_list,
    encode_list_part,
    make_list,
)
from protocol.tap import MEDIUM_TRANSPORT_CARD
from tests.firmware.bench_board import NOW_S, run_for, run_to_end
from tests.firmware.bench_service import ACK_KEY, AUDIENCE, DOCUMENT_KEY, MINUTE_MS, Bench
from tests.protocol.expect import refusal

PATH = "/v1/lists/deny/"
EXPIRES_S = NOW_S + 1000


def token(number: int) -> bytes:
    return sha256(number.to_bytes(4, "big"))[:16]


def listed(number: int, *ranges: tuple[int, int]) -> MediumList:
    return make_list(LIST_DENY, number, EXPIRES_S, [token(each) for first, end in ranges for each in range(first, end)])


def sign(payload: bytes, typ: str = TYP_LIST) -> bytes:
    return sign1(payload, typ, AUDIENCE, DOCUMENT_KEY)


def in_parts(medium_list: MediumList, size: int) -> list[bytes]:
    """Return the messages of a list with so many entries in each."""
    entries, size = medium_list.entries, size * 8
    cut = [entries[start : start + size] for start in range(0, len(entries), size)]
    return [
        sign(
            encode_list_part(
                ListPart(MediumList(medium_list.kind, medium_list.number, EXPIRES_S, each), index + 1, len(cut))
            )
        )
        for index, each in enumerate(cut)
    ]


def offer(bench: Bench, number: int, messages: list[bytes]) -> None:
    for index, message in enumerate(messages):
        bench.service.documents[PATH + str(number) + ("/" + str(index + 1) if index else "")] = message


def offer_change(bench: Bench, before: MediumList, after: MediumList) -> None:
    path = PATH + str(after.number) + "/from/" + str(before.number)
    bench.service.documents[path] = sign(encode_delta(make_delta(before, after)), TYP_LIST_DELTA)


def fetch(bench: Bench, number: int) -> None:
    """Let the validator do what it does when an ack wants that list."""
    bench.service.change = {"wanted": {WANTED_DENY_LIST: number}}
    bench.service.asked = []
    bench.happen()
    run_to_end(bench.board, bench.loop, bench.uploader._documents.fetch())


def holding(bench: Bench) -> MediumList:
    held = bench.rules.deny_list
    assert held is not None
    return held


def with_list(medium_list: MediumList) -> Bench:
    bench = Bench(sectors=2)
    offer(bench, medium_list.number, [sign(encode_list(medium_list))])
    fetch(bench, medium_list.number)
    return bench


def assert_holds(bench: Bench, medium_list: MediumList) -> None:
    held = holding(bench)
    assert (held.number, held.expires_s, len(held)) == (medium_list.number, EXPIRES_S, len(medium_list))
    assert [held.at(index) for index in range(len(held))] == [medium_list.at(each) for each in range(len(medium_list))]
    assert bench.recorder.versions == (0, medium_list.number)
    assert sorted(name for name in bench.board.store.files if name.startswith("deny")) == ["deny-list"]


def test_a_list_in_parts_is_in_force_when_all_are_there_and_after_a_start() -> None:
    whole = listed(4, (0, 100))
    bench = Bench(sectors=2)
    messages = in_parts(whole, 30)
    offer(bench, 4, messages[:3])
    fetch(bench, 4)
    assert bench.rules.deny_list is None, "a part alone is never in force"
    offer(bench, 4, messages)
    fetch(bench, 4)
    assert bench.service.asked == [PATH + "4", PATH + "4/2", PATH + "4/3", PATH + "4/4"]
    assert_holds(bench, whole)
    bench.start()
    run_to_end(bench.board, bench.loop, bench.rules.load())
    assert_holds(bench, whole)


def test_a_long_list_stays_in_its_file() -> None:
    whole = listed(4, (0, 600))
    bench = Bench(sectors=2)
    offer(bench, 4, in_parts(whole, 300))
    fetch(bench, 4)
    held = holding(bench)
    assert (held.entries, len(held)) == (b"", 600)
    for number in range(0, 600, 7):
        assert held.holds(token(number))
        assert not held.holds(token(number + 1000))
    bench.start()
    run_to_end(bench.board, bench.loop, bench.rules.load())
    assert holding(bench).entries == b""


def test_an_empty_list_denies_nobody() -> None:
    bench = with_list(listed(4))
    assert_holds(bench, listed(4))
    assert not holding(bench).holds(token(1))


def test_what_has_changed_is_enough() -> None:
    lists = (listed(4, (0, 40)), listed(5, (0, 20), (30, 60)), listed(6, (5, 60)), listed(7), listed(8, (9, 12)))
    bench = with_list(lists[0])
    for before, after in ((lists[each], lists[each + 1]) for each in range(4)):
        offer_change(bench, before, after)
        fetch(bench, after.number)
        assert bench.service.asked == [PATH + str(after.number) + "/from/" + str(before.number)]
        assert_holds(bench, after)


def test_without_a_change_the_list_is_fetched_whole() -> None:
    bench = with_list(listed(4, (0, 10)))
    offer(bench, 6, [sign(encode_list(listed(6, (0, 9))))])
    fetch(bench, 6)
    assert bench.service.asked == [PATH + "6/from/4", PATH + "6"]
    assert_holds(bench, listed(6, (0, 9)))


def test_an_older_list_that_is_given_whole_is_followed_by_the_change_that_leads_on_from_it() -> None:
    whole, wanted = listed(4, (0, 30)), listed(6, (0, 40))
    bench = Bench()
    offer(bench, wanted.number, [sign(encode_list(whole))])
    offer_change(bench, whole, wanted)
    fetch(bench, wanted.number)
    assert_holds(bench, whole)
    fetch(bench, wanted.number)
    assert_holds(bench, wanted)


def test_a_change_that_does_not_lead_on_makes_it_deny_on_without_a_number_and_fetch_the_whole() -> None:
    before, after = listed(4, (0, 10)), listed(5, (0, 12))
    added = make_delta(before, after).added
    for delta in (
        ListDelta(LIST_DENY, 3, 5, sha256(after.entries), added, b""),
        ListDelta(LIST_DENY, 4, 5, bytes(32), added, b""),
        ListDelta(LIST_DENY, 4, 5, sha256(after.entries), before.at(0), b""),
        ListDelta(LIST_DENY, 4, 5, sha256(after.entries), b"", token(99)[:8]),
    ):
        bench = with_list(before)
        bench.service.documents[PATH + "5/from/4"] = sign(encode_delta(delta), TYP_LIST_DELTA)
        fetch(bench, 5)
        assert bench.service.asked == [PATH + "5/from/4", PATH + "5"]
        assert bench.recorder.versions == (0, 0)
        assert holding(bench).holds(token(9)), "it goes on denying"
        offer(bench, 5, [sign(encode_list(after))])
        fetch(bench, 5)
        assert bench.service.asked == [PATH + "5"]
        assert_holds(bench, after)


def test_what_is_turned_down_leaves_the_list_as_it_was() -> None:
    good = listed(5, (0, 9))
    other = make_list(LIST_ALLOW, 5, EXPIRES_S, [token(1)])
    unsorted = MediumList(LIST_DENY, 5, EXPIRES_S, token(1)[:8] + token(1)[:8])
    parts = in_parts(listed(5, (0, 100)), 30)
    message = sign(encode_list(good))
    for messages in (
        [sign1(encode_list(good), TYP_LIST, AUDIENCE, ACK_KEY)],
        [sign1(encode_list(good), TYP_LIST, "astana", DOCUMENT_KEY)],
        [sign1(encode_list(good), TYP_LIST_DELTA, AUDIENCE, DOCUMENT_KEY)],
        [sign(encode_list(other))],
        [sign(encode_list(unsorted))],
        [sign(encode_list(listed(4, (0, 9))))],
        [sign(encode_list(good)[:-1])],
        [sign(encode_list(good) + b"\x00")],
        [sign(b"\xa0")],
        [message[:-1]],
        [message + b"\x00"],
        [b""],
        [parts[0], parts[2]],
        [parts[1]],
        [parts[0], in_parts(listed(6, (0, 100)), 30)[1]],
        [parts[0], in_parts(listed(5, (500, 600)), 30)[1]],
    ):
        bench = with_list(listed(4, (0, 10)))
        before = bench.board.store.files["deny-list"]
        offer(bench, 5, messages)
        fetch(bench, 5)
        assert (holding(bench).number, bench.board.store.files["deny-list"]) == (4, before)
        bench.start()
        run_to_end(bench.board, bench.loop, bench.rules.load())
        assert holding(bench).number == 4


def test_a_message_changed_anywhere_is_turned_down() -> None:
    message = sign(encode_list(listed(5, (0, 3))))
    bench = with_list(listed(4, (0, 3)))
    for place in range(len(message)):
        offer(bench, 5, [message[:place] + bytes((message[place] ^ 0x11,)) + message[place + 1 :]])
        bench.service.change = {}
        assert refusal(
            RemoteProtocolError, run_to_end, bench.board, bench.loop, bench.rules.fetch_list(WANTED_DENY_LIST, 5)
        ), place
        assert holding(bench).number == 4, place


def test_a_change_that_is_none_is_turned_down_whoever_signed_it() -> None:
    before, after = listed(4, (0, 10)), listed(5, (0, 12))
    good = make_delta(before, after)
    fields = cbor.decode(encode_delta(good))
    many = b"".join(sorted(token(number)[:8] for number in range(1000, 2001)))
    changes: tuple[dict[int, object], ...] = (
        {0: 2},
        {1: LIST_ALLOW},
        {2: 5},
        {3: 1 << 32},
        {4: bytes(31)},
        {5: good.added[8:] + good.added[:8]},
        {5: good.added[:-1]},
        {5: many},
        {5: good.added + b"\xff" * 8, 6: b"\xff" * 8},
        {6: before.at(1) + before.at(0)},
        {6: 7},
        {7: 0},
    )
    for change in changes:
        bench = with_list(before)
        changed = dict(fields)
        changed.update(change)
        payload = cbor.encode(changed)
        bench.service.documents[PATH + "5/from/4"] = sign(payload, TYP_LIST_DELTA)
        fetch(bench, 5)
        assert (holding(bench).number, len(holding(bench))) == (4, 10), change
    for message in (sign(encode_delta(good)), sign(encode_delta(good) + b"\x00", TYP_LIST_DELTA), b"", b"\x84"):
        bench = with_list(before)
        bench.service.documents[PATH + "5/from/4"] = message
        fetch(bench, 5)
        assert (holding(bench).number, len(holding(bench))) == (4, 10)


def test_a_file_that_was_cut_short_or_changed_is_no_list() -> None:
    bench = with_list(listed(4, (0, 3)))
    kept = bench.board.store.files["deny-list"]
    for spoilt in (kept[:-1], kept[8:], kept[:8] + kept[9:] + b"x", b"", b"\x00" * len(kept)):
        bench.board.store.files["deny-list"] = spoilt
        bench.start()
        run_to_end(bench.board, bench.loop, bench.rules.load())
        assert bench.rules.deny_list is None
        assert bench.recorder.versions == (0, 0)


def test_a_broken_list_holds_up_nothing() -> None:
    bench = with_list(listed(4, (0, 3)))
    bench.loop.spawn(bench.uploader.run())
    bench.service.change = {"wanted": {WANTED_DENY_LIST: 5}}
    bench.service.documents[PATH + "5"] = b"garbage"
    bench.tap(3)
    run_for(bench.board, bench.loop, 20 * MINUTE_MS)
    assert bench.journal.acked == 3
    assert 2 <= bench.service.asked.count(PATH + "5") <= 12


def test_a_bus_with_a_fare_table_and_no_deny_list_yet_sells() -> None:
    table = FareTable(1, 0, NOW_S + 100, 1, {MEDIUM_TRANSPORT_CARD: {1: 12_000}})
    facts = MediumFacts(MEDIUM_TRANSPORT_CARD, 1, token(1), 50_000)
    assert decide(facts, table, None, NOW_S, 3).code == DECISION_ACCEPTED
    assert decide(facts, table, listed(1, (1, 2)), NOW_S, 3).code == DECISION_DENIED
    bench = Bench(sectors=2)
    bench.tap()
    assert bench.recorder.versions == (0, 0)
