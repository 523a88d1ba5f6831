"""Transport cards before a whole validator: what pays, what is refused and why, and what the card itself remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clearing.pricing.proofs import PROVEN, verdict_on
from firmware.keys import seal_bundle
from protocol.cards import card_layout as layout
from protocol.cards.desfire_issue import Desk, card_keys, load_pass, open_at_desk, set_status
from protocol.cards.ride_event import decode_evidence, ride_event
from protocol.cards.transaction_mac import ride_input, transaction_mac
from protocol.cose import TYP_FARE_TABLE, sign1
from protocol.decisions import (
    DECISION_BAD_AUTHENTICATION,
    DECISION_CARD_ANSWER_FORGED,
    DECISION_CARD_BLOCKED,
    DECISION_CARD_KEYS_UNKNOWN,
    DECISION_CARD_LAYOUT_UNKNOWN,
    DECISION_COMMITTED,
    DECISION_INSUFFICIENT_FUNDS,
    DECISION_MEDIUM_FAULT,
    DECISION_TORN,
    DECISION_UNKNOWN_MEDIUM,
)
from protocol.enrolment import EarlierKeys
from protocol.fare_rules import USE_ACCOUNT_ONLY, USE_PASS_FIRST, FareRules
from protocol.fare_table import FareTable, encode_fare_table
from protocol.tap import KIND_INTENT, KIND_OUTCOME, KIND_REFUSED
from protocol.tokens import mask_uid
from simulator.desfire_files import DataFile, RecordFile
from simulator.desfire_secure import AES
from tests.firmware.bench_board import NOW_S
from tests.firmware.bench_service import AUDIENCE, CITY, DOCUMENT_KEY, TOKEN_KEY, make_bundle
from tests.simulator.conversations import hold
from tests.simulator.validator_bench import (
    BALANCE_MINOR,
    FARE_MINOR,
    FARES,
    MASTERS,
    BusBench,
    make_card,
    outcomes_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.desfire_card import DesfireCard

# The command that takes from the purse: by then the ride's intent is recorded.
DEBIT = 7
_NEWER = {name: master[::-1] for name, master in MASTERS.items()}


class _BackOffice:
    """The keys that a verdict needs."""

    token_key = TOKEN_KEY
    transit_mac_master = MASTERS["transit_mac_master"]


def table_with(rules: FareRules) -> bytes:
    table = FareTable(1, NOW_S - 86_400, NOW_S + 86_400, CITY, FARES, rules)
    return sign1(encode_fare_table(table), TYP_FARE_TABLE, AUDIENCE, DOCUMENT_KEY)


def at_desk(card: DesfireCard, change: Callable[..., object]) -> None:
    """Change a card at a desk."""
    desk = Desk(AES, card._chance.randbytes, b"DESK", NOW_S - 1000)
    card.reset()
    opened = hold(card, open_at_desk(desk, card_keys(AES, MASTERS, card.uid)))
    hold(card, change(desk, opened))  # type: ignore[arg-type]
    card.reset()


def with_pass(sold: layout.Pass, trips: int = 0, **changes: int) -> DesfireCard:
    card = make_card(**changes)
    at_desk(card, lambda desk, opened: load_pass(desk, opened, 1, sold, trips))
    return card


def good_pass(**changes: object) -> layout.Pass:
    return layout.Pass(101, NOW_S - 86_400, NOW_S + 86_400, **changes)  # type: ignore[arg-type]


# What the card signs.


def test_a_ride_is_proved_by_its_records_and_the_back_offices_key_alone() -> None:
    bus = BusBench()
    bus.say("trip 3")
    for card in (
        make_card(),
        with_pass(good_pass(), balance_minor=0),
        with_pass(good_pass(is_counted=True), 5, balance_minor=0),
    ):
        bus.run(120_000)
        assert bus.hold(card).startswith("ok "), card.balance_minor
        taps = bus.taps()
        outcome = max((tap for tap in taps.values() if tap.kind == KIND_OUTCOME), key=lambda tap: tap.sequence)
        assert isinstance(outcome.reference, int)
        intent, evidence = taps[outcome.reference], decode_evidence(outcome.evidence or b"")
        assert evidence is not None
        assert intent.token is not None
        uid = mask_uid(TOKEN_KEY, intent.token, evidence.masked_uid)
        event = ride_event(
            intent, bus.identity.device, evidence.kind, evidence.slot, evidence.trips_left, outcome.balance_minor or 0
        )
        assert event.encode() == card.events[-1].encode()
        assert verdict_on(_BackOffice(), bus.identity.device, intent, outcome) == PROVEN  # type: ignore[arg-type]
        key = card_keys(AES, MASTERS, uid).transaction_mac
        assert evidence.mac == transaction_mac(AES, key, uid, outcome.counter or 0, ride_input(event))
        assert uid not in bytes(bus.flash.data)


def test_both_records_of_a_ride_fit_into_two_slots_each() -> None:
    bus = BusBench()
    bus.say("line 65535")
    bus.say("trip 65535")
    bus.say("stop 65535")
    free = bus.journal.free_slots
    bus.hold(with_pass(good_pass(is_counted=True), 300, balance_minor=0))
    assert free - bus.journal.free_slots <= 4


def test_the_card_remembers_its_last_rides() -> None:
    bus = BusBench()
    card = make_card(balance_minor=10 * FARE_MINOR)
    for trip in range(1, 10):
        bus.say(f"trip {trip}")
        assert bus.hold(card).startswith("ok ")
    assert [event.trip for event in card.events] == list(range(3, 10))
    last = card.events[-1]
    assert (last.line, last.amount_minor, last.balance_minor) == (7, FARE_MINOR, FARE_MINOR)
    assert (last.counter, last.writer) == (card.counter, bus.identity.device[:4])


# What pays.


def test_the_purse_pays_first_unless_the_city_says_otherwise() -> None:
    for use, paid in ((0, [FARE_MINOR]), (USE_PASS_FIRST, []), (USE_ACCOUNT_ONLY, [])):
        bus = BusBench(table=table_with(FareRules({6: use})))
        card = with_pass(good_pass())
        assert bus.hold(card).startswith("ok ")
        assert card.committed_debits_minor == paid
        kinds = {0: layout.EVENT_PURSE, USE_PASS_FIRST: layout.EVENT_PASS, USE_ACCOUNT_ONLY: layout.EVENT_ACCOUNT}
        assert card.events[-1].kind == kinds[use]


def test_on_account_a_ride_costs_the_fare_and_takes_nothing_from_the_card() -> None:
    bus = BusBench(table=table_with(FareRules({6: USE_ACCOUNT_ONLY})))
    card = make_card(balance_minor=0)
    assert bus.hold(card) == f"ok 2 {FARE_MINOR} 0, light green"
    assert (card.events[-1].amount_minor, card.counter) == (FARE_MINOR, 2)


def test_a_pass_pays_when_the_purse_is_empty() -> None:
    bus = BusBench()
    card = with_pass(good_pass(), balance_minor=0)
    assert bus.hold(card) == "ok 2 0 0, light green"
    intent = bus.taps()[2]
    assert (intent.kind, intent.product, intent.fare_minor) == (KIND_INTENT, 101, 0)
    assert (card.events[-1].kind, card.events[-1].slot) == (layout.EVENT_PASS, 1)


def test_the_trips_of_a_pass_are_used_up_one_by_one() -> None:
    bus = BusBench()
    card = with_pass(good_pass(is_counted=True), 2, balance_minor=0)
    for trip in (1, 2):
        bus.say(f"trip {trip}")
        assert bus.hold(card).startswith("ok ")
    assert [event.amount_minor for event in card.events if event.kind == layout.EVENT_TRIP] == [1, 0]
    bus.say("trip 3")
    assert bus.hold(card) == f"refused {DECISION_INSUFFICIENT_FUNDS}, light red"
    assert card.value_file(layout.FILE_TRIPS + 1).value == 0


@pytest.mark.parametrize(
    "sold",
    [
        layout.Pass(101, NOW_S - 10, NOW_S - 5),
        layout.Pass(101, NOW_S + 10_000, NOW_S + 20_000),
        good_pass(scope=layout.SCOPE_LINE, place=8),
        good_pass(scope=layout.SCOPE_ZONES, place=0xFFFF),
        good_pass(is_counted=True),
    ],
)
def test_a_pass_of_another_time_or_place_pays_nothing(sold: layout.Pass) -> None:
    bus = BusBench()
    card = with_pass(sold, balance_minor=0)
    assert bus.hold(card) == f"refused {DECISION_INSUFFICIENT_FUNDS}, light red"


def test_a_trip_that_was_cut_off_is_used_once() -> None:
    for carried_out in (False, True):
        bus = BusBench()
        card = with_pass(good_pass(is_counted=True), 2, balance_minor=0)
        # One command more than a ride with the purse: the trips that are left.
        card.tear_at(10, carried_out=carried_out)
        assert bus.hold(card).startswith("refused ")
        assert bus.hold(card).endswith("light green")
        assert card.value_file(layout.FILE_TRIPS + 1).value == 1
        assert DECISION_COMMITTED in outcomes_of(bus.taps())[2] or len(outcomes_of(bus.taps())) == 2


def test_a_card_that_is_torn_away_before_the_commit_is_known_to_have_paid_nothing() -> None:
    bus = BusBench()
    card = make_card()
    card.tear_at(8, carried_out=True)
    assert bus.hold(card) == f"refused {DECISION_TORN}, light red"
    assert card.committed_debits_minor == []


# Bad input: each has its own reason, nothing is charged, and the next rider is served.


def answering(card: DesfireCard, number: int, change: Callable[[bytes], bytes]) -> DesfireCard:
    """Let somebody stand between who changes one answer of the card's."""
    process = card.process
    count = 0

    def between(apdu: bytes) -> bytes:
        nonlocal count
        count += 1
        answer = process(apdu)
        return change(answer) if count == number else answer

    card.process = between  # type: ignore[method-assign]
    return card


