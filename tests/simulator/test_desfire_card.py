"""The virtual transport card behaves as the real one where money is concerned."""

from __future__ import annotations

import pytest

from firmware.boards.crypto_cpython import Aes
from protocol.cards import card_layout as layout
from protocol.cards.apdu import UnexpectedStatus, command, select
from protocol.cards.desfire import (
    AuthenticationFailed,
    Session,
    TransitCard,
    authenticate,
    commit,
    debit,
    open_transit_card,
    select_transit_card,
)
from protocol.cards.desfire_crypto import diversify
from protocol.cards.emv import NoPaymentApplication, Terminal, read_bank_card
from protocol.cards.transaction_mac import GET_VALUE, ride_input, transaction_mac
from simulator.desfire_card import DesfireCard, TornAway
from tests.simulator.conversations import hold

AES = Aes()
UID = bytes.fromhex("04112233445566")
MASTERS = {
    "transit_read_master": bytes(range(16)),
    "transit_debit_master": bytes(range(16, 32)),
    "transit_mac_master": bytes(range(32, 48)),
}
NUMBER = bytes.fromhex("7750000000000042")
BALANCE_MINOR = 100_000
FARE_MINOR = 12_000


def make_card(balance_minor: int = BALANCE_MINOR) -> DesfireCard:
    return DesfireCard.personalise(UID, layout.Environment(NUMBER, 1, 2, 1_900_000_000), balance_minor, MASTERS)


def present(card: DesfireCard) -> TransitCard:
    card.reset()
    hold(card, select_transit_card())
    return hold(card, open_transit_card(AES, card.uid, MASTERS["transit_debit_master"], bytes(range(16))))


def pay(card: DesfireCard, amount_minor: int = FARE_MINOR) -> tuple[int, bytes]:
    opened = present(card)
    hold(card, debit(opened.session, amount_minor))
    return hold(card, commit(opened.session))


def test_a_ride_takes_the_fare_and_counts_once() -> None:
    card = make_card()
    opened = present(card)
    assert opened.environment.card_number == NUMBER
    assert (opened.balance_minor, opened.counter) == (BALANCE_MINOR, 0)
    hold(card, debit(opened.session, FARE_MINOR))
    counter, mac = hold(card, commit(opened.session))
    assert (counter, mac) == (1, card.last_mac)
    assert card.balance_minor == BALANCE_MINOR - FARE_MINOR
    again = present(card)
    assert (again.balance_minor, again.counter) == (BALANCE_MINOR - FARE_MINOR, 1)


def test_the_transaction_mac_is_what_the_back_office_computes() -> None:
    card = make_card()
    pay(card)
    counter, mac = pay(card)
    key = diversify(AES, MASTERS["transit_mac_master"], layout.key_material(UID))
    signed = ride_input(card.environment.encode(), BALANCE_MINOR - FARE_MINOR, FARE_MINOR)
    assert mac == transaction_mac(AES, key, UID, counter, signed)


def test_a_debit_without_a_commit_takes_nothing() -> None:
    card = make_card()
    opened = present(card)
    hold(card, debit(opened.session, FARE_MINOR))
    value = hold(card, opened.session.full(GET_VALUE, bytes((layout.FILE_PURSE,)), b"", 4, "read purse"))
    assert int.from_bytes(value, "little") == BALANCE_MINOR, "the value is the committed one"
    again = present(card)
    assert (again.balance_minor, again.counter) == (BALANCE_MINOR, 0)


# A ride is select, two for authentication, three reads, debit and commit.
RIDE_COMMANDS = 8


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("torn_at", range(1, RIDE_COMMANDS + 1))
def test_only_a_commit_that_was_carried_out_takes_money(torn_at: int, carried_out: bool) -> None:
    card = make_card()
    card.tear_at(torn_at, carried_out=carried_out)
    with pytest.raises(TornAway):
        pay(card)
    committed = torn_at == RIDE_COMMANDS and carried_out
    assert card.balance_minor == BALANCE_MINOR - FARE_MINOR * committed
    assert card.committed_debits_minor == [FARE_MINOR] * committed
    assert present(card).counter == int(committed), "the counter tells how it ended"


def test_a_card_that_was_torn_away_is_silent_until_it_is_back() -> None:
    card = make_card()
    card.tear_at(1, carried_out=True)
    for _ in range(3):
        with pytest.raises(TornAway):
            card.process(select(layout.DF_NAME))
    assert pay(card)[0] == 1


