"""What can be done by pricing: price a service day, as often as one likes; read what was priced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.ingest.models import TapRow
from clearing.network.dated_rules import rules_on
from clearing.network.service import city_of, fares_on, rules_of
from clearing.network.service_day import day_start_s, service_day
from clearing.network.tariff_rules import TariffRules
from clearing.pricing.bulk import insert_fares
from clearing.pricing.compiled import best_fold
from clearing.pricing.derivation import derive
from clearing.pricing.dirt import Remembered
from clearing.pricing.finding import MEDIA_BY_WIRE, find_rides
from clearing.pricing.gathering import KINDS, Days, Reach, day_beside
from clearing.pricing.models import Fare
from clearing.pricing.shares import MediumTotal
from clearing.pricing.subsidies import subsidy_minor
from clearing.pricing.terms import DayTariff, RuleTable, cash_minor_of
from clearing.pricing.walk import Priced, price_rides
from protocol.fare_rules import USE_ACCOUNT_ONLY

__all__ = ["MEDIA_BY_WIRE", "DayPricing", "PricedDay", "list_fares", "preview_totals", "price_day", "tariff_on"]

_WITHOUT_STEPS = frozenset(
    {"tariff", "charged_less", "charged_more", "not_in_tariff", "implausible", "our_fault", "free_day"}
)


@dataclass(frozen=True)
class PricedDay:
    """What pricing made of a day.

    Attributes:
        rides: fares that the day has.
        unknown: debits of which nobody knows whether the card committed them.
        unknown_minor: what the riders would be charged for them.
    """

    rides: int
    unknown: int
    unknown_minor: int


def price_day(session: Session, city: str, day: str) -> PricedDay:
    """Price a service day from scratch: the same taps give the same fares, in whatever order they came.

    Days before it count as they were priced. Later days whose fares may change by what changed here are marked dirty.
    """
    pricing = DayPricing(session, city, day)
    remembered = Remembered(session, city, day)
    session.execute(delete(Fare).where(Fare.city == city, Fare.service_day == day))
    for priced in pricing.parts():
        insert_fares(session, [pricing.row(each) for each in priced])
    remembered.mark_later_days()
    return PricedDay(pricing.rides, pricing.unknown, pricing.unknown_minor)


def preview_totals(session: Session, city: str, day: str) -> list[MediumTotal]:
    """Rides and fares of a day by medium as they would be priced now; nothing is written."""
    totals: dict[str, tuple[int, int]] = {}
    for priced in DayPricing(session, city, day).parts():
        for each in priced:
            trips, fares_minor = totals.get(each.facts.medium, (0, 0))
            totals[each.facts.medium] = (trips + 1, fares_minor + each.charged_minor)
    return [MediumTotal(medium, *totals[medium]) for medium in sorted(totals)]


def tariff_on(session: Session, city: str, day: str) -> DayTariff:
    """The tariff of a service day."""
    account_only = rules_of(city_of(session, city)).rules.use == USE_ACCOUNT_ONLY
    return DayTariff(day, fares_on(session, city, day), rules_on(session, city, day), account_only)


class DayPricing:
    """One pricing of a day.

    Attributes:
        tariffs: of the day and of those beside it, which a clock's doubt may touch.
        rides, unknown, unknown_minor: as of `PricedDay`, complete when all parts were taken.
    """

    def __init__(self, session: Session, city: str, day: str) -> None:
        self._session = session
        self._city = city
        self._day = day
        self._zone = city_of(session, city).zone
        self.tariffs = {each: tariff_on(session, city, each) for each in (day_beside(day, -1), day, day_beside(day, 1))}
        self._table = RuleTable(self.tariffs)
        self._explanations: dict[tuple[str, int], str] = {}
        self._has_zones = any(tariff.rules.zones is not None for tariff in self.tariffs.values())
        self.rides = self.unknown = self.unknown_minor = 0

    def parts(self) -> Iterator[list[Priced]]:
        """The day's fares, some media at a time."""
        rules = self.tariffs[self._day].rules
        fold = best_fold(count_records(self._session, self._city, self._day, self._day))
        days = Days(self._day, self._day, rules.tap_off is not None)
        reach = reach_of(rules, self._zone, self._day)
        for found in find_rides(self._session, self._city, days, reach, rules.tap_off):
            priced = price_rides(found.rides, found.before, self.tariffs, self._day_of, fold)
            # What nobody knows the end of is worth what it would cost by itself.
            alone = price_rides([each._replace(token=None) for each in found.unknown], (), self.tariffs, self._day_of)
            self.rides += len(priced)
            self.unknown += len(alone)
            self.unknown_minor += sum(each.charged_minor for each in alone)
            yield priced

    def _day_of(self, moment_s: int) -> str:
        return service_day(self._zone, moment_s)

    def row(self, priced: Priced) -> dict[str, Any]:
        """A fare as the row of its table."""
        facts = priced.facts
        return {
            "source": facts.source,
            "source_key": facts.source_key,
            "device_id": facts.device_id,
            "epoch": facts.epoch,
            "sequence": facts.sequence,
            "city": self._city,
            "service_day": self._day,
            "carrier": facts.carrier,
            "vehicle": facts.vehicle,
            "line": facts.line,
            "medium": facts.medium,
            "category": facts.category,
            "token": facts.token,
            "ridden_at_s": facts.ridden_at_s,
            "scheduled_minor": priced.terms.scheduled_minor,
            "charged_minor": priced.charged_minor,
            "cash_minor": cash_minor_of(self.tariffs[self._day]),
            "correction_minor": priced.correction_minor,
            "rule": priced.rule,
            "riders": priced.riders,
            "subsidy_minor": subsidy_minor(priced, self.tariffs[priced.terms.day]),
            "journey_key": None if priced.journey_key == facts.key else priced.journey_key,
            "explanation_json": self._explanation(priced),
        }

    def _explanation(self, priced: Priced) -> str:
        """Most fares of a day are explained alike: what follows from the tariff alone is written once."""
        plain = (priced.rule, priced.facts.taken_minor)
        if priced.rule not in _WITHOUT_STEPS or priced.terms.day != self._day or priced.riders > 1 or self._has_zones:
            return canonical_json(derive(priced, self.tariffs, self._table))
        if plain not in self._explanations:
            self._explanations[plain] = canonical_json(derive(priced, self.tariffs, self._table))
        return self._explanations[plain]


