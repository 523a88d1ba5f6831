"""What is priced, read from the tables: taps and payments of days, with what earlier days say of the same media, some at a time.

All readings are sorted by token and walked side by side, so that a day of any size takes the memory of one part, and no medium is
torn apart: a medium's rides are always priced together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Executable, Select, func, select
from sqlalchemy.orm import Session

from clearing.channels.paid_rides import PaidRide, paid_rides
from clearing.ingest.models import TapRow
from clearing.pricing.models import Fare
from clearing.pricing.walk import Before
from protocol.tap import KIND_INTENT, KIND_OFF, KIND_ON, KIND_OUTCOME, KIND_SINGLE, KIND_TOP_UP

# Rows of a part: some 50 MB while they are priced.
PART_ROWS = 20_000
_FETCHED_AT_ONCE = 5_000
KINDS = (KIND_SINGLE, KIND_ON, KIND_OFF, KIND_INTENT, KIND_OUTCOME, KIND_TOP_UP)


class Tap(NamedTuple):
    """What pricing reads of a record, under the names of `TapRow`; a plain tuple, since a day has millions."""

    device_id: bytes
    epoch: int
    sequence: int
    kind: int
    medium: int | None
    token: bytes | None
    card_counter: int | None
    tapped_at_s: int
    rebased_at_s: int | None
    clock_quality: int
    product: int | None
    fare_minor: int | None
    category: int | None
    line: int | None
    stop: int | None
    decision: int | None
    reference_first: int | None
    test: bool
    carrier: str
    vehicle: str
    service_day: str
    received_at_ms: int

    @property
    def key(self) -> tuple[bytes, int, int]:
        return self[:3]


TAP_COLUMNS = tuple(getattr(TapRow, name) for name in Tap._fields)


class Payment(NamedTuple):
    """A ride that a channel was paid for, with its service day."""

    token: bytes
    day: str
    ride: PaidRide


@dataclass(frozen=True)
class Days:
    """Service days, both included.

    Attributes:
        have_tap_off: media are held twice on some of them.
    """

    first: str
    last: str
    have_tap_off: bool = False

    @property
    def count(self) -> int:
        return (date.fromisoformat(self.last) - date.fromisoformat(self.first)).days + 1

    def hold(self, day: str) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True)
class Part:
    """Some media with everything that pricing needs of them.

    Attributes:
        taps: their records of the days.
        payments: what channels were paid for.
        before: what fares of earlier days say.
    """

    taps: Sequence[Tap]
    payments: Sequence[Payment]
    before: Sequence[Before]


@dataclass(frozen=True)
class Reach:
    """How far back the rules look.

    Attributes:
        rides_from: the first service day whose single rides count; absent for none.
        since_s: the moment from which they do.
        until_s: the beginning of the day that is priced.
        sums_from: the first service day whose fares count towards a cap; absent for none.
    """

    rides_from: str | None
    since_s: int
    until_s: int
    sums_from: str | None


class _HasToken(Protocol):
    @property
    def token(self) -> bytes: ...


Row = TypeVar("Row", bound=_HasToken)


class _Sorted(Generic[Row]):
    """Rows sorted by token, taken up to a token at a time."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)

    def until(self, token: bytes | None) -> Iterator[Row]:
        """The rows up to and with a token; all that are left when none is named."""
        while self._next is not None and (token is None or self._next.token <= token):
            yield self._next
            self._next = next(self._rows, None)


def parts_of(session: Session, city: str, days: Days, reach: Reach) -> Iterator[Part]:
    """The media of some days, some at a time; what has no token comes last."""
    payments = _Sorted(sorted(_payments(session, city, days), key=lambda paid: paid.token))
    before = _Sorted(_rides_before(session, city, days.first, reach))
    sums = _Sorted(_sums_before(session, city, days.first, reach))
    named = _stream(session, _taps(city, days).where(TapRow.token.is_not(None)).order_by(TapRow.token))
    for taps in _runs(map(Tap._make, named)):
        last = taps[-1].token
        yield Part(taps, list(payments.until(last)), [*before.until(last), *sums.until(last)])
    yield Part((), list(payments.until(None)), [*before.until(None), *sums.until(None)])
    unnamed = _stream(session, _taps(city, days).where(TapRow.token.is_(None)))
    for some in _pieces(map(Tap._make, unnamed)):
        yield Part(some, (), ())


