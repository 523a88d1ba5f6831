"""Whatever a rider holds, and whatever has happened to it: an inspector's look changes no card, and no sum in any journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.cards import card_layout as layout
from protocol.qr.nonce import Receipt, screen_key, show_receipt
from protocol.qr.ticket import DAY_S, day_key
from protocol.tap import KIND_INSPECTION
from simulator.desfire_card import DesfireCard
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from tests.firmware.bench_board import NOW_S, BenchDatagrams
from tests.firmware.bench_service import CITY, QR_MASTER
from tests.simulator.validator_bench import (
    MASTERS,
    VEHICLE_SECRET,
    BusBench,
    InspectorBench,
    make_old_card,
    make_ticket,
    plugged,
)

if TYPE_CHECKING:
    from simulator.virtual_card import VirtualCard

Medium = DesfireCard | EmvCard | str
_LATER_S = NOW_S + DAY_S
_PASSES = st.lists(
    st.builds(
        layout.Pass,
        st.integers(100, 110),
        st.just(0),
        st.sampled_from([1, _LATER_S]),
        st.sampled_from([layout.SCOPE_EVERYWHERE, layout.SCOPE_LINE, layout.SCOPE_ZONES]),
        st.sampled_from([0, 7]),
    ),
    max_size=3,
)


@st.composite
def transport_cards(draw: st.DrawFn) -> DesfireCard:
    if draw(st.booleans()) and draw(st.booleans()):
        return make_old_card(category=draw(st.sampled_from([1, 2])))
    environment = layout.Environment(
        bytes(8),
        draw(st.sampled_from([CITY, CITY, 2])),
        draw(st.sampled_from([1, 2, 9])),
        draw(st.sampled_from([_LATER_S, NOW_S - 1])),
        status=draw(st.sampled_from([layout.STATUS_IN_USE, layout.STATUS_IN_USE, layout.STATUS_BLOCKED])),
        passes=draw(_PASSES),
    )
    masters = draw(st.sampled_from([MASTERS, MASTERS, dict.fromkeys(MASTERS, bytes(16))]))
    return DesfireCard.personalise(b"\x04" + bytes(6), environment, draw(st.sampled_from([0, 100_000])), masters)


def _receipts(minutes_ago: int, secret: bytes) -> str:
    device, minute = bytes(16), NOW_S // 60 - minutes_ago
    key = screen_key(day_key(QR_MASTER, minute // 1440), secret, device)
    return show_receipt(Receipt(device, CITY, minute, b"payment1", 12_000, 1), key)


_BANK_CARDS = st.builds(
    EmvCard,
    st.just(b"\x08\x01\x02\x03"),
    st.just("9999990000000018"),
    st.sampled_from(["3012", "2404"]),
    st.sampled_from([VISA_LIKE, MASTERCARD_LIKE]),
)
_CODES = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=60),
    st.builds(lambda late_s, city: make_ticket(city=city).text(NOW_S - late_s), st.integers(0, 90), st.integers(1, 2)),
    st.builds(_receipts, st.integers(0, 300), st.sampled_from([VEHICLE_SECRET, bytes(8)])),
)
# What has happened before: rides at the door, torn away at some command, another run.
_PAST = st.lists(st.one_of(st.just("ride"), st.sampled_from(["trip 1", "trip 2"]), st.integers(1, 9)), max_size=4)


def _present(device: BusBench, medium: Medium) -> None:
    if isinstance(medium, str):
        device.scan(medium)
    else:
        device.hold(medium)


def _stored_in(medium: Medium) -> Any:  # noqa: ANN401 - whatever it is
    return medium.to_image() if isinstance(medium, DesfireCard) else None


def _live_through(door: BusBench, medium: Medium, past: list[str | int]) -> None:
    for event in past:
        if isinstance(event, int) and not isinstance(medium, str):
            card: VirtualCard = medium
            card.tear_at(event, carried_out=bool(event % 2))
            door.hold(card)
        elif event == "ride":
            _present(door, medium)
        elif isinstance(event, str):
            door.say(event)


class Pair:
    """A door and an inspector, which hypothesis puts into each example anew."""

    def __init__(self) -> None:
        ports = BenchDatagrams(), BenchDatagrams()
        plugged(*ports)
        self.door, self.inspector = BusBench(plug=ports[0]), InspectorBench(number=2, plug=ports[1])
        self._states = self.door.state(), self.inspector.state()

    def reset(self) -> None:
        self.door.start_in(self._states[0])
        self.inspector.start_in(self._states[1])


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair()


@settings(max_examples=60, deadline=None)
@given(
    medium=st.one_of(transport_cards(), transport_cards(), _BANK_CARDS, _CODES),
    past=_PAST,
    console=st.sampled_from(["trip 1", "trip 2", "line 9", "nonsense", "cash", "sms 0AB9Z7CK"]),
    torn_at=st.none() | st.integers(1, 6),
    times=st.integers(1, 3),
)
def test_a_look_changes_no_card_and_no_sum(
    pair: Pair, medium: Medium, past: list[str | int], console: str, torn_at: int | None, times: int
) -> None:
    pair.reset()
    door, inspector = pair.door, pair.inspector
    _live_through(door, medium, past)
    door_before, stored, before = door.taps().keys(), _stored_in(medium), inspector.taps().keys()
    inspector.keep_up_with(door)
    inspector.say(console)
    for _ in range(times):
        if torn_at is not None and not isinstance(medium, str):
            medium.tear_at(torn_at, carried_out=True)
        _present(inspector, medium)
    assert _stored_in(medium) == stored
    assert door.taps().keys() == door_before
    written = [tap for sequence, tap in inspector.taps().items() if sequence not in before]
    assert {tap.kind for tap in written} == {KIND_INSPECTION}
    assert len(written) >= times
    for tap in written:
        assert tap.fare_minor is tap.balance_minor is tap.counter is None
        assert tap.evidence is None
    assert inspector.charged_minor() == []
