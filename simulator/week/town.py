"""Who takes part in a week: counterparties with their habits, and riders with their cards. All of it follows from the seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from protocol.cards.card_layout import Environment
from protocol.tokens import LABEL_TRANSIT, medium_token
from simulator.counterparties import agent, bank, qr_provider, sms_aggregator
from simulator.counterparties.acquirer import Acquirer
from simulator.counterparties.acquirer_book import Habits as AcquirerHabits
from simulator.counterparties.acquirer_book import Terms
from simulator.desfire_card import DesfireCard
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.library.media import HeldCard, TransportCard
from simulator.riders import ADULT, PUPIL, STUDENT
from simulator.wallet import bank_card_number

if TYPE_CHECKING:
    from simulator.counterparties.acquirer_statement import Injected
    from simulator.week.office import CityOffice

_YEARS_5_S = 5 * 365 * 86_400
_PURSE_MINOR = 150_000
_CATEGORIES = {ADULT: "adult", PUPIL: "pupil", STUDENT: "student"}
# What the acquirer calls a difference, and the cause that reconciliation gives.
_CAUSES = {"unknown_item": "reference_unknown", "amount_altered": "amount_differs"}

QR_HABITS = qr_provider.Habits(
    lose_notification=0.05,
    notify_twice=0.2,
    notify_late=0.1,
    keep_refused=0.5,
    hide_refund=0.5,
    left_out=0.05,
    settled_twice=0.05,
    two_states=0.05,
    amount_differs=0.05,
    unknown_item=0.2,
)
SMS_HABITS = sms_aggregator.BillingHabits(
    lose_message=0.05,
    send_twice=0.2,
    send_late=0.1,
    new_number=0.1,
    charge_rejected=0.5,
    left_out=0.05,
    settled_twice=0.05,
    two_states=0.05,
    amount_differs=0.05,
)
AGENT_HABITS = agent.Habits(forget=0.05, tell_twice=0.2, left_out=0.05, settled_twice=0.05, amount_differs=0.05)
BANK_HABITS = bank.Habits(lose_credit=0.05, stranger=0.15)
ACQUIRER_HABITS = AcquirerHabits(
    decline=0.1,
    poor_for=1,
    lose_request=0.1,
    lose_answer=0.1,
    answer_late=0.1,
    delay=0.1,
    left_out=0.05,
    settled_twice=0.05,
    two_states=0.05,
    amount_altered=0.05,
    reference_reused=0.05,
    unknown_item=0.2,
)


@dataclass(frozen=True)
class Difference:
    """A difference that was made on purpose, or a break that was found: cause and reference."""

    cause: str
    reference: str


class Town:
    """Counterparties of a city, and its riders.

    Attributes:
        parties: as the city package names them.
        prices: of an adult's ride this week, tiyn by medium.
        transport, bank_cards: what riders hold.
        shortages: cash that was missing when it was counted, as breaks should name it.
    """

    def __init__(self, office: CityOffice, seed: int, riders: int) -> None:
        parties = office.get("/v1/parties", city=office.city)["parties"]
        self.parties = parties
        self.prices = _adult_prices(office)
        terms = Terms(commission_bp=parties["acquirer"]["commission_bp"])
        self.acquirer = Acquirer(office.now_ms, seed, ACQUIRER_HABITS, terms)
        qr, sms, kiosk = (parties[role][0] for role in ("qr_provider", "sms_aggregator", "agent"))
        city = office.city
        self.provider = qr_provider.QrProvider(
            office.sender(qr["code"], "provider"), city, seed, QR_HABITS, qr["commission_bp"]
        )
        fare_minor = self.prices["sms"]
        self.aggregator = sms_aggregator.BillingAggregator(
            office.sender(sms["code"], "aggregator"), city, seed, SMS_HABITS, sms["commission_bp"], fare_minor
        )
        self.agent = agent.Agent(
            office.sender(kiosk["code"], "agent", signed=False), city, seed, AGENT_HABITS, kiosk["commission_bp"]
        )
        self.bank = bank.Bank(parties["operator"][0]["iban"], seed, BANK_HABITS, opening_minor=100_000_000)
        self.transport = [self._transport_card(office, seed, number) for number in range(riders)]
        self.bank_cards = [_bank_card(seed * 1000 + number) for number in range(riders)]
        self.shortages: list[Difference] = []

    def _transport_card(self, office: CityOffice, seed: int, number: int) -> TransportCard:
        """A new card, sold by the agent with money on it."""
        identity = hashlib.sha256(f"week {seed} card {number}".encode()).digest()
        category = (ADULT, ADULT, PUPIL, STUDENT)[number % 4]
        expires_s = office.now_ms() // 1000 + _YEARS_5_S
        environment = Environment(b"JQ" + identity[:6], office.city_number, category, expires_s)
        token = medium_token(office.keys["token_key"], LABEL_TRANSIT, environment.card_number)
        self.agent.sell(token, _PURSE_MINOR)
        desfire = DesfireCard.personalise(b"\x04" + identity[6:12], environment, _PURSE_MINOR, office.keys)
        return TransportCard(desfire, token, _CATEGORIES[category])

    def close(self) -> None:
        self.acquirer.close()

    def made(self) -> list[Difference]:
        """Every difference that was made on purpose so far, sorted."""
        made: list[Injected] = []
        for each in (self.provider, self.aggregator, self.agent, self.bank, self.acquirer):
            made += each.injected
        found = [Difference(_CAUSES.get(each.kind, each.kind), each.reference) for each in made]
        return sorted([*found, *self.shortages], key=lambda each: (each.cause, each.reference))


def _adult_prices(office: CityOffice) -> dict[str, int]:
    """Prices of the first day; no tariff of the package begins within the week."""
    day = datetime.fromtimestamp(office.now_ms() / 1000, UTC).date().isoformat()
    periods = office.get("/v1/tariffs", city=office.city)["tariffs"]
    held = next(each for each in reversed(periods) if each["valid_from"] <= day)
    return {medium: int(fares["1"]) for medium, fares in held["fares_minor"].items()}


def _bank_card(number: int) -> HeldCard:
    card_number = bank_card_number(number)
    uid = b"\x08" + hashlib.sha256(f"week bank {number}".encode()).digest()[:3]
    scheme = VISA_LIKE if number % 2 else MASTERCARD_LIKE
    return HeldCard(EmvCard(uid, card_number, "3012", scheme), b"")
