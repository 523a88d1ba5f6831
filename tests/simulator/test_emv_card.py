"""The virtual bank card carries what a real one carries, and a reader that knows its authority finds it genuine (EMV Book 2)."""

from __future__ import annotations

import hashlib
from inspect import getgeneratorlocals

import pytest

from protocol.cards import card_layout as layout
from protocol.cards.apdu import command, select
from protocol.cards.desfire import NotOurCard, select_transit_card
from protocol.cards.emv import BankCardRead, NoPaymentApplication, read_bank_card
from protocol.cards.emv_keys import NotGenuine, PublicKey
from protocol.cards.emv_oda import OfflineAuthentication
from protocol.cards.emv_terminal import Terminal
from protocol.decisions import DECISION_CARD_DECLINES, DECISION_CERTIFICATE_EXPIRED, DECISION_CERTIFICATE_WRONG
from protocol.errors import CardError
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.emv_issuer import SCHEMES, authorities, certify_card, certify_issuer, named_key, scheme_of
from simulator.virtual_card import TornAway
from tests.protocol.bank_bench import KnownAuthorities, OpenVault
from tests.simulator.conversations import hold

UID = bytes.fromhex("08A1B2C3")
NUMBERS = ["9999990000000018", "9999990000000000187"]
APPLICATIONS = [VISA_LIKE, MASTERCARD_LIKE]
TERMINAL = Terminal(0, b"\x24\x05\x15", b"\x01\x02\x03\x04")
KNOWN = KnownAuthorities(
    {
        (key.rid, key.index): PublicKey(key.modulus, key.exponent, bytes.fromhex(key.expires_yymm))
        for key in authorities()
    }
)


def read(card: EmvCard, terminal: Terminal = TERMINAL) -> BankCardRead:
    card.reset()
    return hold(card, read_bank_card(OpenVault(), terminal, OfflineAuthentication(KNOWN)))


def reason(card: EmvCard) -> int:
    with pytest.raises(NotGenuine) as failed:
        read(card)
    return failed.value.decision


@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_card_yields_token_expiry_and_counter(number: str, application: bytes) -> None:
    found = read(EmvCard(UID, number, "3012", application))
    assert found.token == hashlib.sha256(bytes.fromhex(number + "F" * (20 - len(number)))).digest()[:16]
    assert found.expires_yymm == b"\x30\x12"
    assert found.counter == 1


def test_the_conversation_keeps_no_number_when_it_is_broken_off() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012", VISA_LIKE)
    conversation = read_bank_card(OpenVault(), TERMINAL, OfflineAuthentication(KNOWN))
    said = next(conversation)
    for _ in range(4):
        said = conversation.send(card.process(said))
    data = getgeneratorlocals(conversation)["card"]
    buffers = [data.number, data.track2, data.static]
    assert [NUMBERS[0] in buffer.hex() for buffer in buffers] == [True, True, True]
    conversation.close()
    assert not any(any(buffer) for buffer in buffers)


@pytest.mark.parametrize("application", APPLICATIONS)
def test_a_conversation_is_as_short_as_that_of_a_real_card(application: bytes) -> None:
    card = EmvCard(UID, NUMBERS[0], "3012", application)
    read(card)
    assert card.commands == (7 if application == VISA_LIKE else 8)


def test_a_card_with_two_applications_is_read_through_the_one_it_prefers() -> None:
    directory = ((VISA_LIKE, 2), (MASTERCARD_LIKE, 1))
    for application in APPLICATIONS:  # the other one is blocked
        card = EmvCard(UID, NUMBERS[0], "3012", application, directory)
        assert bytes((0x84, 7)) + application in read(card).blob


def test_a_bank_card_is_no_transport_card() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012")
    assert card.process(select(layout.DF_NAME)) == b"\x6a\x82"
    with pytest.raises(NotOurCard):
        hold(card, select_transit_card())
    assert read(card).counter == 1, "and it can be read afterwards"


def test_a_card_of_no_accepted_scheme_is_refused() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012", bytes.fromhex("A0000006581010"))
    with pytest.raises(NoPaymentApplication):
        read(card)


@pytest.mark.parametrize("application", APPLICATIONS)
def test_a_card_torn_away_is_read_at_its_next_presentation(application: bytes) -> None:
    card = EmvCard(UID, NUMBERS[0], "3012", application)
    for torn_at in range(1, 8):
        card.tear_at(torn_at, carried_out=False)
        with pytest.raises(TornAway):
            read(card)
        assert read(card).counter == card.transactions


