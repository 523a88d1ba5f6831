"""Cards for any reader to try, always the same ones. Their keys are written down (`CARDS.md`) and **protect nothing**."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.card_layout import Environment
from simulator.desfire_card import DesfireCard
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.iso_dep import Card

SAMPLE_MASTERS = {
    "transit_card_master": b"JOLAQYTEST--CARD",
    "transit_application_master": b"JOLAQYTESTMASTER",
    "transit_read_master": b"JOLAQYTEST--READ",
    "transit_debit_master": b"JOLAQYTEST-DEBIT",
    "transit_credit_master": b"JOLAQYTESTCREDIT",
    "transit_mac_master": b"JOLAQYTEST-TRMAC",
}
_BLANK_UID = "04514C4A01{:04X}"
_TRANSIT_UID = bytes.fromhex("04514C4A000001")
_CARD_NUMBER = b"JQSAMPLE"
_CITY = 1
_ADULT = 1
_EXPIRES_S = 2_208_988_800  # 2040
_PURSE_MINOR = 300_000
_BANK_EXPIRES_YYMM = "3012"


def sample_transit_card() -> DesfireCard:
    """Return a transport card of city 1 with 3000 tenge in its purse."""
    environment = Environment(_CARD_NUMBER, _CITY, _ADULT, _EXPIRES_S)
    return DesfireCard.personalise(_TRANSIT_UID, environment, _PURSE_MINOR, SAMPLE_MASTERS)


def blank_card(number: int) -> DesfireCard:
    """Return one of up to 65535 cards as their maker delivers them."""
    return DesfireCard.blank(bytes.fromhex(_BLANK_UID.format(number)))


def sample_visa_card() -> EmvCard:
    return _bank_card("08514C01", "9999990000000014", VISA_LIKE)


def sample_mastercard() -> EmvCard:
    return _bank_card("08514C02", "9999990000000022", MASTERCARD_LIKE)


def _bank_card(uid: str, number: str, application: bytes) -> EmvCard:
    card = EmvCard(bytes.fromhex(uid), number, _BANK_EXPIRES_YYMM, application)
    # A process makes its test keys when they are first needed, which is longer than a reader waits for an answer.
    assert card.issuer.signed
    assert card.card.signed
    return card


SAMPLE_CARDS: dict[str, Callable[[], Card]] = {
    "transit": sample_transit_card,
    "visa": sample_visa_card,
    "mastercard": sample_mastercard,
    "blank": lambda: blank_card(1),
}