def flipped(answer: bytes) -> bytes:
    return bytes((answer[0] ^ 1,)) + answer[1:]


@pytest.mark.parametrize(
    ("number", "change", "decision"),
    [
        (1, lambda _: b"\x6a\x82", DECISION_UNKNOWN_MEDIUM),
        (1, lambda _: b"", DECISION_MEDIUM_FAULT),
        (2, lambda _: b"\x91\xae", DECISION_BAD_AUTHENTICATION),
        (2, lambda answer: answer[1:], DECISION_MEDIUM_FAULT),
        (2, flipped, DECISION_BAD_AUTHENTICATION),
        (3, flipped, DECISION_BAD_AUTHENTICATION),
        (3, lambda answer: answer[:16] + answer[-2:], DECISION_MEDIUM_FAULT),
        (4, flipped, DECISION_CARD_ANSWER_FORGED),
        (4, lambda answer: answer[:10] + answer[-2:], DECISION_CARD_ANSWER_FORGED),
        (4, lambda _: b"\x91\x00", DECISION_CARD_ANSWER_FORGED),
        (4, lambda answer: bytes(259 - len(answer)) + answer, DECISION_MEDIUM_FAULT),
        (4, lambda _: b"\x91\xf0", DECISION_MEDIUM_FAULT),
        (5, flipped, DECISION_CARD_ANSWER_FORGED),
        (6, flipped, DECISION_CARD_ANSWER_FORGED),
        (7, flipped, DECISION_CARD_ANSWER_FORGED),
        (7, lambda _: b"\x91\xbe", DECISION_MEDIUM_FAULT),
    ],
)
def test_an_answer_that_is_not_the_cards_is_refused_with_its_reason(
    number: int, change: Callable[[bytes], bytes], decision: int
) -> None:
    bus = BusBench()
    card = answering(make_card(), number, change)
    assert bus.hold(card) == f"refused {decision}, light red"
    begun = [KIND_INTENT, KIND_OUTCOME] if number >= DEBIT else []
    assert [tap.kind for tap in bus.taps().values()][1:] == [*begun, KIND_REFUSED]
    assert card.committed_debits_minor == []
    assert bus.hold(make_card(2)).startswith("ok ")