def test_each_transaction_is_counted_and_signed_anew() -> None:
    for application in APPLICATIONS:
        card = EmvCard(UID, NUMBERS[0], "3012", application)
        assert read(card).blob != read(card).blob
        assert card.transactions == 2


def test_malformed_commands_are_answered() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012")
    assert card.process(b"\x00\xa4") == b"\x67\x00"
    assert card.process(command(0x00, 0xB2, 1, 0x14, b"", 0)) == b"\x6d\x00"
    card.process(select(VISA_LIKE))
    assert card.process(command(0x80, 0xA8, 0, 0, b"\x83\x00", 0)) == b"\x67\x00"
    assert card.process(command(0x00, 0xB2, 9, 0x14, b"", 0)) == b"\x6a\x83"
    assert card.process(command(0x00, 0x88, 0, 0, bytes(4), 0)) == b"\x69\x85"
    other = EmvCard(UID, NUMBERS[0], "3012", MASTERCARD_LIKE)
    other.process(select(MASTERCARD_LIKE))
    assert other.process(command(0x80, 0xAE, 0x90, 0, bytes(33), 0)) == b"\x69\x85", "processing options come first"
    other.process(command(0x80, 0xA8, 0, 0, b"\x83\x00", 0))
    assert other.process(command(0x80, 0xAE, 0x80, 0, bytes(33), 0)) == b"\x67\x00", "without a signature it gives none"


@pytest.mark.parametrize("application", APPLICATIONS)
def test_certificates_that_have_expired_are_found_out(application: bytes) -> None:
    assert reason(EmvCard(UID, NUMBERS[0], "3012", application, None, "2404")) == DECISION_CERTIFICATE_EXPIRED
    card = EmvCard(UID, NUMBERS[0], "3012", application)
    card.issuer = certify_issuer(scheme_of(application), bytes.fromhex(NUMBERS[0][:8]), "2404")
    assert reason(card) == DECISION_CERTIFICATE_EXPIRED
    read(EmvCard(UID, NUMBERS[0], "3012", application, None, "2405"))


@pytest.mark.parametrize("application", APPLICATIONS)
def test_certificates_of_others_are_found_out(application: bytes) -> None:
    card = EmvCard(UID, NUMBERS[0], "3012", application)
    card.card = EmvCard(UID, "9999990000000026", "3012", application).card
    assert reason(card) == DECISION_CERTIFICATE_WRONG
    card = EmvCard(UID, NUMBERS[0], "3012", application)
    card.issuer = certify_issuer(scheme_of(application), b"\x99\x99\x98\xff")
    assert reason(card) == DECISION_CERTIFICATE_WRONG
    card.issuer = certify_issuer(scheme_of(application), b"\x99\xff\xff\xff")
    assert reason(card) == DECISION_CERTIFICATE_WRONG, "an issuer has three digits at least"
    card.issuer = certify_issuer(scheme_of(application), b"\x99\x9f\xff\xff")
    assert read(card).counter == card.transactions


@pytest.mark.parametrize("application", APPLICATIONS)
def test_a_card_that_declines_is_told_apart(application: bytes) -> None:
    card = EmvCard(UID, NUMBERS[0], "3012", application)
    card.declines = True
    assert reason(card) == DECISION_CARD_DECLINES


def test_no_certificate_is_signed_with_a_key_of_another_scheme() -> None:
    one, other = SCHEMES
    assert one.rid != other.rid
    card = EmvCard(UID, NUMBERS[0], "3012", VISA_LIKE)
    card.card = certify_card(other, card._number + b"\xff\xff", card._static + b"\x20\x00")
    assert reason(card) == DECISION_CERTIFICATE_WRONG


def test_the_test_keys_are_the_same_each_time_and_of_the_size_they_say() -> None:
    key = named_key("of a test", 512)
    named_key.cache_clear()
    assert named_key("of a test", 512) == key
    assert key.modulus.bit_length() == 512
    assert pow(int.from_bytes(key.sign(b"\x01" * 64), "big"), 3, key.modulus) == int.from_bytes(b"\x01" * 64, "big")


def test_the_number_is_in_no_error_of_a_card_that_lies() -> None:
    card = EmvCard(UID, NUMBERS[0], "3013")
    with pytest.raises(CardError) as failed:
        read(card)
    assert NUMBERS[0] not in str(failed.value)