def _payments(session: Session, city: str, days: Days) -> list[Payment]:
    return [
        Payment(ride.token, day_beside(days.first, number), ride)
        for number in range(days.count)
        for ride in paid_rides(session, city, day_beside(days.first, number))
    ]


def _taps(city: str, days: Days) -> Select[*tuple[Any, ...]]:
    """Records of the days, and of the one after them the alightings that may end their rides."""
    wanted = TapRow.service_day.between(days.first, days.last) & TapRow.kind.in_(KINDS)
    if days.have_tap_off:
        wanted |= (TapRow.service_day == day_beside(days.last, 1)) & (TapRow.kind == KIND_OFF)
    return select(*TAP_COLUMNS).where(TapRow.city == city, wanted)


def _stream(session: Session, query: Executable) -> Iterator[Any]:
    return iter(session.execute(query, execution_options={"yield_per": _FETCHED_AT_ONCE}))


def _runs(rows: Iterable[Tap]) -> Iterator[list[Tap]]:
    """Parts of whole media."""
    part: list[Tap] = []
    for _, some in groupby(rows, key=lambda row: row.token):
        part += some
        if len(part) >= PART_ROWS:
            yield part
            part = []
    if part:
        yield part


def _pieces(rows: Iterator[Tap]) -> Iterator[list[Tap]]:
    for first in rows:
        piece = [first]
        for row in rows:
            piece.append(row)
            if len(piece) >= PART_ROWS:
                break
        yield piece


def untold_outcomes(session: Session, city: str, days: Days) -> list[Tap]:
    """Outcomes without a token, which may end a debit of any part."""
    query = _taps(city, days).where(TapRow.kind == KIND_OUTCOME, TapRow.token.is_(None))
    return list(map(Tap._make, session.execute(query)))


def _rides_before(session: Session, city: str, day: str, reach: Reach) -> Iterator[Before]:
    if reach.rides_from is None:
        return iter(())
    query = (
        select(Fare)
        .where(Fare.city == city, Fare.service_day >= reach.rides_from, Fare.service_day < day)
        .where(Fare.token.is_not(None), Fare.ridden_at_s.between(reach.since_s, reach.until_s))
        .with_only_columns(
            Fare.token,
            Fare.service_day,
            Fare.medium,
            Fare.category,
            Fare.carrier,
            Fare.vehicle,
            Fare.line,
            Fare.ridden_at_s,
            Fare.charged_minor,
            Fare.rule,
            Fare.source,
            Fare.source_key,
            Fare.journey_key,
            Fare.riders,
        )
        .order_by(Fare.token)
    )
    return map(_ride_before, _stream(session, query))


def _ride_before(row: Any) -> Before:  # noqa: ANN401 - a row of the columns above
    source, source_key, journey_key, riders = row[10:]
    return Before._make((*row[:10], f"{source}/{source_key}", journey_key or "", riders - 1))


def _sums_before(session: Session, city: str, day: str, reach: Reach) -> Iterator[Before]:
    """What each medium has paid by day, but for groups: caps belong to one person."""
    if reach.sums_from is None:
        return iter(())
    query = (
        select(Fare.token, Fare.service_day, Fare.medium, Fare.category, func.sum(Fare.charged_minor).label("charged"))
        .where(Fare.city == city, Fare.service_day >= reach.sums_from, Fare.service_day < day)
        .where(Fare.token.is_not(None), Fare.riders == 1, Fare.charged_minor > 0)
        .group_by(Fare.token, Fare.service_day, Fare.medium, Fare.category)
        .order_by(Fare.token)
    )
    return (
        Before(row.token, row.service_day, row.medium, row.category, "", "", None, 0, int(row.charged), "tariff")
        for row in _stream(session, query)
    )


def day_beside(day: str, days: int) -> str:
    """The service day so many days later."""
    return (date.fromisoformat(day) + timedelta(days)).isoformat()