def reach_of(rules: TariffRules, zone: str, day: str) -> Reach:
    """How far back the rules of a day look."""
    window_s = max(rules.same_vehicle_s, 0 if rules.transfer is None else rules.transfer.within_s)
    start_s = day_start_s(zone, day)
    moment = date.fromisoformat(day)
    firsts = {"week": moment - timedelta(moment.weekday()), "month": moment.replace(day=1)}
    sums = [firsts[cap.period] for cap in rules.caps if cap.period in firsts]
    sums_from = min(sums).isoformat() if sums else None
    return Reach(day_beside(day, -2) if window_s else None, start_s - window_s, start_s, sums_from)


def count_records(session: Session, city: str, first: str, last: str) -> int:
    """How many records of some days pricing has to look at."""
    query = select(func.count()).select_from(TapRow)
    return session.scalar(
        query.where(TapRow.city == city, TapRow.service_day.between(first, last), TapRow.kind.in_(KINDS))
    ) or 0  # fmt: skip


def list_fares(
    session: Session, city: str, day: str, after: tuple[str, str], limit: int, vehicle: str | None = None
) -> list[Fare]:
    """One page of a day's fares, in the order of (source, source key), which a new pricing of the day leaves alone."""
    place = tuple_(Fare.source, Fare.source_key)
    query = select(Fare).where(Fare.city == city, Fare.service_day == day, place > after)
    if vehicle is not None:
        query = query.where(Fare.vehicle == vehicle)
    return list(session.scalars(query.order_by(Fare.source, Fare.source_key).limit(limit)))