def test_a_purse_never_goes_below_zero() -> None:
    card = make_card(FARE_MINOR)
    opened = present(card)
    hold(card, debit(opened.session, FARE_MINOR - 1))
    with pytest.raises(UnexpectedStatus, match="debit: status 0x91be"):
        hold(card, debit(opened.session, 2))
    with pytest.raises(AuthenticationFailed):
        hold(card, commit(opened.session))
    assert card.balance_minor == FARE_MINOR, "an error drops the whole transaction"


def test_debits_of_one_transaction_are_committed_together() -> None:
    card = make_card()
    opened = present(card)
    hold(card, debit(opened.session, 100))
    hold(card, debit(opened.session, 200))
    assert hold(card, commit(opened.session))[0] == 1
    assert card.balance_minor == BALANCE_MINOR - 300


def test_a_commit_of_nothing_is_refused_and_not_counted() -> None:
    card = make_card()
    opened = present(card)
    with pytest.raises(UnexpectedStatus, match="commit: status 0x910c"):
        hold(card, commit(opened.session))
    assert card.counter == 0


def test_another_key_does_not_open_the_card() -> None:
    card = make_card()
    hold(card, select_transit_card())
    with pytest.raises(AuthenticationFailed):
        hold(card, open_transit_card(AES, card.uid, bytes(16), bytes(range(16))))


def test_a_card_of_another_city_does_not_pass_for_ours() -> None:
    foreign = DesfireCard.personalise(
        UID, layout.Environment(NUMBER, 1, 2, 1_900_000_000), 1, dict.fromkeys(MASTERS, bytes(16))
    )
    with pytest.raises(AuthenticationFailed):
        present(foreign)


def open_with_read_key(card: DesfireCard) -> Session:
    hold(card, select_transit_card())
    key = diversify(AES, MASTERS["transit_read_master"], layout.key_material(UID))
    return hold(card, authenticate(AES, layout.KEY_READ, key, bytes(range(16))))


def test_the_read_key_takes_no_money() -> None:
    card = make_card()
    with pytest.raises(UnexpectedStatus, match="debit: status 0x919d"):
        hold(card, debit(open_with_read_key(card), FARE_MINOR))


def test_a_replayed_command_is_refused() -> None:
    card = make_card()
    opened = present(card)
    conversation = debit(opened.session, FARE_MINOR)
    said = next(conversation)
    assert card.process(said)[-2:] == b"\x91\x00"
    assert card.process(said) == b"\x91\x1e"
    assert card.balance_minor == BALANCE_MINOR


def test_nothing_is_told_without_authentication() -> None:
    card = make_card()
    assert card.process(command(0x90, 0x6C, 0, 0, b"\x02", 0)) == b"\x91\x1c"
    hold(card, select_transit_card())
    for ins, data in ((0xAD, bytes(7)), (0x6C, b"\x02"), (0xDC, bytes(25)), (0xC7, b"\x01")):
        assert card.process(command(0x90, ins, 0, 0, data, 0)) == b"\x91\xae"
    assert card.process(command(0x90, 0xAF, 0, 0, bytes(32), 0)) == b"\x91\x1c"
    assert card.process(command(0x90, 0x71, 0, 0, b"\x03\x00", 0)) == b"\x91\x40"
    assert card.process(command(0x90, 0x5A, 0, 0, bytes(3), 0)) == b"\x91\x1c"


def test_malformed_commands_are_answered() -> None:
    card = make_card()
    for apdu in (b"", b"\x90", b"\x90\x71\x00\x00\x05\x01", b"\x90\x71\x00\x00\x01\x01\x00\x00"):
        assert card.process(apdu) == b"\x67\x00"
    assert card.process(b"\x00\xb0\x00\x00\x00") == b"\x6e\x00"


def test_a_transport_card_is_no_bank_card_and_another_application_is_not_ours() -> None:
    card = make_card()
    assert card.process(select(b"2PAY.SYS.DDF01")) == b"\x6a\x82"
    with pytest.raises(NoPaymentApplication):
        hold(card, read_bank_card(bytes, Terminal(0, b"\x24\x05\x15", bytes(4))))
    assert card.process(select(b"\xf0OTHER\x01")) == b"\x6a\x82"
