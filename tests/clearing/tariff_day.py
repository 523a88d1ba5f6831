"""Tariffs and rides for tests of pricing: a city of our own, whose rules each test chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clearing.network.service_day import day_start_s, service_day
from clearing.network.tariff_rules import TariffRules, read_tariff_rules
from clearing.pricing.facts import RideFacts
from clearing.pricing.terms import DayTariff
from clearing.pricing.walk import Before, Priced, price_rides
from tests.builders import DAY, make_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ZONE = "Asia/Almaty"
CARD, BANK, CASH, SMS = "transport_card", "bank_card", "cash", "sms"
ADULT, PUPIL, STUDENT, PENSIONER, FREE = 1, 2, 3, 4, 5
PRICES = {
    **{(medium, ADULT): 10_000 for medium in (CARD, BANK, SMS)},
    (CARD, PUPIL): 5_000,
    (CARD, STUDENT): 5_000,
    (BANK, STUDENT): 5_000,
    (CARD, PENSIONER): 5_000,
    (CARD, FREE): 0,
    (CASH, ADULT): 20_000,
}
START_S = day_start_s(ZONE, DAY)
TRANSFER: dict[str, Any] = {"transfer": {"within_s": 1800, "rides": 1, "fare_minor": 0}}


def tariff(day: str = DAY, prices: Mapping[tuple[str, int], int] | None = None, **rules: Any) -> DayTariff:  # noqa: ANN401
    """The tariff of a day, its rules as a package writes them."""
    return DayTariff(day, PRICES if prices is None else prices, read_tariff_rules(rules) if rules else TariffRules())


def ride(minute: float, taken_minor: int = 10_000, card: int | None = 1, number: int = 0, **changes: Any) -> RideFacts:  # noqa: ANN401
    """A ride so many minutes after the beginning of the service day, in a bus of its own unless it is said."""
    at_s = START_S + round(minute * 60)
    number = number or round(minute * 60) + 1
    facts = RideFacts(
        source="tap",
        source_key=f"{number:08d}",
        device_id=number.to_bytes(16, "big"),
        epoch=1,
        sequence=1,
        day=service_day(ZONE, at_s),
        carrier="alatau",
        vehicle=f"A-{number}",
        line=1,
        stop=None,
        off_stop=None,
        medium=CARD,
        category=ADULT,
        token=None if card is None else make_token(card),
        ridden_at_s=at_s,
        at_s=at_s,
        before_s=0,
        after_s=0,
        taken_minor=taken_minor,
        product=1,
    )
    return facts._replace(**changes)


def price(
    rides: Sequence[RideFacts],
    *tariffs: DayTariff,
    before: Iterable[Before] = (),
    run: Any = None,  # noqa: ANN401 - a fold
) -> list[Priced]:
    """Price them, and return them in the order of their moments."""
    by_day = {each.day: each for each in tariffs}
    chosen = {} if run is None else {"run": run}
    priced = price_rides(rides, before, by_day, lambda moment_s: service_day(ZONE, moment_s), **chosen)
    return sorted(priced, key=lambda each: each.facts.order)


def charged(priced: Iterable[Priced]) -> list[tuple[int, str]]:
    return [(each.charged_minor, each.rule) for each in priced]
