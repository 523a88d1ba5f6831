"""What goes down to the buses: fare tables and medium lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import sha256
from protocol.errors import DocumentError
from protocol.fare_rules import FareRules
from protocol.fare_table import FareTable, decode_fare_table, encode_fare_table
from protocol.limits import LIST_PART_ENTRIES_MAX, MESSAGE_BYTES_MAX
from protocol.medium_list import LIST_DENY, MediumList, decode_list, encode_list, make_list
from protocol.tap import MEDIUM_CASH, MEDIUM_TRANSPORT_CARD
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from typing import Any

_FARES = {MEDIUM_TRANSPORT_CARD: {1: 12000, 5: 0}, MEDIUM_CASH: {1: 20000}}
_TABLE = FareTable(4, 1000, 2000, 1, _FARES)


def _tokens(count: int) -> list[bytes]:
    return [sha256(str(number).encode())[:16] for number in range(count)]


def test_a_fare_table_comes_back() -> None:
    table = decode_fare_table(encode_fare_table(_TABLE))
    assert (table.number, table.valid_from_s, table.expires_s, table.city) == (4, 1000, 2000, 1)
    assert table.fares == _FARES


def test_a_fare_is_found_or_there_is_none() -> None:
    assert _TABLE.fare_minor(MEDIUM_TRANSPORT_CARD, 1) == 12000
    assert _TABLE.fare_minor(MEDIUM_TRANSPORT_CARD, 5) == 0
    assert _TABLE.fare_minor(MEDIUM_CASH, 5) is None
    assert _TABLE.fare_minor(2, 1) is None


def test_a_fare_table_is_valid_from_its_first_second_until_it_expires() -> None:
    assert [_TABLE.is_valid_at(second) for second in (999, 1000, 1999, 2000)] == [False, True, True, False]


def test_what_is_no_fare_table_is_refused() -> None:
    whole = cbor.decode(encode_fare_table(_TABLE))
    for key, value in (
        (0, 0),
        (0, True),
        (1, 1 << 32),
        (4, -1),
        (5, []),
        (5, {1: 12000}),
        (5, {1: {1: -1}}),
        (5, {1: {1: True}}),
        (5, {1: {-1: 1}}),
        (6, 0),
    ):
        changed = dict(whole)
        changed[key] = value
        assert refusal(DocumentError, decode_fare_table, cbor.encode(changed))
    assert refusal(DocumentError, decode_fare_table, b"")


def _ruled(rules: dict[int, Any]) -> bytes:
    return cbor.encode(cbor.decode(encode_fare_table(_TABLE)) | {6: rules})


def test_rules_come_back_and_what_is_not_said_has_its_default() -> None:
    rules = decode_fare_table(encode_fare_table(_TABLE)).rules
    assert (rules.same_trip_s, rules.next_trip_s, rules.transfer_s, rules.quotas, rules.use) == (60, 0, 0, {}, 0)
    said = {1: [3600, 1800], 2: [1800, 2, 0], 3: {3: 2}, 4: [7, 9], 5: [18_000, 10_800], 6: 2, 7: 7, 8: [1, 4]}
    said[9] = [[1, 40, 1], [41, 41, 16]]
    rules = decode_fare_table(_ruled(said)).rules
    assert (rules.same_trip_s, rules.next_trip_s) == (3600, 1800)
    assert (rules.transfer_s, rules.transfers_max, rules.transfer_fare_minor) == (1800, 2, 0)
    assert (rules.quotas, rules.free_days, rules.use, rules.free_when, rules.allow_listed) == (
        {3: 2},
        [7, 9],
        2,
        7,
        [1, 4],
    )
    assert rules.encode() == said


def test_a_service_day_may_end_after_midnight() -> None:
    rules = FareRules({5: (18_000, 10_800)})
    midnight_s = 19_857 * 86_400 - 18_000
    assert [rules.day_of(midnight_s + hour * 3600 - 1) for hour in (0, 3, 4)] == [19_856, 19_856, 19_857]
    assert rules.day_of(midnight_s + 3 * 3600) == 19_857


def test_a_stop_lies_in_the_zone_of_its_range_or_in_none() -> None:
    rules = FareRules({9: [[1, 40, 1], [41, 41, 2], [50, 60, 1]]})
    found = [rules.zone_of(stop) for stop in (None, 0, 1, 40, 41, 42, 55, 61)]
    assert found == [None, None, 1, 1, 2, None, 1, None]
    assert FareRules().zone_of(1) is None


def test_what_are_no_rules_is_refused() -> None:
    refused: list[Any] = [
        {},
        {0: 1},
        {10: 1},
        {9: 1},
        {9: []},
        {9: [1]},
        {9: [[1, 2]]},
        {9: [[1, 2, 0]]},
        {9: [[1, 2, 17]]},
        {9: [[2, 1, 1]]},
        {9: [[1, 2, 1], [2, 3, 2]]},
        {9: [[3, 4, 1], [1, 2, 2]]},
        {9: [[1, 2**32, 1]]},
        {9: [[at, at, 1] for at in range(65)]},
        {1: [60]},
        {1: [60, 0]},
        {1: [60, -1]},
        {1: [86_401, 0]},
        {2: [1, 2]},
        {2: [1, 101, 0]},
        {3: {}},
        {3: {1: 0}},
        {3: {1: True}},
        {3: []},
        {4: [2, 1]},
        {4: [1, 1]},
        {4: ["", 1]},
        {4: list(range(65))},
        {5: [50_401, 0]},
        {5: [0, 86_400]},
        {6: 0},
        {6: 3},
        {7: 8},
        {8: [8]},
    ]
    for rules in refused:
        assert refusal(DocumentError, decode_fare_table, _ruled(rules)), rules


def test_a_list_holds_its_tokens_and_no_others() -> None:
    tokens = _tokens(50)
    listed = decode_list(encode_list(make_list(LIST_DENY, 7, 2000, tokens[:40] + tokens[:3])))
    assert (listed.kind, listed.number, listed.expires_s, len(listed)) == (LIST_DENY, 7, 2000, 40)
    assert [listed.holds(token) for token in tokens] == [True] * 40 + [False] * 10
    assert not listed.holds(bytes(16))
    assert not listed.holds(b"\xff" * 16)


def test_an_empty_list_holds_nothing() -> None:
    assert not decode_list(encode_list(make_list(LIST_DENY, 7, 2000, []))).holds(bytes(16))


def test_the_longest_list_fits_one_message_and_a_validator() -> None:
    entries = bytearray(LIST_PART_ENTRIES_MAX * 8)
    for index in range(LIST_PART_ENTRIES_MAX):
        entries[index * 8 : index * 8 + 2] = (index + 1).to_bytes(2, "big")
    payload = encode_list(MediumList(LIST_DENY, 1, 2000, entries))  # no second copy of it
    del entries
    assert len(payload) < MESSAGE_BYTES_MAX - 256
    listed = decode_list(payload)
    assert len(listed) == LIST_PART_ENTRIES_MAX
    assert listed.holds((LIST_PART_ENTRIES_MAX).to_bytes(2, "big") + bytes(14))
    assert not listed.holds((LIST_PART_ENTRIES_MAX + 1).to_bytes(2, "big") + bytes(14))


def test_what_is_no_list_is_refused() -> None:
    whole = cbor.decode(encode_list(make_list(LIST_DENY, 7, 2000, _tokens(2))))
    low, high = whole[5][:8], whole[5][8:]
    for key, value in ((0, 2), (4, 3), (5, high + low), (5, low + low), (5, low), (5, "x" * 16), (6, 0)):
        changed = dict(whole)
        changed[key] = value
        assert refusal(DocumentError, decode_list, cbor.encode(changed))
