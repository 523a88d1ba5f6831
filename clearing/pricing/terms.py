"""On which terms a medium rides on a service day: the price before any ride that came before, and which rules may help. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from clearing.network.package import ADULT, CASH, is_fare
from clearing.network.tariff_rules import PERIODS, TariffRules, Whom
from clearing.pricing import fold
from clearing.pricing.facts import RideFacts
from protocol.tap import (
    PRODUCT_FAULT,
    PRODUCT_FREE_DAY,
    PRODUCT_GROUP,
    PRODUCT_PASSES,
    PRODUCT_QUOTA,
    PRODUCT_SINGLE,
    PRODUCT_TRANSFER,
)

_ACCOUNT_MEDIA = frozenset({"bank_card", "phone_nfc"})
_MAYBE_ACCOUNT_MEDIA = frozenset({"transport_card", "qr"})
_LESS = {
    PRODUCT_TRANSFER: fold.TRANSFER,
    PRODUCT_QUOTA: fold.QUOTA,
    PRODUCT_FREE_DAY: fold.IS_FREE_DAY,
    PRODUCT_FAULT: fold.OUR_FAULT,
}
Place = tuple[int, Whom]


@dataclass(frozen=True)
class DayTariff:
    """The tariff of a service day.

    Attributes:
        prices: by medium and rider category.
        account_only: transport cards and tickets are paid by account as well.
    """

    day: str
    prices: Mapping[tuple[str, int], int]
    rules: TariffRules
    account_only: bool = False

    def is_on_spot(self, facts: RideFacts) -> bool:
        """Whether the money is gone already: from a purse, in cash, or by a channel."""
        by_account = facts.medium in _ACCOUNT_MEDIA or (self.account_only and facts.medium in _MAYBE_ACCOUNT_MEDIA)
        return not (facts.is_tap and by_account)

    def is_by_way(self, facts: RideFacts) -> bool:
        """Whether the fare depends on how far one rides."""
        zones = self.rules.zones
        return zones is not None and (not zones.lines or facts.line in zones.lines)

    def is_held_twice(self, facts: RideFacts) -> bool:
        """Whether the medium is held when alighting as well."""
        return self.rules.tap_off is not None and facts.medium in self.rules.tap_off.media

    def single_minor(self, facts: RideFacts) -> int | None:
        """What one rider pays for this ride by itself; absent when the tariff has no such ride."""
        flat = self.prices.get((facts.medium, facts.category))
        zones = self.rules.zones
        if flat is None or zones is None or not self.is_by_way(facts):
            return flat
        start = zones.stops.get(facts.stop or 0)
        end = zones.stops.get(facts.off_stop or 0)
        if start is not None and end is not None:
            by_zones = zones.fare_minor(facts.category, start, end)
            return flat if by_zones is None else by_zones
        fares = zones.fares_from(facts.category, start)
        if not fares:
            return flat
        if self.is_held_twice(facts):
            return fares[-1]
        # The driver sold so many zones: what the bus took says how many.
        return next((fare for fare in fares if fare >= facts.taken_minor), fares[-1])

    def riders(self, facts: RideFacts) -> int:
        """For how many the medium pays."""
        group, product = self.rules.group, facts.product or 0
        if group is None or not PRODUCT_GROUP + 2 <= product < PRODUCT_PASSES:
            return 1
        return min(product - PRODUCT_GROUP, group.riders_max) if group.whom.covers(facts.medium, facts.category) else 1


class Terms(NamedTuple):
    """A ride's own part of the columns of the fold (`clearing.pricing.fold.Rides`), under their names there.

    Attributes:
        day: of the tariff: of two days between which a clock leaves a doubt, the cheaper one.
    """

    day: str
    flags: int
    base_minor: int
    scheduled_minor: int
    others: int
    others_minor: int
    taken_minor: int
    less: int
    quota: int


def terms_of(facts: RideFacts, tariff: DayTariff, other: DayTariff | None = None) -> Terms:
    """The terms of a ride; `other` is the tariff of the day to which it belongs as well as anybody knows."""
    terms = _terms(facts, tariff)
    if other is None:
        return terms
    there = _terms(facts, other)
    return there if _worth(there) < _worth(terms) else terms


def _worth(terms: Terms) -> tuple[bool, int]:
    """What the rider would rather have is less."""
    return not terms.flags & fold.PRICED, 0 if terms.flags & fold.FREE_DAY else terms.base_minor


def _terms(facts: RideFacts, tariff: DayTariff) -> Terms:
    rules, is_believed = tariff.rules, is_fare(facts.taken_minor)
    single_minor = tariff.single_minor(facts)
    on_spot = tariff.is_on_spot(facts)
    flags = fold.ON_SPOT if on_spot else 0
    if single_minor is None:
        taken_minor = facts.taken_minor if is_believed else 0
        flags |= 0 if is_believed else fold.IMPLAUSIBLE | fold.PRICED
        return Terms(tariff.day, flags, taken_minor, taken_minor, 0, 0, taken_minor, fold.CHARGED_LESS, 0)
    others = tariff.riders(facts) - 1
    others_minor = tariff.prices.get((facts.medium, ADULT), single_minor) if others else 0
    scheduled_minor = single_minor + others * others_minor
    taken_minor = facts.taken_minor if is_believed else scheduled_minor
    flags |= fold.PRICED
    flags |= 0 if is_believed else fold.IMPLAUSIBLE
    flags |= fold.FREE_DAY if tariff.day in rules.free_days else 0
    flags |= fold.HAS_PASS if rules.pass_for(facts.product, facts.medium, facts.category) else 0
    if rules.transfer is not None and rules.transfer.whom.covers(facts.medium, facts.category):
        flags |= fold.MAY_TRANSFER
    base_minor = single_minor
    if not on_spot and not others and _bus_is_believed(facts, tariff):
        base_minor = min(single_minor, taken_minor)
    less = (
        fold.PASS
        if (facts.product or 0) >= PRODUCT_PASSES
        else _LESS.get(facts.product or PRODUCT_SINGLE, fold.CHARGED_LESS)
    )
    quota = rules.quotas.get(facts.category, 0)
    return Terms(tariff.day, flags, base_minor, scheduled_minor, others, others_minor, taken_minor, less, quota)


def _bus_is_believed(facts: RideFacts, tariff: DayTariff) -> bool:
    """Whether an account is charged no more than the bus showed.

    A bus knows its own rides only: by a rule that clearing can follow over all buses, clearing's word counts. An older fare
    table, a fault of ours and what no rule of the tariff speaks of stay in the rider's favour.
    """
    rules = tariff.rules
    if tariff.is_by_way(facts) and tariff.is_held_twice(facts):
        return facts.product == PRODUCT_FAULT
    if facts.product == PRODUCT_TRANSFER:
        return rules.transfer is None
    if facts.product == PRODUCT_QUOTA:
        return not rules.quotas
    return facts.product != PRODUCT_FREE_DAY or not rules.free_days


class RuleTable:
    """The rules of several dated tariffs as the fold takes them.

    Attributes:
        places: what each place of the caps is: the period, and on which rides it counts.
    """

    def __init__(self, tariffs: Mapping[str, DayTariff]) -> None:
        self.rows = {day: number for number, day in enumerate(sorted(tariffs))}
        ordered = [tariffs[day].rules for day in sorted(tariffs)]
        caps = {(PERIODS.index(cap.period), cap.whom): None for rules in ordered for cap in rules.caps}
        self.places: list[Place] = sorted(caps, key=_place_order)
        self.rules = fold.Rules(
            [rules.same_vehicle_s for rules in ordered],
            [rules.transfer.within_s if rules.transfer else 0 for rules in ordered],
            [rules.transfer.rides if rules.transfer else 0 for rules in ordered],
            [rules.transfer.fare_minor if rules.transfer else 0 for rules in ordered],
            [_bounds(rules) for rules in ordered],
            [period for period, _ in self.places],
            [_cap_minor(rules, place) for rules in ordered for place in self.places],
        )

    def cap_bits(self, medium: str, category: int, periods: Callable[[int], bool] = lambda _: True) -> int:
        """Towards which caps a ride counts."""
        return sum(
            1 << number
            for number, (period, whom) in enumerate(self.places)
            if periods(period) and whom.covers(medium, category)
        )


def _place_order(place: Place) -> tuple[int, list[str], list[int]]:
    period, whom = place
    return period, sorted(whom.media), sorted(whom.categories)


def _bounds(rules: TariffRules) -> int:
    transfer = rules.transfer
    return 0 if transfer is None else transfer.same_carrier + 2 * transfer.other_line


def _cap_minor(rules: TariffRules, place: Place) -> int:
    amounts = [cap.amount_minor for cap in rules.caps if (PERIODS.index(cap.period), cap.whom) == place]
    return amounts[0] if amounts else -1


def day_number(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def month_number(day: str) -> int:
    moment = date.fromisoformat(day)
    return moment.year * 12 + moment.month


def cash_minor_of(tariff: DayTariff) -> int | None:
    """What an adult would have paid in cash that day."""
    return tariff.prices.get((CASH, ADULT))
