"""What a desk does with a card, from a blank one to one that is retired; torn away at any moment, nothing is half done."""

from __future__ import annotations

import random

import pytest

from hardware.originality import is_original
from protocol.cards import card_layout as layout
from protocol.cards.apdu import UnexpectedStatus
from protocol.cards.desfire import (
    AuthenticationFailed,
    KeyInMemory,
    NotOurCard,
    open_transit_card,
    read_key_version,
    select_transit_card,
)
from protocol.cards.desfire_inspect import inspect_card
from protocol.cards.desfire_issue import (
    CardKeys,
    Desk,
    DeskCard,
    card_keys,
    change_keys,
    format_card,
    issue_card,
    load_pass,
    open_at_desk,
    open_card_level,
    read_signature,
    read_uid,
    read_version,
    retire,
    set_status,
    top_up,
)
from protocol.cards.transaction_mac import event_input, top_up_input, transaction_mac
from protocol.errors import CardError
from simulator.desfire_card import DesfireCard, TornAway
from simulator.desfire_originality import maker_public_key
from simulator.desfire_secure import AES
from tests.protocol.transcript import answer_all
from tests.simulator.conversations import hold
from tests.simulator.test_desfire_card import MASTERS, NUMBER, UID

_NOW_S = 1_800_000_000
_BALANCE_MINOR = 50_000
_PASS = layout.Pass(101, _NOW_S, _NOW_S + 86_400, is_counted=True)


def make_desk() -> Desk:
    return Desk(AES, random.Random(7).randbytes, b"DSK1", _NOW_S)


def keys(version: int = 1, masters: dict[str, bytes] | None = None) -> CardKeys:
    return card_keys(AES, masters or MASTERS, UID, version)


def environment() -> layout.Environment:
    return layout.Environment(NUMBER, 1, 2, 1_900_000_000)


def issued() -> DesfireCard:
    card = DesfireCard.blank(UID)
    hold(card, issue_card(make_desk(), DesfireCard.TRANSPORT_KEY, keys(), environment(), _BALANCE_MINOR))
    card.reset()
    return card


def opened(card: DesfireCard) -> DeskCard:
    card.reset()
    return hold(card, open_at_desk(make_desk(), keys()))


def test_a_blank_card_becomes_one_of_ours() -> None:
    card = issued()
    at_desk = opened(card)
    assert (at_desk.balance_minor, at_desk.counter, at_desk.trips) == (_BALANCE_MINOR, 1, [0, 0, 0])
    assert [(event.kind, event.writer) for event in at_desk.events] == [(layout.EVENT_ISSUED, b"DSK1")]
    assert at_desk.environment.card_number == NUMBER
    assert layout.encode_environment(at_desk.environment) == layout.encode_environment(card.environment)


def test_a_card_is_issued_once() -> None:
    card = issued()
    with pytest.raises(AuthenticationFailed):
        hold(card, issue_card(make_desk(), DesfireCard.TRANSPORT_KEY, keys(), environment(), _BALANCE_MINOR))
    card.reset()
    assert opened(card).counter == 1


def test_every_key_of_an_issued_card_is_its_own() -> None:
    card = issued()
    hold(card, select_transit_card())
    for number in range(4):
        with pytest.raises(AuthenticationFailed):
            hold(card, inspect_card(AES, KeyInMemory(AES, bytes(16), bytes(16))))
        assert hold(card, read_key_version(number)) == 1
    other = card_keys(AES, MASTERS, UID[::-1])
    assert not set(other.numbered.values()) & set(keys().numbered.values())


