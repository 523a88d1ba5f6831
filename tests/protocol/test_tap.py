"""Journal records: what they hold, how long they are, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor, tap
from protocol.errors import LocalProtocolError, TapError
from protocol.limits import RECORD_BYTES_MAX, SEQUENCE_MAX
from protocol.tap import Tap, decode_tap, encode_tap, last_sequence
from tests.protocol.expect import refusal
from tests.vectors.wire_messages import make_records

if TYPE_CHECKING:
    from typing import Any

_SLOT_PAYLOADS = (108, 236, 364, 492)


def _fields(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    fields = {
        "sequence": SEQUENCE_MAX,
        "tapped_at_s": 0xFFFFFFFF,
        "clock_quality": 3,
        "uptime_ms": 1 << 40,
        "boot": 0xFFFFFFFF,
        "kind": tap.KIND_SINGLE,
    }
    fields.update(changes)
    return fields


def _full_ride(**changes: Any) -> Tap:  # noqa: ANN401
    ride = {
        "medium": tap.MEDIUM_TRANSPORT_CARD,
        "token_key_version": 0xFFFF,
        "token": bytes(16),
        "counter": 0xFFFFFFFF,
        "evidence": bytes(8),
        "product": 0xFFFF,
        "fare_minor": 100000000,
        "category": 255,
        "line": 0xFFFF,
        "trip": 0xFFFFFFFF,
        "stop": 0xFFFFFFFF,
        "position": [4323895, 7688970],
        "decision": 0,
        "balance_minor": 100000000,
        "shift": 0xFFFFFFFF,
        "fare_table": 0xFFFFFFFF,
        "deny_list": 0xFFFFFFFF,
    }
    ride.update(changes)
    return Tap(**_fields(**ride))


def _decoded(**changes: Any) -> str:  # noqa: ANN401
    """Return why a record with these keys changed is refused."""
    fields = {0: 1, 1: 5, 2: 1000, 3: 3, 4: 60, 5: 1, 6: 1}
    for key, value in changes.items():
        fields[int(key[1:])] = value
    return refusal(TapError, decode_tap, cbor.encode(fields))


def test_every_field_comes_back() -> None:
    before = _full_ride(extensions={0: [1, b"x"]}, reference=True)
    after = decode_tap(encode_tap(before))
    for name in Tap.__slots__:
        assert getattr(after, name) == getattr(before, name), name


def test_what_is_absent_is_none() -> None:
    after = decode_tap(encode_tap(Tap(**_fields(sequence=7))))
    assert after.sequence == 7
    for name in (
        "medium",
        "token",
        "token_key_version",
        "fare_minor",
        "reference",
        "fare_table",
        "deny_list",
        "position",
    ):
        assert getattr(after, name) is None


def test_a_record_is_encoded_one_way_only() -> None:
    for record in make_records().values():
        assert encode_tap(decode_tap(record)) == record


def test_a_plain_ride_fits_one_slot_and_the_fullest_fits_two() -> None:
    records = make_records()
    assert len(records["cash"]) <= _SLOT_PAYLOADS[0]
    assert len(records["intent"]) <= _SLOT_PAYLOADS[0]
    assert len(records["outcome"]) <= _SLOT_PAYLOADS[0]
    assert len(encode_tap(_full_ride())) <= _SLOT_PAYLOADS[1]


def test_what_does_not_fit_four_slots_is_not_written_and_not_read() -> None:
    long = {2: bytes(RECORD_BYTES_MAX - 40)}
    assert refusal(LocalProtocolError, encode_tap, Tap(**_fields(extensions=long)))
    assert refusal(TapError, decode_tap, bytes(RECORD_BYTES_MAX + 1))


def test_fields_out_of_range_are_not_written() -> None:
    for changes in ({"sequence": 0}, {"sequence": SEQUENCE_MAX + 1}, {"kind": 16}, {"token": bytes(15)}, {"boot": -1}):
        assert refusal(LocalProtocolError, encode_tap, _full_ride(**changes))


def test_a_missing_key_is_refused() -> None:
    whole = {0: 1, 1: 5, 2: 1000, 3: 3, 4: 60, 5: 1, 6: 1}
    assert decode_tap(cbor.encode(whole)).sequence == 5
    for key in whole:
        rest = {each: value for each, value in whole.items() if each != key}
        assert "missing" in refusal(TapError, decode_tap, cbor.encode(rest))


def test_values_out_of_range_are_refused() -> None:
    assert _decoded(k0=2)
    assert _decoded(k0=True)
    assert _decoded(k1=0)
    assert _decoded(k1=True)
    assert _decoded(k1=SEQUENCE_MAX + 1)
    assert _decoded(k2=1 << 32)
    assert _decoded(k3=4)
    assert _decoded(k6=0)
    assert _decoded(k7=8)
    assert _decoded(k8=[1, bytes(15)])
    assert _decoded(k8=bytes(16))
    assert _decoded(k8=[1 << 16, bytes(16)])
    assert _decoded(k10=bytes(3))
    assert _decoded(k12=1 << 63)
    assert _decoded(k17=[1])
    assert _decoded(k21=[1, -1])
    assert _decoded(k23=[])
    assert _decoded(k24=1)


def test_only_some_kinds_refer_to_other_records() -> None:
    assert _decoded(k6=tap.KIND_OUTCOME)
    assert _decoded(k6=tap.KIND_OUTCOME, k22=True)
    assert _decoded(k6=tap.KIND_SINGLE, k22=4)
    assert _decoded(k6=tap.KIND_ACQUIRER_BLOB, k22=[1, 2])


def test_a_lost_range_begins_at_its_own_sequence() -> None:
    lost = Tap(**_fields(sequence=5, kind=tap.KIND_LOST_RANGE, reference=[5, 9]))
    assert last_sequence(decode_tap(encode_tap(lost))) == 9
    for reference in ([4, 9], [6, 9], [5, 4], [5], 5, True):
        assert _decoded(k6=tap.KIND_LOST_RANGE, k22=reference)
    assert _decoded(k6=tap.KIND_LOST_RANGE)


def test_any_other_record_stands_for_itself() -> None:
    assert last_sequence(Tap(**_fields(sequence=5))) == 5


def test_what_is_no_map_or_no_cbor_is_refused() -> None:
    for record in (b"", b"\xff", b"\x80", b"\x01", b"\xa1\x00\x01\x00"):
        assert refusal(TapError, decode_tap, record)


def test_numbers_may_be_the_smallest_that_their_row_allows() -> None:
    ride = _full_ride(shift=0)
    assert decode_tap(encode_tap(ride)).shift == 0
