"""Money that waits comes onto a card on the bus: after the ride, once, whatever is torn away or cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import diversify
from protocol.cards.ride_event import decode_evidence, ride_event
from protocol.cards.transaction_mac import top_up_input, transaction_mac
from protocol.decisions import (
    DECISION_INSUFFICIENT_FUNDS,
    DECISION_NOT_COMMITTED,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_TOP_UP_COMING,
    DECISION_TOPPED_UP,
)
from protocol.tap import KIND_OUTCOME, KIND_TOP_UP, Tap
from simulator.flash import PowerCut
from tests.firmware.bench_service import ACK_KEY
from tests.protocol.aes import Aes
from tests.simulator.test_torn_cards import moments, ride_blocks
from tests.simulator.top_up_office import AMOUNT_MINOR, TopUpOffice
from tests.simulator.validator_bench import BALANCE_MINOR, FARE_MINOR, MASTERS, BusBench, make_card, make_old_card

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.top_up import TopUpCommand
    from simulator.desfire_card import DesfireCard

RIDDEN_MINOR = BALANCE_MINOR - FARE_MINOR
RICH_MINOR = RIDDEN_MINOR + AMOUNT_MINOR
RIDE = f"ok {FARE_MINOR} {RIDDEN_MINOR}, light green"
LOADED = f"hold on, loaded {AMOUNT_MINOR} {RICH_MINOR}, light green"
LATER = "hold on, later, light amber"
_SHARES = 4
_RIDE_SLOTS = 4


def unnumbered(shown: str) -> str:
    """What was shown, without the numbers of the taps."""
    parts = [part.split(" ") for part in shown.split(", ")]
    return ", ".join(" ".join(part[:1] + part[2:] if part[0] in {"ok", "again", "loaded"} else part) for part in parts)


def hold(bus: BusBench, card: DesfireCard) -> str:
    return unnumbered(bus.hold(card))


def credits_of(card: DesfireCard) -> list[int]:
    """What was loaded since the card was issued."""
    return card.committed_credits_minor[1:]


def top_ups(bus: BusBench) -> list[tuple[Tap, list[Tap]]]:
    """The records of top-ups, each with its outcomes."""
    taps = bus.taps().values()
    ends = [tap for tap in taps if tap.kind == KIND_OUTCOME]
    return [(tap, [end for end in ends if end.reference == tap.sequence]) for tap in taps if tap.kind == KIND_TOP_UP]


def make_bus(card: DesfireCard | None = None, sectors: int = 16) -> tuple[BusBench, TopUpOffice, DesfireCard]:
    card = make_card() if card is None else card
    bus = BusBench(sectors=sectors)
    return bus, TopUpOffice(bus, card), card


def test_the_money_comes_after_the_ride_and_the_card_has_signed_both() -> None:
    bus, office, card = make_bus()
    assert hold(bus, card) == f"{RIDE}, {LOADED}"
    assert (card.balance_minor, credits_of(card)) == (RICH_MINOR, [AMOUNT_MINOR])
    ((begun, (ended,)),) = top_ups(bus)
    assert (begun.fare_minor, begun.decision, begun.product) == (AMOUNT_MINOR, DECISION_TOP_UP_COMING, None)
    assert begun.extensions == {0: office.commands[0].number}
    assert (ended.decision, ended.balance_minor) == (DECISION_TOPPED_UP, RICH_MINOR)
    assert ended.counter == card.counter == (begun.counter or 0) + 1
    evidence = decode_evidence(ended.evidence or b"")
    assert evidence is not None
    event = ride_event(begun, bus.identity.device, layout.EVENT_TOP_UP, 0, 0, RICH_MINOR)
    assert event.encode() == card.events[-1].encode()
    key = diversify(Aes(), MASTERS["transit_mac_master"], layout.key_material(card.uid))
    signed = top_up_input(AMOUNT_MINOR, event.encode())
    assert evidence.mac == card.last_mac == transaction_mac(Aes(), key, card.uid, card.counter, signed)


def test_it_comes_once_though_the_card_stays_on_the_list() -> None:
    bus, office, card = make_bus()
    hold(bus, card)
    assert hold(bus, card) == f"again {FARE_MINOR} {RIDDEN_MINOR}, light amber"
    assert len(office.commands) == 1
    bus.restart()
    assert hold(bus, card).endswith(LATER), "it asks again after a start, and is given nothing"
    assert credits_of(card) == [AMOUNT_MINOR]


def test_a_card_that_nobody_has_paid_for_rides_as_always() -> None:
    bus, office, _ = make_bus()
    assert hold(bus, make_card(2)) == RIDE
    assert office.commands == []


def test_a_card_of_the_layout_before_is_loaded_at_a_desk() -> None:
    card = make_old_card()
    bus, office, _ = make_bus(card)
    assert hold(bus, card) == RIDE
    assert office.commands == []


def test_a_rider_whose_purse_is_too_low_gets_the_money_first() -> None:
    card = make_card(balance_minor=FARE_MINOR - 1)
    bus, _, _ = make_bus(card)
    rich_minor = AMOUNT_MINOR + FARE_MINOR - 1
    assert hold(bus, card) == (
        f"hold on, loaded {AMOUNT_MINOR} {rich_minor}, light green, ok {FARE_MINOR} {rich_minor - FARE_MINOR}, light green"
    )
    assert card.committed_debits_minor == [FARE_MINOR]


def test_a_loaded_card_has_not_paid_for_a_ride_by_that() -> None:
    card = make_card(balance_minor=0)
    bus, _, _ = make_bus(card)
    blocks = [sum(block) for block in ride_blocks_of(bus, make_card(balance_minor=0))]
    bus, _, _ = make_bus(card)
    card.tear_at_byte(sum(blocks[:-7]), carried_out=True)
    assert "ok" not in hold(bus, card)
    bus.restart()
    assert card.committed_credits_minor == [AMOUNT_MINOR]
    assert f"ok {FARE_MINOR} {AMOUNT_MINOR - FARE_MINOR}, light green" in hold(bus, card)


@pytest.mark.parametrize("status", [409, 500, 403])
def test_a_service_that_gives_nothing_leaves_the_ride_alone(status: int) -> None:
    bus, office, card = make_bus()
    office.status = status
    assert hold(bus, card) == f"{RIDE}, {LATER}"
    assert credits_of(card) == []
    office.status = 0
    assert hold(bus, card) == f"again {FARE_MINOR} {RIDDEN_MINOR}, light amber, {LOADED}", "held again later"


def test_money_that_has_come_elsewhere_is_not_spoken_of() -> None:
    bus, office, card = make_bus()
    office.status = 404
    assert hold(bus, card) == f"{RIDE}, hold on"


def test_without_a_network_the_ride_is_served_and_the_money_waits() -> None:
    bus, office, card = make_bus()
    office.is_reachable = False
    assert hold(bus, card) == f"{RIDE}, {LATER}"
    poor = make_card(balance_minor=0)
    bus, office, _ = make_bus(poor)
    office.is_reachable = False
    assert hold(bus, poor) == f"{LATER}, refused {DECISION_INSUFFICIENT_FUNDS}, light red"


def test_an_answer_that_takes_too_long_is_not_waited_for() -> None:
    bus, office, card = make_bus()
    office.distort = lambda _: None
    answer = office.answer
    bus.board.answer = lambda request: None if b"/v1/top-up-commands" in request else answer(request)
    assert hold(bus, card) == f"{RIDE}, {LATER}"


def _change(name: str, value: Any) -> Callable[[TopUpCommand], None]:  # noqa: ANN401
    return lambda command: setattr(command, name, value)


@pytest.mark.parametrize(
    "spoil",
    [
        _change("device", bytes(16)),
        _change("epoch", 2),
        _change("nonce", bytes(8)),
        _change("token", bytes(16)),
        _change("counter", 99),
        _change("expires_s", 1),
    ],
)
def test_a_command_for_another_card_or_moment_is_not_used(spoil: Callable[[TopUpCommand], None]) -> None:
    bus, office, card = make_bus()
    office.spoil = spoil
    assert hold(bus, card) == f"{RIDE}, {LATER}"
    assert credits_of(card) == []
    assert top_ups(bus) == []


def test_a_command_that_was_signed_by_another_key_is_not_used() -> None:
    bus, office, card = make_bus()
    office.signer = ACK_KEY
    assert hold(bus, card) == f"{RIDE}, {LATER}"
    assert credits_of(card) == []


def test_a_purse_that_would_overflow_stays_as_it_is() -> None:
    bus, office, card = make_bus()
    office.spoil = _change("amount_minor", 0x7FFFFFFF)
    assert hold(bus, card) == f"{RIDE}, {LATER}"
    assert (credits_of(card), top_ups(bus)) == ([], [])


def test_a_full_journal_takes_no_top_up() -> None:
    bus, office, card = make_bus(sectors=2)
    office.distort = lambda _: None
    while bus.journal.free_slots > _RIDE_SLOTS:
        bus.say("cash")
    assert hold(bus, card) == f"{RIDE}, {LATER}"
    assert (credits_of(card), len(office.commands)) == ([], 1)


# Torn away, and cut off.


def ride_blocks_of(bus: BusBench, card: DesfireCard) -> list[tuple[int, int]]:
    """How many bytes each command and its answer have on the air while a card is held."""
    blocks = []
    process = card.process

    def listen(apdu: bytes) -> bytes:
        answer = process(apdu)
        blocks.append((len(apdu) + 3, len(answer) + 3))
        return answer

    card.process = listen  # type: ignore[method-assign]
    bus.hold(card)
    return blocks


@pytest.mark.parametrize("share", range(_SHARES))
def test_a_card_that_is_torn_away_at_any_byte_of_the_top_up_is_loaded_once(share: int) -> None:
    bus, _, _ = make_bus()
    state = bus.state()
    ride = sum(map(sum, ride_blocks(BusBench())))
    blocks = ride_blocks_of(bus, make_card())
    assert len(blocks) == 9 + 5
    seen = set()
    for position, carried_out in moments(blocks)[share::_SHARES]:
        if position < ride:
            continue
        bus.start_in(state)
        card = make_card()
        office = TopUpOffice(bus, card)
        card.tear_at_byte(position, carried_out=carried_out)
        where = (position, carried_out)
        assert hold(bus, card) == f"{RIDE}, {LATER}", where
        shown = hold(bus, card)
        assert credits_of(card) == [AMOUNT_MINOR], (where, shown)
        assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR], where
        assert f"loaded {AMOUNT_MINOR} {RICH_MINOR}, light green" in shown, (where, shown)
        ends = [tuple(end.decision for end in ends) for _, ends in top_ups(bus)]
        assert [end[-1] for end in ends].count(DECISION_TOPPED_UP) == 1, where
        assert all(end[-1] in {DECISION_TOPPED_UP, DECISION_NOT_COMMITTED} for end in ends), where
        assert len(office.commands) <= 2
        seen |= set(ends)
    assert {(DECISION_TOPPED_UP,), (DECISION_OUTCOME_UNKNOWN, DECISION_TOPPED_UP)} <= seen


def test_a_power_cut_at_any_byte_of_the_top_up_loads_once() -> None:
    bus, _, card = make_bus()
    state = bus.state()
    office = TopUpOffice(bus, card)
    office.status = 404
    written = bus.flash.programmed_bytes
    bus.hold(card)
    ride_bytes = bus.flash.programmed_bytes - written
    bus.start_in(state)
    office = TopUpOffice(bus, make_card())
    written = bus.flash.programmed_bytes
    bus.hold(make_card())
    all_bytes = bus.flash.programmed_bytes - written
    assert all_bytes >= ride_bytes + 2 * 128
    for cut in range(ride_bytes, all_bytes):
        bus.start_in(state)
        card = make_card()
        office = TopUpOffice(bus, card)
        bus.flash.cut_after_bytes = cut
        with pytest.raises(PowerCut):
            bus.hold(card)
        assert "loaded" not in ", ".join(bus.board.told), cut
        bus.restart()
        shown = hold(bus, card)
        assert credits_of(card) == [AMOUNT_MINOR], (cut, shown)
        assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR], (cut, shown)
        assert bus.flash.reprogrammed == 0, cut
        assert sum(end.decision == DECISION_TOPPED_UP for _, ends in top_ups(bus) for end in ends) == 1, cut
        assert len(office.commands) <= 2, cut
