"""The layout of the transport card: what is written is read, and what is not ours is refused."""

from __future__ import annotations

from protocol.cards import card_layout as layout
from protocol.cards.card_layout import CardEvent, Environment, Pass
from protocol.cards.ride_event import decode_evidence, encode_evidence, is_event_of, ride_event
from protocol.cards.transaction_mac import ride_input
from protocol.errors import CardError
from protocol.tap import CLOCK_SYNCHRONISED, KIND_INTENT, Tap
from protocol.tokens import mask_uid
from tests.protocol.expect import refusal

_DEVICE = bytes(range(100, 116))


def environment() -> Environment:
    passes = [Pass(101, 10, 20), Pass(102, 11, 21, layout.SCOPE_LINE, 12, True), Pass(103, 1, 9, layout.SCOPE_ZONES, 5)]
    return Environment(bytes(range(8)), 1, 3, 1_900_000_000, 1_800_000_000, layout.STATUS_BLOCKED, passes)


def intent() -> Tap:
    return Tap(
        sequence=77,
        tapped_at_s=1_800_000_000,
        clock_quality=CLOCK_SYNCHRONISED,
        uptime_ms=5,
        boot=1,
        kind=KIND_INTENT,
        counter=4,
        product=1,
        fare_minor=12_000,
        line=7,
        trip=65_536 + 9,
    )


def test_an_environment_is_read_as_it_was_written() -> None:
    data = layout.encode_environment(environment())
    assert len(data) == layout.ENVIRONMENT_BYTES
    again = layout.decode_environment(data)
    assert layout.encode_environment(again) == data
    assert (again.card_number, again.city, again.category, again.expires_s) == (bytes(range(8)), 1, 3, 1_900_000_000)
    assert (again.concession_until_s, again.status, again.layout) == (1_800_000_000, layout.STATUS_BLOCKED, 2)
    assert [(each.product, each.scope, each.place) for each in again.passes] == [(101, 0, 0), (102, 1, 12), (103, 2, 5)]
    assert [each.is_counted for each in again.passes] == [False, True, False]


def test_a_card_of_the_layout_before_is_read_and_not_written_any_more() -> None:
    old = layout.encode_environment(environment())[:16] + b"\x01" + bytes(15)
    again = layout.decode_environment(old)
    assert (again.card_number, again.category, again.layout) == (bytes(range(8)), 3, 1)
    assert (again.concession_until_s, again.status, len(again.passes)) == (0, layout.STATUS_IN_USE, 0)
    assert layout.encode_environment(again)[16] == layout.LAYOUT_VERSION


def test_a_newer_layout_is_told_apart_from_nonsense() -> None:
    good = layout.encode_environment(environment())
    assert refusal(layout.LayoutUnknown, layout.decode_environment, good[:16] + b"\x03" + good[17:])
    for data in (
        b"",
        good[:31],
        good[:62],
        good + b"\x00",
        good[:16] + b"\x00" + good[17:],
        good[:16] + b"\x01" + good[17:],
    ):
        assert "layout" in refusal(CardError, layout.decode_environment, data) or len(data) < 32


def test_a_pass_is_good_in_its_time_and_place() -> None:
    everywhere, line, zones = environment().passes
    assert [everywhere.is_good(at_s, None) for at_s in (9, 10, 19, 20)] == [False, True, True, False]
    assert [line.is_good(15, where) for where in (12, 13, None)] == [True, False, False]
    assert [zones.is_good(5, None, zone) for zone in (1, 2, 3, None)] == [True, False, True, False]
    line.trips_left = 0
    assert not line.is_good(15, 12)
    assert not Pass(0, 10, 20).is_good(15, 12)


