"""Which later days a day's fares can change, and marking those that they have changed.

A late tap re-prices its medium through the longest window it can touch: a transfer over the day's boundary reaches the next day,
a cap the end of its week or month. The days in which the medium rode after that are marked, and what was closed of them is closed
once more; they mark on in their turn. Marks only go forward, so that comes to an end, and the fares are then those of all taps
priced at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from sqlalchemy import Column, MetaData, Table, delete, select, union
from sqlalchemy.orm import Session

from clearing.ingest.settling import mark_dirty
from clearing.network.dated_rules import rules_on
from clearing.network.service import tariff_periods
from clearing.network.tariff_rules import TariffRules
from clearing.pricing.models import Fare

_COLUMNS = (Fare.token, Fare.source, Fare.source_key, Fare.charged_minor, Fare.rule, Fare.riders, Fare.ridden_at_s)
_BEFORE = Table(
    "fare_before",
    MetaData(),
    *(Column(column.key, column.type) for column in _COLUMNS),
    prefixes=["TEMPORARY"],
)


class Remembered:
    """The fares of a day as they were before it is priced again; where no later day is priced, nothing need be remembered."""

    def __init__(self, session: Session, city: str, day: str) -> None:
        self._session = session
        self._city = city
        self._of_day = select(*_COLUMNS).where(Fare.city == city, Fare.service_day == day, Fare.token.is_not(None))
        last = last_reached(session, city, day)
        self._later = select(Fare.service_day).where(
            Fare.city == city, Fare.service_day > day, Fare.service_day <= last
        )
        self._is_needed = last > day and session.scalar(self._later.limit(1)) is not None
        if self._is_needed:
            _BEFORE.create(session.connection())
            session.execute(_BEFORE.insert().from_select([column.key for column in _COLUMNS], self._of_day))

    def mark_later_days(self) -> list[str]:
        """Mark the later days in which media rode whose fares have changed; returns them."""
        if not self._is_needed:
            return []
        before = select(_BEFORE)
        gone, come = before.except_(self._of_day).subquery(), self._of_day.except_(before).subquery()
        changed = union(select(gone.c.token), select(come.c.token)).subquery()
        in_changed = Fare.token.in_(select(changed.c.token))
        days = sorted(self._session.scalars(self._later.where(in_changed).distinct()))
        _BEFORE.drop(self._session.connection())
        for later in days:
            mark_dirty(self._session, self._city, later)
        return days


def forget_fares(session: Session, city: str, days: Iterable[str]) -> None:
    """Remove the fares of some days, which will be priced again, and mark every later day that these can have changed."""
    gone = sorted(set(days))
    later = {
        found
        for day in gone
        for found in session.scalars(
            select(Fare.service_day)
            .where(Fare.city == city, Fare.service_day > day, Fare.service_day <= last_reached(session, city, day))
            .distinct()
        )
    }
    session.execute(delete(Fare).where(Fare.city == city, Fare.service_day.in_(gone)))
    for day in sorted(later - set(gone)):
        mark_dirty(session, city, day)


def last_reached(session: Session, city: str, day: str) -> str:
    """The last service day whose fares can depend on those of this one, by the tariffs of the days after it."""
    starts = [period.valid_from for period in tariff_periods(session, city) if day < period.valid_from]
    ends = _month_end(date.fromisoformat(day)).isoformat()
    tomorrow = (date.fromisoformat(day) + timedelta(1)).isoformat()
    met = {tomorrow, *(start for start in starts if start <= max(ends, tomorrow))}
    return max(_reached(rules_on(session, city, each), date.fromisoformat(day)) for each in met)


def _reached(rules: TariffRules, day: date) -> str:
    last = day
    if rules.transfer is not None or rules.same_vehicle_s:
        last = max(last, day + timedelta(1))
    periods = {cap.period for cap in rules.caps}
    if "week" in periods:
        last = max(last, day + timedelta(6 - day.weekday()))
    if "month" in periods:
        last = max(last, _month_end(day))
    return last.isoformat()


def _month_end(day: date) -> date:
    following = (day.replace(day=28) + timedelta(4)).replace(day=1)
    return following - timedelta(1)
