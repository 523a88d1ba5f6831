"""What riders hold, as a test hands it out: a transport card, a bank card, a phone with a ticket."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from protocol.cards.card_layout import Environment
from protocol.tokens import LABEL_BANK, LABEL_TRANSIT, medium_token
from simulator.desfire_card import DesfireCard
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.phone import issue_ticket
from simulator.riders import ADULT, FREE, PENSIONER, PUPIL, STUDENT
from simulator.wallet import bank_card_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.library.service import ClearingService
    from simulator.virtual_card import VirtualCard

CATEGORIES = {"adult": ADULT, "pupil": PUPIL, "student": STUDENT, "pensioner": PENSIONER, "free": FREE}
_YEARS_5_S = 5 * 365 * 86_400


def _identity(kind: str, number: int) -> bytes:
    return hashlib.sha256(f"library {kind} {number}".encode()).digest()


class HeldCard:
    """A card in a rider's hand.

    Attributes:
        card: the virtual card itself, APDU in and APDU out.
        token: by which the back office knows it, hexadecimal.
    """

    def __init__(self, card: VirtualCard, token: bytes) -> None:
        self.card = card
        self.token = token.hex()

    def tear_after(self, commands: int, *, carried_out: bool = True) -> None:
        """Let it leave the field in that command (1 is the next), after the card has carried it out or before; once."""
        self.card.tear_at(commands, carried_out=carried_out)


class TransportCard(HeldCard):
    """A transport card with a purse.

    Attributes:
        category: of its holder, by name.
    """

    def __init__(self, desfire: DesfireCard, token: bytes, category: str) -> None:
        super().__init__(desfire, token)
        self._desfire = desfire
        self.category = category

    @property
    def balance_minor(self) -> int:
        """What is in the purse, tiyn, as committed on the card."""
        return self._desfire.balance_minor

    @property
    def debits_minor(self) -> list[int]:
        """Each debit that was committed, in order: what the card itself can witness."""
        return list(self._desfire.committed_debits_minor)


class BankCard(HeldCard):
    """A bank card, of a range that no scheme issues."""


class Phone:
    """A phone with a QR ticket whose code changes every 30 seconds.

    Attributes:
        category: of its holder, by name.
    """

    def __init__(self, text: Callable[[], str], category: str) -> None:
        self._text = text
        self.category = category

    def text(self) -> str:
        """Return what it shows now."""
        return self._text()

    def screenshot(self) -> Phone:
        """Return a phone that shows for ever what this one shows now."""
        text = self.text()
        return Phone(lambda: text, self.category)


class Bureau:
    """It personalises cards and issues tickets, each another one, with the keys of a running service."""

    def __init__(self, service: ClearingService, now_s: Callable[[], int]) -> None:
        self._service = service
        self._now_s = now_s
        self._count = 0

    def _next(self) -> int:
        self._count += 1
        return self._count

    def transport_card(self, category: str = "adult", balance_minor: int = 300_000) -> TransportCard:
        """Return a new card; an agent has sold it with that balance, and has told the service so."""
        number = self._next()
        service, card_number = self._service, b"JQ" + _identity("card", number)[:6]
        environment = Environment(card_number, service.city_number, CATEGORIES[category], self._now_s() + _YEARS_5_S)
        uid = b"\x04" + _identity("uid", number)[:6]
        token = medium_token(service.keys["token_key"], LABEL_TRANSIT, card_number)
        if balance_minor:
            sale = {"reference": f"sale-{number}", "token": token.hex(), "amount_minor": balance_minor}
            service.post("/v1/top-ups", sale | {"at_s": self._now_s(), "city": service.city})
        return TransportCard(DesfireCard.personalise(uid, environment, balance_minor, service.keys), token, category)

    def bank_card(self) -> BankCard:
        """Return a new card, in turn like those of one scheme and of another."""
        number = self._next()
        card_number = bank_card_number(number)
        scheme = VISA_LIKE if number % 2 else MASTERCARD_LIKE
        packed = bytes.fromhex(card_number + "F" * (20 - len(card_number)))
        token = medium_token(self._service.keys["token_key"], LABEL_BANK, packed)
        return BankCard(EmvCard(b"\x08" + _identity("uid", number)[:3], card_number, "3012", scheme), token)

    def phone(self, category: str = "adult", valid_hours: int = 24) -> Phone:
        """Return a phone with a new ticket that is valid for so long from now."""
        ticket = issue_ticket(
            self._service.keys,
            self._service.city,
            _identity("ticket", self._next())[:8],
            self._service.city_number,
            CATEGORIES[category],
            self._now_s() + valid_hours * 3600,
        )
        return Phone(lambda: ticket.text(self._now_s()), category)