def test_an_event_is_read_as_it_was_written() -> None:
    event = CardEvent(layout.EVENT_TRIP, 1, b"desk", 2, 3, 4, 1 << 39, 12, 13, 2, 102)
    data = event.encode()
    assert len(data) == layout.EVENT_BYTES
    again = layout.decode_event(data)
    assert again.encode() == data
    assert (again.kind, again.slot, again.writer, again.sequence) == (layout.EVENT_TRIP, 2, b"desk", 1 << 39)
    assert (again.line, again.trip, again.product, again.counter) == (12, 13, 102, 4)
    nowhere = layout.decode_event(CardEvent(layout.EVENT_ISSUED, 1, b"desk", 2, 3, 4).encode())
    assert nowhere.line == nowhere.trip == layout.NOWHERE


def test_an_event_of_another_size_or_below_zero_is_refused() -> None:
    good = CardEvent(layout.EVENT_PURSE, 1, b"desk", 2, 3, 4).encode()
    for data in (b"", good[:31], good + b"\x00", good[:24] + b"\x80" + good[25:]):
        assert refusal(CardError, layout.decode_event, data)


def test_what_a_ride_writes_to_the_card_follows_from_its_record() -> None:
    event = ride_event(intent(), _DEVICE, layout.EVENT_PURSE, 0, 0, 88_000)
    assert (event.amount_minor, event.balance_minor, event.counter, event.sequence) == (12_000, 88_000, 5, 77)
    assert (event.line, event.trip, event.writer, event.product) == (7, 9, _DEVICE[:4], 1)
    assert is_event_of(event, intent(), _DEVICE)
    assert not is_event_of(event, intent(), bytes(16))
    counted = ride_event(intent(), _DEVICE, layout.EVENT_TRIP, 1, 9, 100_000)
    assert (counted.amount_minor, counted.fare_minor(), event.fare_minor()) == (9, 0, 12_000)


def test_the_input_of_a_ride_is_what_it_changed() -> None:
    event = ride_event(intent(), _DEVICE, layout.EVENT_PURSE, 0, 0, 88_000)
    signed = ride_input(event)
    assert signed[:16] == b"\xdc\x02" + (12_000).to_bytes(4, "little") + bytes(10)
    assert signed[16:32] == b"\x8b\x03\x00\x00\x00\x20\x00\x00" + bytes(8)
    assert signed[32:] == event.encode()
    counted = ride_input(ride_event(intent(), _DEVICE, layout.EVENT_TRIP, 1, 9, 1))
    assert counted[:16] == b"\xdc\x05\x01" + bytes(13)
    for kind in (layout.EVENT_PASS, layout.EVENT_ACCOUNT):
        assert len(ride_input(ride_event(intent(), _DEVICE, kind, 0, 0, 1))) == 48


def test_the_evidence_of_a_ride_is_read_as_it_was_written() -> None:
    for kind, slot, trips in ((layout.EVENT_PURSE, 0, 0), (layout.EVENT_TRIP, 2, 300), (layout.EVENT_ACCOUNT, 0, 0)):
        event = ride_event(intent(), _DEVICE, kind, slot, trips, 1)
        evidence = decode_evidence(encode_evidence(b"MACMACMA", b"maskuid", event))
        assert evidence is not None
        assert (evidence.mac, evidence.masked_uid) == (b"MACMACMA", b"maskuid")
        assert (evidence.kind, evidence.slot, evidence.trips_left) == (kind, slot, trips)
    old = decode_evidence(encode_evidence(b"MACMACMA", b"maskuid", None))
    assert old is not None
    assert old.kind == 0
    for data in (b"", b"MACMACMA", bytes(15), bytes(17), bytes(15) + b"\x05", bytes(15) + b"\x05\x00"):
        assert decode_evidence(data) is None


def test_a_masked_uid_is_read_with_the_key_alone() -> None:
    uid, token = bytes.fromhex("04112233445566"), bytes(16)
    masked = mask_uid(b"k" * 32, token, uid)
    assert masked != uid
    assert mask_uid(b"k" * 32, token, masked) == uid
    assert mask_uid(b"l" * 32, token, masked) != uid
    assert mask_uid(b"k" * 32, b"t" * 16, uid) != masked