def test_a_card_that_is_torn_away_while_it_is_issued_is_made_blank_and_issued_again() -> None:
    steps = issued().commands
    assert steps > 20
    for step in range(1, steps + 1):
        card = DesfireCard.blank(UID)
        card.tear_at(step, carried_out=step % 2 == 0)
        with pytest.raises(TornAway):
            hold(card, issue_card(make_desk(), DesfireCard.TRANSPORT_KEY, keys(), environment(), _BALANCE_MINOR))
        card.reset()
        try:
            hold(card, format_card(make_desk(), DesfireCard.TRANSPORT_KEY))
        except AuthenticationFailed:
            hold(card, format_card(make_desk(), keys().card))  # only its last word was not heard
            card = DesfireCard.blank(UID)
        hold(card, issue_card(make_desk(), DesfireCard.TRANSPORT_KEY, keys(), environment(), _BALANCE_MINOR))
        assert opened(card).balance_minor == _BALANCE_MINOR, step


def test_the_desk_puts_money_onto_a_card_and_the_back_office_can_check_it() -> None:
    card = issued()
    at_desk = opened(card)
    for amount_minor in (10_000, 5_000):
        counter, mac = hold(card, top_up(make_desk(), at_desk, amount_minor))
        signed = top_up_input(amount_minor, at_desk.events[0].encode())
        assert mac == transaction_mac(AES, keys().transaction_mac, UID, counter, signed)
    assert (card.balance_minor, card.counter) == (_BALANCE_MINOR + 15_000, 3)
    assert card.events[-1].balance_minor == card.balance_minor


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_top_up_is_there_as_a_whole_or_not_at_all(carried_out: bool) -> None:
    for step in range(1, 6):
        card = issued()
        at_desk = opened(card)
        card.tear_at(step, carried_out=carried_out)
        try:
            hold(card, top_up(make_desk(), at_desk, 10_000))
        except TornAway:
            again = opened(card)
            assert (
                again.balance_minor - _BALANCE_MINOR
                == 10_000 * (again.counter - 1)
                == 10_000 * (step == 4 and carried_out)
            )
        else:
            assert step == 5


def test_a_pass_is_sold_with_its_trips_and_replaced_by_another() -> None:
    card = issued()
    at_desk = opened(card)
    counter, mac = hold(card, load_pass(make_desk(), at_desk, 1, _PASS, 10))
    assert (counter, len(mac)) == (2, 8)
    assert opened(card).trips == [0, 10, 0]
    at_desk = opened(card)
    assert at_desk.environment.passes[1].product == 101
    hold(card, load_pass(make_desk(), at_desk, 1, layout.Pass(102, 1, 2, is_counted=True), 4))
    assert (opened(card).trips, card.environment.passes[1].product) == ([0, 4, 0], 102)
    assert card.events[-1].slot == 1


def test_a_card_is_blocked_and_let_be_used_again() -> None:
    card = issued()
    at_desk = opened(card)
    hold(card, set_status(make_desk(), at_desk, layout.STATUS_BLOCKED))
    assert card.environment.status == layout.STATUS_BLOCKED
    hold(card, set_status(make_desk(), opened(card), layout.STATUS_IN_USE))
    assert (card.environment.status, card.counter) == (layout.STATUS_IN_USE, 3)


def test_a_retired_card_is_empty_and_says_what_is_to_be_paid_back() -> None:
    card = issued()
    assert hold(card, retire(make_desk(), opened(card))) == _BALANCE_MINOR
    assert (card.balance_minor, card.environment.status) == (0, layout.STATUS_RETIRED)
    again = issued()
    hold(again, retire(make_desk(), opened(again)))
    assert hold(again, retire(make_desk(), opened(again))) == 0


def test_what_a_desk_changes_is_signed_without_what_it_read() -> None:
    card = issued()
    at_desk = opened(card)
    hold(card, top_up(make_desk(), at_desk, 1))
    counter, mac = hold(card, set_status(make_desk(), at_desk, layout.STATUS_BLOCKED))
    written = layout.encode_environment(card.environment)
    signed = (
        b"\x8d"
        + layout.read_header(1, len(written))
        + bytes(8)
        + written
        + b"\x00"
        + event_input(at_desk.events[0].encode())
    )
    assert mac == transaction_mac(AES, keys().transaction_mac, UID, counter, signed)