def test_a_replayed_session_is_refused() -> None:
    bus = BusBench()
    card, answers = make_card(), []
    process = card.process

    def listen(apdu: bytes) -> bytes:
        answers.append(process(apdu))
        return answers[-1]

    card.process = listen  # type: ignore[method-assign]
    bus.hold(card)
    replayed = iter(answers.copy())
    bus.run(120_000)
    card.process = lambda apdu: next(replayed, apdu[:0] + b"\x91\x1c")  # type: ignore[method-assign]
    assert bus.hold(card) == f"refused {DECISION_BAD_AUTHENTICATION}, light red"
    assert card.committed_debits_minor == bus.charged_minor() == [FARE_MINOR]


def test_a_copy_with_the_uid_of_another_card_is_refused() -> None:
    bus = BusBench()
    copy = make_card(masters=dict.fromkeys(MASTERS, bytes(16)))
    assert bus.hold(copy) == f"refused {DECISION_BAD_AUTHENTICATION}, light red"
    other = make_card(2)
    other.uid = make_card(3).uid
    assert bus.hold(other) == f"refused {DECISION_BAD_AUTHENTICATION}, light red"


def test_a_card_without_a_uid_of_its_own_is_refused() -> None:
    bus = BusBench()
    card = make_card()
    card.uid = b"\x08\x01\x02\x03"
    assert bus.hold(card) == f"refused {DECISION_MEDIUM_FAULT}, light red"


