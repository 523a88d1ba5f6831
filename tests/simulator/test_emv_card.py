"""The virtual bank card carries what a real one carries, and its certificates are genuine in form (EMV Book 2)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from inspect import getgeneratorlocals

import pytest

from protocol.cards import card_layout as layout
from protocol.cards.apdu import command, require_ok, select
from protocol.cards.desfire import NotOurCard, select_transit_card
from protocol.cards.emv import BankCardRead, NoPaymentApplication, Terminal, read_bank_card
from protocol.cards.tlv import find, parse
from protocol.errors import CardError
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.emv_issuer import named_key, recover
from simulator.virtual_card import TornAway
from tests.simulator.conversations import hold

UID = bytes.fromhex("08A1B2C3")
NUMBERS = ["9999990000000018", "9999990000000000187"]
APPLICATIONS = [VISA_LIKE, MASTERCARD_LIKE]
TERMINAL = Terminal(0, b"\x24\x05\x15", b"\x01\x02\x03\x04")


def tokenise(number: bytearray) -> bytes:
    return hashlib.sha256(number).digest()[:16]


def read(card: EmvCard) -> BankCardRead:
    card.reset()
    return hold(card, read_bank_card(tokenise, TERMINAL))


@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_card_yields_token_expiry_and_scheme(number: str, application: bytes) -> None:
    found = read(EmvCard(UID, number, "3012", application))
    assert found.token == tokenise(bytearray.fromhex(number + "F" * (20 - len(number))))
    assert found.expires_yymm == b"\x30\x12"
    assert found.scheme == {VISA_LIKE: "visa", MASTERCARD_LIKE: "mastercard"}[application]


def test_the_conversation_keeps_no_number_when_it_is_broken_off() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012", VISA_LIKE)
    conversation = read_bank_card(tokenise, TERMINAL)
    said = next(conversation)
    for _ in range(3):
        said = conversation.send(card.process(said))
    identity = getgeneratorlocals(conversation)["identity"]
    assert bytes(identity._number).hex().startswith(NUMBERS[0])
    conversation.close()
    assert bytes(identity._number) == bytes(10)


def test_a_card_with_two_applications_is_read_through_the_one_it_prefers() -> None:
    directory = ((VISA_LIKE, 2), (MASTERCARD_LIKE, 1))
    card = EmvCard(UID, NUMBERS[0], "3012", MASTERCARD_LIKE, directory)
    assert read(card).scheme == "mastercard"
    blocked = EmvCard(UID, NUMBERS[0], "3012", VISA_LIKE, directory)
    assert read(blocked).scheme == "visa"


def test_a_bank_card_is_no_transport_card() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012")
    assert card.process(select(layout.DF_NAME)) == b"\x6a\x82"
    with pytest.raises(NotOurCard):
        hold(card, select_transit_card())
    assert read(card).scheme == "visa", "and it can be read afterwards"


def test_a_card_of_no_accepted_scheme_is_refused() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012", bytes.fromhex("A0000006581010"))
    with pytest.raises(NoPaymentApplication):
        read(card)


def test_a_card_torn_away_is_read_at_its_next_presentation() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012")
    for torn_at in range(1, 7):
        card.tear_at(torn_at, carried_out=False)
        with pytest.raises(TornAway):
            read(card)
        assert read(card).scheme == "visa"


def test_each_transaction_is_counted() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012")
    read(card)
    read(card)
    assert card.transactions == 2


def test_malformed_commands_are_answered() -> None:
    card = EmvCard(UID, NUMBERS[0], "3012")
    assert card.process(b"\x00\xa4") == b"\x67\x00"
    assert card.process(command(0x00, 0xB2, 1, 0x14, b"", 0)) == b"\x6d\x00"
    card.process(select(VISA_LIKE))
    assert card.process(command(0x80, 0xA8, 0, 0, b"\x83\x00", 0)) == b"\x67\x00"
    assert card.process(command(0x00, 0xB2, 9, 0x14, b"", 0)) == b"\x6a\x83"
    assert card.process(command(0x00, 0x88, 0, 0, bytes(4), 0)) == b"\x69\x85"


# Certificates, recovered as a reader does that knows the authority's key and nothing else of the card.


@dataclass
class Carried:
    """What a card says, beyond its identity.

    Attributes:
        objects: everything, by tag.
        static_data: what is authenticated with the card's certificate.
    """

    objects: dict[int, bytes]
    static_data: bytes


def carried_by(card: EmvCard, application: bytes) -> Carried:
    """Read everything that the locator names."""
    chosen = require_ok(card.process(select(application)), "select")
    options = TERMINAL.fill(find(chosen, 0x9F38) or b"")
    request = command(0x80, 0xA8, 0, 0, bytes((0x83, len(options))) + options, 0)
    objects = dict(parse(parse(require_ok(card.process(request), "options"))[0][1]))
    static = b""
    locator = objects[0x94]
    for start in range(0, len(locator), 4):
        file, first, last, signed = locator[start : start + 4]
        for record in range(first, last + 1):
            answer = require_ok(card.process(command(0x00, 0xB2, record, file | 4, b"", 0)), "record")
            [(template, body)] = parse(answer)
            assert template == 0x70
            objects |= dict(parse(body))
            static += body if record - first < signed else b""
    assert objects[0x9F4A] == b"\x82", "the interchange profile is authenticated too"
    return Carried(objects, static + objects[0x82])


def recovered_key(
    modulus: int, carried: Carried, tags: tuple[int, int, int], head_size: int, static: bytes
) -> tuple[bytes, int]:
    """Return head and public key of a certificate whose format and hash hold; `tags`: certificate, remainder, exponent."""
    certificate, remainder, exponent = (carried.objects.get(tag, b"") for tag in tags)
    block = recover(modulus, certificate)
    assert (block[0], block[-1]) == (0x6A, 0xBC)
    body, digest = block[1:-21], block[-21:-1]
    assert hashlib.sha1(body + remainder + exponent + static).digest() == digest  # noqa: S324 - EMV Book 2 annex B3.1
    assert body[head_size - 4 : head_size - 2] == b"\x01\x01", "SHA-1 and RSA"
    key = body[head_size:] + remainder
    assert (len(key), len(exponent)) == (body[head_size - 2], body[head_size - 1])
    return body[:head_size], int.from_bytes(key, "big")


@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.parametrize("number", NUMBERS)
def test_the_authority_s_key_recovers_the_issuer_s_and_that_the_card_s(number: str, application: bytes) -> None:
    carried = carried_by(EmvCard(UID, number, "3012", application), application)
    head, issuer_modulus = recovered_key(named_key("ca").modulus, carried, (0x90, 0x92, 0x9F32), 14, b"")
    assert head[0] == 0x02
    assert head[1:5].hex() == number[:8], "the issuer's certificate is for this number"
    tags = (0x9F46, 0x9F48, 0x9F47)
    head, card_modulus = recovered_key(issuer_modulus, carried, tags, 20, carried.static_data)
    assert head[0] == 0x04
    assert head[1:11].hex().upper() == number + "F" * (20 - len(number)), "the card's certificate is for this number"
    assert card_modulus == named_key("card").modulus


def test_a_changed_expiry_date_does_not_hold_against_the_certificate() -> None:
    carried = carried_by(EmvCard(UID, NUMBERS[0], "3012"), VISA_LIKE)
    _, issuer_modulus = recovered_key(named_key("ca").modulus, carried, (0x90, 0x92, 0x9F32), 14, b"")
    changed = carried.static_data.replace(b"\x30\x12\x31", b"\x31\x12\x31")
    assert changed != carried.static_data
    with pytest.raises(AssertionError):
        recovered_key(issuer_modulus, carried, (0x9F46, 0x9F48, 0x9F47), 20, changed)


def test_the_number_is_in_no_error_of_a_card_that_lies() -> None:
    card = EmvCard(UID, NUMBERS[0], "3013")
    with pytest.raises(CardError) as failed:
        read(card)
    assert NUMBERS[0] not in str(failed.value)
