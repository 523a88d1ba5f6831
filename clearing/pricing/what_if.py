"""What if: past rides under a proposed tariff, beside what they cost. Nothing is written.

Every ride of the days is priced twice from the same taps: as the books would, and as if the proposed tariff had been in force
and on every bus. Under the proposal a purse pays what the rules say, since the bus would have known them; what was free by a
fault of ours stays free. Who would have ridden otherwise under other prices, nobody knows: the rides are those that were made.

Caps of weeks and months begin with the first day of the trial, in both pricings alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from clearing.endpoint import InvalidError
from clearing.money import as_number
from clearing.network.package import FARE_MINOR_MAX
from clearing.network.service import city_of
from clearing.network.service_day import service_day
from clearing.pricing.compiled import best_fold
from clearing.pricing.facts import RideFacts
from clearing.pricing.finding import find_rides
from clearing.pricing.gathering import Days, Reach, day_beside
from clearing.pricing.proposal import Proposal
from clearing.pricing.service import count_records, tariff_on
from clearing.pricing.shares import MediumTotal, Share, share_of
from clearing.pricing.subsidies import subsidy_minor
from clearing.pricing.terms import DayTariff
from clearing.pricing.walk import Priced, price_rides
from protocol.tap import PRODUCT_FAULT, PRODUCT_GROUP, PRODUCT_PASSES, PRODUCT_SINGLE

DAYS_MAX = 92
_NO_REACH = Reach(None, 0, 0, None)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Side:
    """The rides of a trial by one tariff.

    Attributes:
        revenue_minor: what riders bear.
        subsidy_minor: what payers of concessions owe.
        share_trips_percent, share_revenue_percent: cashless, by definitions `trips/1` and `revenue/1`.
    """

    trips: int
    revenue_minor: int
    subsidy_minor: int
    share_trips_percent: Decimal | None
    share_revenue_percent: Decimal | None


@dataclass(frozen=True)
class Outcome:
    """Who of a rider category would pay less, and who more.

    Attributes:
        media: that are known again, and rode in this category; what nobody knows again (cash) is in the revenue only.
        winners, winners_minor: media that would pay less, and by how much in all; `largest_win_minor` of one.
        losers, losers_minor, largest_loss_minor: the same of those that would pay more.
    """

    category: int
    trips: int
    media: int
    winners: int
    winners_minor: int
    largest_win_minor: int
    losers: int
    losers_minor: int
    largest_loss_minor: int
    revenue_before_minor: int
    revenue_after_minor: int


@dataclass(frozen=True)
class Trial:
    """What came out of a trial.

    Attributes:
        trips_not_taken: rides by media or in categories that the proposal does not price; they are in as they were.
        before, after: by the tariffs in force, and by the proposal.
    """

    city: str
    first_day: str
    last_day: str
    source: str
    trips_not_taken: int
    before: Side
    after: Side
    outcomes: tuple[Outcome, ...]

    @property
    def difference_minor(self) -> int:
        return self.after.revenue_minor - self.before.revenue_minor


@dataclass
class _Counting:
    """Totals of one side while they grow."""

    by_medium: dict[str, list[int]] = field(default_factory=dict)
    subsidy_minor: int = 0

    def add(self, priced: Priced, tariff: DayTariff) -> None:
        total = self.by_medium.setdefault(priced.facts.medium, [0, 0])
        total[0] += 1
        total[1] += priced.charged_minor
        self.subsidy_minor += subsidy_minor(priced, tariff)

    def side(self) -> Side:
        share: Share = share_of(MediumTotal(medium, *total) for medium, total in self.by_medium.items())
        return Side(share.trips, share.revenue_minor, self.subsidy_minor, share.trips_percent, share.revenue_percent)


@dataclass
class _Group:
    """A rider category while it grows."""

    trips: int = 0
    before_minor: int = 0
    after_minor: int = 0
    differences: list[int] = field(default_factory=list)

    def outcome(self, category: int) -> Outcome:
        won = [-each for each in self.differences if each < 0]
        lost = [each for each in self.differences if each > 0]
        return Outcome(
            category,
            self.trips,
            len(self.differences),
            len(won),
            sum(won),
            max(won, default=0),
            len(lost),
            sum(lost),
            max(lost, default=0),
            self.before_minor,
            self.after_minor,
        )


def try_tariff(
    session: Session,
    city: str,
    proposal: Proposal,
    days: tuple[str, str],
    *,
    dated: bool = False,
    progress: Progress = lambda _done, _all: None,
) -> Trial:
    """Price the rides of some days again under a proposed tariff; the session need only read.

    The proposal's newest tariff counts on all days (first and last are named); where `dated`, each day has the one of its date.
    `progress` is told how many records of how many are done.

    Raises:
        InvalidError: the days are none, or too many; or the proposal has no tariff for one of them.
    """
    first, last = days
    count = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    if not 1 <= count <= DAYS_MAX:
        raise InvalidError(f"{first} to {last} are {count} days", f"name 1 to {DAYS_MAX} days, the first one first")
    trial = _Trial(session, city, proposal, first, count, dated)
    records, done = count_records(session, city, first, last), 0
    rules = [tariff.rules for tariff in trial.now.values()]
    tap_off = next((each.tap_off for each in rules if each.tap_off is not None), None)
    found_rides = find_rides(session, city, Days(first, last, tap_off is not None), _NO_REACH, tap_off)
    fold = best_fold(records)
    for found in found_rides:
        trial.take(
            price_rides(found.rides, (), trial.now, trial.day_of, fold),
            price_rides([trial.as_proposed(ride) for ride in found.rides], (), trial.then, trial.day_of, fold),
        )
        done += found.records
        progress(done, records)
    return trial.result(first, last)


class _Trial:
    """A trial while it runs.

    Attributes:
        now, then: the tariff of each day as it is, and as proposed.
    """

    def __init__(self, session: Session, city: str, proposal: Proposal, first: str, count: int, dated: bool) -> None:
        self._city = city
        self._zone = city_of(session, city).zone
        self._source = proposal.source
        # A clock's doubt may touch the day before and the one after.
        days = [day_beside(first, number) for number in range(-1, count + 1)]
        self.now = {day: tariff_on(session, city, day) for day in days}
        self.then = {day: self._proposed(proposal, day, dated) for day in days}
        self._sides = (_Counting(), _Counting())
        self._groups: dict[int, _Group] = {}
        self._not_taken = 0

    @staticmethod
    def _proposed(proposal: Proposal, day: str, dated: bool) -> DayTariff:
        tariff = proposal.on(day) if dated else proposal.newest()
        if tariff is None:
            raise InvalidError(f"the proposal has no tariff for {day}", "date one so, or leave out --dated")
        return DayTariff(day, tariff.prices, tariff.rules, tariff.account_only)

    def day_of(self, moment_s: int) -> str:
        return service_day(self._zone, moment_s)

    def as_proposed(self, facts: RideFacts) -> RideFacts:
        """A ride as a bus with the proposed tariff would have told it: it takes what the rules say."""
        tariff, product = self.then[facts.day], facts.product or PRODUCT_SINGLE
        if (facts.medium, facts.category) not in tariff.prices or product == PRODUCT_FAULT:
            return facts
        if product >= PRODUCT_PASSES and not tariff.rules.passes:
            return facts  # neither tariff speaks of passes: it was one that is sold elsewhere
        keeps_product = product > PRODUCT_GROUP
        return facts._replace(taken_minor=FARE_MINOR_MAX, product=product if keeps_product else PRODUCT_SINGLE)

    def take(self, now: Iterable[Priced], then: Iterable[Priced]) -> None:
        """Count the rides of some media, which are all of these media's."""
        pairs = zip(sorted(now, key=_place), sorted(then, key=_place), strict=True)
        by_rider: dict[tuple[bytes, int], int] = {}
        for before, after in pairs:
            facts = before.facts
            self._sides[0].add(before, self.now[before.terms.day])
            self._sides[1].add(after, self.then[after.terms.day])
            self._not_taken += (facts.medium, facts.category) not in self.then[facts.day].prices
            group = self._groups.setdefault(facts.category, _Group())
            group.trips += 1
            group.before_minor += before.charged_minor
            group.after_minor += after.charged_minor
            if facts.token is not None:
                rider = (facts.token, facts.category)
                by_rider[rider] = by_rider.get(rider, 0) + after.charged_minor - before.charged_minor
        for (_, category), difference_minor in by_rider.items():
            self._groups[category].differences.append(difference_minor)

    def result(self, first: str, last: str) -> Trial:
        before, after = (side.side() for side in self._sides)
        outcomes = tuple(self._groups[category].outcome(category) for category in sorted(self._groups))
        return Trial(self._city, first, last, self._source, self._not_taken, before, after, outcomes)


def _place(priced: Priced) -> str:
    return priced.facts.key


def side_as_dict(side: Side) -> dict[str, Any]:
    """One side of a trial, for JSON."""
    return {
        "trips": side.trips,
        "revenue_minor": side.revenue_minor,
        "subsidy_minor": side.subsidy_minor,
        "cashless_share_trips_percent": as_number(side.share_trips_percent),
        "cashless_share_revenue_percent": as_number(side.share_revenue_percent),
    }


def trial_as_dict(trial: Trial) -> dict[str, Any]:
    """Everything that a trial says, for JSON."""
    return {
        "city": trial.city,
        "first_day": trial.first_day,
        "last_day": trial.last_day,
        "source": trial.source,
        "trips_not_taken": trial.trips_not_taken,
        "before": side_as_dict(trial.before),
        "after": side_as_dict(trial.after),
        "difference_minor": trial.difference_minor,
        "categories": [asdict(outcome) for outcome in trial.outcomes],
    }