@pytest.mark.parametrize("ats", [b"", b"\x00", b"\xff", b"\x01", b"\x05\xff\xff\xff\xff", b"\xfe" + bytes(200)])
def test_whatever_a_card_announces_it_is_asked_the_same(ats: bytes) -> None:
    bus = BusBench()
    card = make_card()
    card.ats = ats
    shown = [bus.hold(card), bus.hold(make_card(2))]
    assert shown[1].startswith("ok ")
    assert card.committed_debits_minor == [FARE_MINOR] * shown[0].startswith("ok ")


def test_a_newer_layout_and_a_blocked_card_have_reasons_of_their_own() -> None:
    bus = BusBench()
    newer = make_card()
    file = newer.applications[layout.APPLICATION_ID].files[layout.FILE_ENVIRONMENT]
    assert isinstance(file, DataFile)
    file.content = file.content[:16] + b"\x03" + file.content[17:]
    assert bus.hold(newer) == f"refused {DECISION_CARD_LAYOUT_UNKNOWN}, light red"
    for status in (layout.STATUS_BLOCKED, layout.STATUS_RETIRED):
        blocked = make_card(2)
        at_desk(blocked, lambda desk, opened, status=status: set_status(desk, opened, status))
        assert bus.hold(blocked) == f"refused {DECISION_CARD_BLOCKED}, light red"
        assert blocked.committed_debits_minor == []


def test_an_event_that_promises_more_than_the_purse_holds_buys_nothing() -> None:
    bus = BusBench()
    card = make_card(balance_minor=FARE_MINOR - 1)
    events = card.applications[layout.APPLICATION_ID].files[layout.FILE_EVENTS]
    assert isinstance(events, RecordFile)
    events.records[-1] = events.records[-1][:24] + (FARE_MINOR * 9).to_bytes(4, "big") + events.records[-1][28:]
    assert bus.hold(card) == f"refused {DECISION_MEDIUM_FAULT}, light red"
    assert (card.committed_debits_minor, card.balance_minor) == ([], FARE_MINOR - 1)


# Two generations of keys.


def renew(bus: BusBench, earlier: EarlierKeys | None) -> None:
    """Give the validator new transit keys, and those before while cards with them are about."""
    bundle = make_bundle()
    bundle.transit_read, bundle.transit_debit = _NEWER["transit_read_master"], _NEWER["transit_debit_master"]
    bundle.qr_day_keys = {day: bytes(32) for day in (1, 2, 3)}
    bundle.earlier = earlier
    seal_bundle(bus.board, bus.identity, bundle.encode())
    bus.restart()


def test_cards_of_two_generations_ride_while_a_city_rolls_its_keys_over() -> None:
    bus = BusBench()
    renew(bus, EarlierKeys(2, 1, MASTERS["transit_read_master"], MASTERS["transit_debit_master"]))
    old, new = make_card(1), make_card(2, masters=_NEWER, version=2)
    for card in (old, new):
        assert bus.hold(card).startswith("ok ")
        assert card.committed_debits_minor == [FARE_MINOR]
    other = make_card(3, version=9)
    assert bus.hold(other) == f"refused {DECISION_CARD_KEYS_UNKNOWN}, light red"
    assert (other.committed_debits_minor, other.balance_minor) == ([], BALANCE_MINOR)


def test_the_generation_before_is_refused_once_it_is_forgotten() -> None:
    bus = BusBench()
    renew(bus, None)
    assert bus.hold(make_card(1)) == f"refused {DECISION_BAD_AUTHENTICATION}, light red"
    assert bus.hold(make_card(2, masters=_NEWER, version=2)).startswith("ok ")
