"""What riders hold: cards personalised and tickets issued with the city's keys, and how each is put before a validator.

The simulation plays the bureau that personalises cards, so it is handed the keys that such a bureau is handed. Identities are
derived from the rider's number: nobody's card number, telephone number or ticket is real.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from protocol.cards.card_layout import Environment
from protocol.tokens import LABEL_BANK, LABEL_TRANSIT, medium_token
from simulator.desfire_card import DesfireCard
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.phone import PhoneTicket, issue_ticket
from simulator.turn import Turn

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from simulator.bus import Bus
    from simulator.riders import Boarding, Rider
    from simulator.world import World

_PURSE_MINOR = 300_000
_EMPTY_PURSE_MINOR = 2_000
_YEARS_5_S = 5 * 365 * 86_400
_SCREENSHOT_AGE_S = 600
# The city whose day is played: that of `simulator.day`, which needs wallets.
_AUDIENCE = "almaty"
_SCANNER_TRIES = 3


def _luhn(digits: str) -> str:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def bank_card_number(number: int) -> str:
    """Return the card number of a rider's bank card: in a range that no scheme issues."""
    return _luhn(f"999999{number:09d}")


def msisdn(number: int) -> str:
    """Return a rider's telephone number, in a range that is not given out; its last digits look as any."""
    return f"+7000{number * 7_654_321 % 10_000_000:07d}"


def _identity(kind: str, number: int) -> bytes:
    """Return bytes that are a rider's own, and are found nowhere by accident."""
    return hashlib.sha256(f"{kind} {number}".encode()).digest()


class Wallet:
    """One rider's medium for the whole day.

    Attributes:
        transit_card, bank_card: the virtual card, if that is the medium.
        token: of the medium where the back office must be told of it before the day, else None.
        purse_minor: what was loaded onto the transport card.
        holds_on: money was paid in for the card, and waits for a validator.
        on_shown: told where a ticket was shown, and what the phone showed: somebody else may have seen it, too.
    """

    def __init__(self, rider: Rider, city: int, keys: Mapping[str, bytes], world: World) -> None:
        self.rider = rider
        self._world = world
        self.transit_card: DesfireCard | None = None
        self.token: bytes | None = None
        self.purse_minor = 0
        self.holds_on = False
        self._loaded_before_minor = 0
        self.bank_card: EmvCard | None = None
        self._ticket: PhoneTicket | None = None
        self.on_shown: Callable[[Bus, str], None] | None = None
        now_s = world.now_ms // 1000
        if rider.medium == "transport_card":
            self._issue_transit_card(city, keys, now_s + _YEARS_5_S)
        elif rider.medium == "bank_card":
            self._issue_bank_card(keys["token_key"])
        elif rider.medium == "qr":
            masters = keys if rider.trouble != "unknown" else {**keys, "qr_master": bytes(32)}
            ticket_id = _identity("ticket", rider.number)[:8]
            self._ticket = issue_ticket(masters, _AUDIENCE, ticket_id, city, rider.category, now_s + _YEARS_5_S)

    def _issue_transit_card(self, city: int, keys: Mapping[str, bytes], expires_s: int) -> None:
        rider = self.rider
        number = b"JQ" + _identity("card", rider.number)[:6]
        self.purse_minor = _EMPTY_PURSE_MINOR if rider.trouble == "empty_purse" else _PURSE_MINOR
        masters = keys if rider.trouble != "foreign" else dict.fromkeys(keys, bytes(16))
        uid = b"\x04" + _identity("uid", rider.number)[:6]
        environment = Environment(number, city, rider.category, expires_s)
        self.transit_card = DesfireCard.personalise(uid, environment, self.purse_minor, masters)
        self._loaded_before_minor = sum(self.transit_card.committed_credits_minor)
        self.token = medium_token(keys["token_key"], LABEL_TRANSIT, number)

    def _issue_bank_card(self, token_key: bytes) -> None:
        rider = self.rider
        number = bank_card_number(rider.number)
        scheme = VISA_LIKE if rider.number % 2 else MASTERCARD_LIKE
        self.bank_card = EmvCard(b"\x08" + _identity("uid", rider.number)[:3], number, "3012", scheme)
        packed = bytes.fromhex(number + "F" * (20 - len(number)))
        self.token = medium_token(token_key, LABEL_BANK, packed)

    def hold(self, card: DesfireCard, token_key: bytes) -> None:
        """Hold a transport card that was issued elsewhere, in place of one's own."""
        self.transit_card = card
        self.token = medium_token(token_key, LABEL_TRANSIT, card.card_number)
        self.purse_minor = card.balance_minor
        self._loaded_before_minor = sum(card.committed_credits_minor)

    def loaded_minor(self) -> int:
        """Return what has come onto the transport card since the rider holds it, tiyn."""
        card = self.transit_card
        return 0 if card is None else sum(card.committed_credits_minor) - self._loaded_before_minor

    def turn(self, boarding: Boarding, chance: random.Random) -> Turn:
        """Return the rider's turn at a validator."""
        if self.rider.medium == "cash":
            return Turn("cash", self.rider.category, _pay_cash)
        if self._ticket is not None:
            return Turn("qr", self.rider.category, self._show_ticket(self._ticket, boarding.mishap))
        card = self.transit_card or self.bank_card
        assert card is not None
        present = _hold_card(card, boarding.mishap, chance)
        return Turn(self.rider.medium, self.rider.category, present, holds_on=self.holds_on)

    def _show_ticket(self, ticket: PhoneTicket, mishap: str) -> Callable[[Bus, int], Callable[[], None]]:
        def present(bus: Bus, attempt: int) -> Callable[[], None]:
            now_s = self._world.now_ms // 1000
            # Who shows a screenshot at first opens the app when it is refused.
            moment_s = now_s - _SCREENSHOT_AGE_S if mishap == "screenshot" and attempt == 0 else now_s
            text = ticket.text(moment_s)
            for _ in range(_SCANNER_TRIES):
                if bus.camera.look_at(text, self._world.now_ms):
                    break
            if self.on_shown is not None:
                self.on_shown(bus, text)
            return _nothing

        return present


def picture_turn(text: str, category: int) -> Turn:
    """Return the turn of somebody who shows the picture of another rider's code."""

    def present(bus: Bus, attempt: int) -> Callable[[], None]:
        del attempt
        for _ in range(_SCANNER_TRIES):
            if bus.camera.look_at(text, bus.world.now_ms):
                break
        return _nothing

    return Turn("qr", category, present)


def _nothing() -> None:
    """Nothing has to be taken away."""


def _pay_cash(bus: Bus, attempt: int) -> Callable[[], None]:
    del attempt
    bus.driver.say("cash")
    return _nothing


def _hold_card(
    card: DesfireCard | EmvCard, mishap: str, chance: random.Random
) -> Callable[[Bus, int], Callable[[], None]]:
    def present(bus: Bus, attempt: int) -> Callable[[], None]:
        now_ms = bus.world.now_ms
        if mishap == "torn" and attempt == 0:
            card.tear_at(chance.randrange(1, 9), carried_out=chance.random() < 0.5)
        other = None
        if mishap == "two_cards" and attempt == 0:
            other = EmvCard(b"\x08\xff\xff\xff", bank_card_number(999_999_999), "3012")
        bus.chip.present(card, now_ms, other)

        def take_away() -> None:
            bus.chip.remove(card)
            if other is not None:
                bus.chip.remove(other)

        return take_away

    return present