def test_an_inspector_reads_and_changes_nothing() -> None:
    card = issued()
    hold(card, top_up(make_desk(), opened(card), 7))
    card.reset()
    hold(card, select_transit_card())
    holder = KeyInMemory(AES, keys().numbered[layout.KEY_READ], bytes(16))
    who, events = hold(card, inspect_card(AES, holder))
    assert who.category == 2
    assert [event.kind for event in events] == [layout.EVENT_TOP_UP, layout.EVENT_ISSUED]


def test_a_card_is_rolled_over_to_new_keys_also_when_it_was_torn_away_meanwhile() -> None:
    newer = keys(2, {name: master[::-1] for name, master in MASTERS.items()})
    for step in range(1, 11):
        card = issued()
        hold(card, select_transit_card())
        card.tear_at(step, carried_out=step % 2 == 0)
        try:
            hold(card, change_keys(make_desk(), keys(), newer))
        except TornAway:
            card.reset()
            hold(card, select_transit_card())
            if hold(card, read_key_version(layout.KEY_MASTER)) != newer.version:
                hold(card, change_keys(make_desk(), keys(), newer))
        card.reset()
        hold(card, select_transit_card())
        assert [hold(card, read_key_version(number)) for number in range(4)] == [2] * 4, step
        holder = KeyInMemory(AES, newer.numbered[layout.KEY_DEBIT], bytes(16))
        assert hold(card, open_transit_card(AES, holder)).balance_minor == _BALANCE_MINOR


def test_a_card_can_be_erased_by_who_has_its_master() -> None:
    card = issued()
    with pytest.raises(AuthenticationFailed):
        hold(card, format_card(make_desk(), DesfireCard.TRANSPORT_KEY))
    card.reset()
    hold(card, format_card(make_desk(), keys().card))
    with pytest.raises(NotOurCard):
        hold(card, select_transit_card())


def test_a_genuine_chip_is_told_from_a_copy() -> None:
    card = DesfireCard.blank(UID)
    signature = hold(card, read_signature())
    assert is_original(UID, signature, maker_public_key())
    assert not is_original(UID[::-1], signature, maker_public_key())
    assert not is_original(UID, signature[::-1], maker_public_key())
    assert not is_original(UID, signature[:-1], maker_public_key())
    assert not is_original(b"", signature, maker_public_key())


def test_a_chip_says_what_it_is_and_its_true_uid_only_to_who_has_a_key() -> None:
    card = DesfireCard.blank(UID)
    assert UID in hold(card, read_version())
    session = hold(card, open_card_level(make_desk(), DesfireCard.TRANSPORT_KEY))
    assert hold(card, read_uid(session)) == UID


def test_a_chip_that_says_something_else_is_refused() -> None:
    for conversation in (read_version(), read_signature(), read_key_version(1)):
        with pytest.raises(CardError):
            answer_all(conversation, [b"\x01\x91\xaf"])


def test_an_application_is_created_by_who_has_the_card_master_once_it_is_ours() -> None:
    card = issued()
    session = hold(card, open_card_level(make_desk(), keys().card))
    other = b"\x01\x02\x03\x0f\xa1\x01\x02OTHER"
    hold(card, session.maced(0xCA, other, "create"))
    with pytest.raises(UnexpectedStatus, match="0x91de"):
        hold(card, session.maced(0xCA, other, "create"))
    assert card.process(b"\x90\x5a\x00\x00\x03\x01\x02\x03\x00") == b"\x91\x00"
    assert card.process(b"\x90\x5a\x00\x00\x03\x00\x00\x00\x00") == b"\x91\x00"
    assert card.process(b"\x90\xca\x00\x00\x0c" + other[:12] + b"\x00") == b"\x91\xae", "nobody else may"
