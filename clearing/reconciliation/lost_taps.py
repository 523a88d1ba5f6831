"""Two witnesses for lost taps: gaps in validators' sequences, and gaps in transport cards' own counters; in parts per million.

A validator counts every record that it writes. What became unreadable on its flash it reports as a lost range; what is missing
beside that is a hole. A transport card counts every commit, on whatever bus. A bank card's counter is no witness: it also counts
shops. A commit that nobody has seen lies between two that were seen; it is laid to a validator's charge only where both were seen
there. What a desk has loaded onto the card is a commit as well, and is taken off.

What is lost is worth what a stored record is worth on the average of that validator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.orm import Session

from clearing.channels.models import TopUp
from clearing.fleet.models import Validator
from clearing.ingest.models import TapRow
from clearing.media.models import PendingTopUp
from clearing.network.service import city_of
from clearing.pricing.models import Fare
from protocol.tap import KIND_INTENT, KIND_LOST_RANGE, KIND_TOP_UP, MEDIUM_TRANSPORT_CARD

_MILLION = 1_000_000
_CARDS_AT_ONCE = 500


@dataclass(frozen=True)
class ValidatorLoss:
    """What one validator has lost.

    Attributes:
        device: hexadecimal.
        records: stored of the days.
        reported, holes: records in lost ranges that it reported; sequence numbers that are missing beside.
        commits_missing: of cards, between two taps that were both on this validator.
    """

    device: str
    vehicle: str
    carrier: str
    records: int
    reported: int
    holes: int
    commits_missing: int
    at_risk_minor: int

    @property
    def lost(self) -> int:
        return self.reported + self.holes

    @property
    def ppm(self) -> int:
        return parts_per_million(self.lost, self.records)


@dataclass(frozen=True)
class LostTaps:
    """The report.

    Attributes:
        commits, commits_missing: of transport cards: seen, and not seen though counted; `commits_between` of the latter lie
            between two validators.
        commits_at_risk_minor: what the missing commits are worth by an average ride on a card.
    """

    validators: tuple[ValidatorLoss, ...]
    commits: int
    commits_missing: int
    commits_between: int
    commits_at_risk_minor: int

    @property
    def records(self) -> int:
        return sum(each.records for each in self.validators)

    @property
    def lost(self) -> int:
        return sum(each.lost for each in self.validators)

    @property
    def at_risk_minor(self) -> int:
        return sum(each.at_risk_minor for each in self.validators)

    @property
    def ppm(self) -> int:
        return parts_per_million(self.lost, self.records)

    @property
    def commits_ppm(self) -> int:
        return parts_per_million(self.commits_missing, self.commits)


def parts_per_million(lost: int, kept: int) -> int:
    """What was lost of all, rounded to the nearest; 0 where there was nothing."""
    return (lost * _MILLION * 2 + lost + kept) // (2 * (lost + kept)) if lost + kept else 0


def lost_taps(session: Session, city: str, first_day: str, last_day: str) -> LostTaps:
    """What validators and cards say was lost of some service days, both included."""
    city_of(session, city)
    days = and_(TapRow.city == city, TapRow.service_day.between(first_day, last_day))
    commits, gaps = _card_gaps(session, days)
    missing, between = _laid_to_charge(session, gaps)
    fares = _fares(session, city, first_day, last_day)
    validators = []
    for device, records, reported, holes in session.execute(_sequence_gaps(days)):
        validator = session.get_one(Validator, device)
        lost = int(reported) + int(holes)
        validators.append(
            ValidatorLoss(
                device.hex(),
                validator.vehicle,
                validator.carrier,
                records,
                int(reported),
                int(holes),
                missing.get(device, 0),
                lost * fares.get(device, 0) // records,
            )
        )
    total = sum(missing.values()) + between
    card_minor = _card_fare(session, city, first_day, last_day)
    validators.sort(key=lambda each: (-each.ppm, each.device))
    return LostTaps(tuple(validators), commits, total, between, total * card_minor)


def _sequence_gaps(days: ColumnElement[bool]) -> Select[bytes, int, int, int]:
    """Records, records reported lost and sequence numbers missing, by validator."""
    last = case((TapRow.kind == KIND_LOST_RANGE, TapRow.reference_last), else_=TapRow.sequence)
    before = func.lag(last).over(partition_by=(TapRow.device_id, TapRow.epoch), order_by=TapRow.sequence)
    is_lost = TapRow.kind == KIND_LOST_RANGE
    steps = (
        select(
            TapRow.device_id.label("device_id"),
            case((is_lost, 0), else_=1).label("record"),
            case((is_lost, TapRow.reference_last - TapRow.sequence + 1), else_=0).label("reported"),
            func.coalesce(TapRow.sequence - before - 1, 0).label("hole"),
        )
        .where(days)
        .subquery()
    )
    return (
        select(
            steps.c.device_id,
            func.sum(steps.c.record),
            func.sum(steps.c.reported),
            func.sum(case((steps.c.hole > 0, steps.c.hole), else_=0)),
        )
        .group_by(steps.c.device_id)
        .order_by(steps.c.device_id)
    )


@dataclass(frozen=True)
class _Gap:
    """Commits of a card that nobody has seen, between two that were."""

    token: bytes
    missing: int
    before: bytes
    after: bytes
    from_s: int
    until_s: int


def _card_gaps(session: Session, days: ColumnElement[bool]) -> tuple[int, list[_Gap]]:
    """How many commits of transport cards were seen, and where some were not."""
    # Of several tries at one counter the first counts.
    order = (TapRow.tapped_at_s, TapRow.device_id, TapRow.epoch, TapRow.sequence)
    nth = func.row_number().over(partition_by=(TapRow.token, TapRow.card_counter), order_by=order)
    tries = (
        select(
            TapRow.token.label("token"),
            TapRow.card_counter.label("counter"),
            TapRow.device_id.label("device"),
            TapRow.tapped_at_s.label("at_s"),
            nth.label("nth"),
        )
        .where(days, TapRow.kind.in_((KIND_INTENT, KIND_TOP_UP)), TapRow.medium == MEDIUM_TRANSPORT_CARD)
        .where(TapRow.token.is_not(None), TapRow.card_counter.is_not(None))
        .subquery()
    )
    seen = select(tries).where(tries.c.nth == 1).subquery()

    def before(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.lag(column).over(partition_by=seen.c.token, order_by=seen.c.counter)

    steps = select(
        seen.c.token,
        (seen.c.counter - before(seen.c.counter) - 1).label("missing"),
        before(seen.c.device).label("before"),
        seen.c.device.label("after"),
        before(seen.c.at_s).label("from_s"),
        seen.c.at_s.label("until_s"),
    ).subquery()
    commits = session.scalar(select(func.count()).select_from(seen)) or 0
    rows = session.execute(select(steps).where(steps.c.missing > 0).order_by(steps.c.token, steps.c.until_s))
    return commits, [_Gap(*row) for row in rows]


def _laid_to_charge(session: Session, gaps: Sequence[_Gap]) -> tuple[dict[bytes, int], int]:
    """Missing commits by the validator that saw both neighbours, and those between two; loads at a desk are taken off."""
    loads = _desk_loads(session, sorted({gap.token for gap in gaps}))
    missing: dict[bytes, int] = {}
    between = 0
    for gap in gaps:
        at_desk = sum(gap.from_s < at_s <= gap.until_s for at_s in loads.get(gap.token, ()))
        unseen = max(0, gap.missing - at_desk)
        if gap.before == gap.after:
            missing[gap.before] = missing.get(gap.before, 0) + unseen
        else:
            between += unseen
    return missing, between


def _desk_loads(session: Session, tokens: Sequence[bytes]) -> dict[bytes, list[int]]:
    """When cards were loaded by agents, by token."""
    on_bus = select(PendingTopUp.top_up_id)
    found: dict[bytes, list[int]] = {}
    for start in range(0, len(tokens), _CARDS_AT_ONCE):
        some = tokens[start : start + _CARDS_AT_ONCE]
        rows = session.execute(select(TopUp.token, TopUp.at_s).where(TopUp.token.in_(some), TopUp.id.not_in(on_bus)))
        for token, at_s in rows:
            found.setdefault(token, []).append(at_s)
    return found


def _fares(session: Session, city: str, first_day: str, last_day: str) -> dict[bytes, int]:
    """Fares by validator."""
    rows = session.execute(
        select(Fare.device_id, func.sum(Fare.charged_minor))
        .where(Fare.city == city, Fare.service_day.between(first_day, last_day), Fare.device_id.is_not(None))
        .group_by(Fare.device_id)
    )
    return {device: int(fares_minor) for device, fares_minor in rows if device is not None}


def _card_fare(session: Session, city: str, first_day: str, last_day: str) -> int:
    """What a ride by transport card costs on the average, rounded down."""
    rides, fares_minor = session.execute(
        select(func.count(), func.coalesce(func.sum(Fare.charged_minor), 0)).where(
            Fare.city == city, Fare.service_day.between(first_day, last_day), Fare.medium == "transport_card"
        )
    ).one()
    return int(fares_minor) // rides if rides else 0
