"""What can be done by settlement: close a service day, look at a close. A closed version is never changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from clearing.access.service import record_audit
from clearing.channels.models import TopUp
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.fleet.keys import KeyStore
from clearing.ingest.models import TapException, TapRow
from clearing.ingest.settling import clean, dirty_days
from clearing.ledger.chart import kind_of
from clearing.ledger.service import book_all, entries_by_prefix
from clearing.network.service import city_of, list_carriers, lock_city
from clearing.network.service_day import day_end_s
from clearing.pricing.models import Fare
from clearing.pricing.proving import prove_day
from clearing.pricing.service import PricedDay, price_day
from clearing.settlement.models import Close
from clearing.settlement.totals import CarrierTotal, Totals, entries_between, sha256_of, sum_lines, totals_from_json
from protocol.tap import KIND_REFUSED

VERSION_MAX = 10_000
_LANGUAGE = "en"


@dataclass(frozen=True)
class EntryView:
    """A booked entry.

    Attributes:
        postings: (account, kind of account, amount in tiyn).
    """

    entry_key: str
    description: str
    postings: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class CloseView:
    """A version of a closed day.

    Attributes:
        totals: what it says.
        carriers: totals by carrier, with names.
        entries: what this version has booked.
        fares_difference_minor, rides_difference: against the version before; against nothing for version 1.
    """

    city: str
    day: str
    version: int
    closed_at_ms: int
    closed_by: str
    sha256: str
    totals: Totals
    carriers: tuple[CarrierTotal, ...]
    entries: tuple[EntryView, ...]
    fares_difference_minor: int
    rides_difference: int


def run_close(
    session: Session, city: str, day: str, principal_id: str, now_ms: int, keys: KeyStore | None = None
) -> CloseView:
    """Price the day, prove its rides, freeze its totals, book its entries; late taps make a further version.

    Rides are proved where the service's keys are at hand: those that a transport card has not signed go to the exceptions.

    Closes of one city queue, so that two at the same moment make one version, and the second is a conflict. A tap that has
    moved between days since they were closed is taken off one and put on the other in the same transaction.

    Raises:
        InvalidError: the day is not over.
        ConflictError: it is closed already, and nothing has come since.
    """
    if now_ms < day_end_s(lock_city(session, city).zone, day) * 1000:
        raise InvalidError(f"the service day {day} is not over", "close it after 03:00 of the next morning")
    _close_moved_days(session, city, day, principal_id, now_ms, keys)
    close = _next_version(session, city, day, principal_id, now_ms, keys)
    if close is None:
        before = _newest(session, city, day)
        raise ConflictError(
            f"{day} is closed already, in version {before.version if before else 1}",
            f"look at it: jolaqy close show {day} --city {city}",
        )
    return _view(session, close)


def _close_moved_days(
    session: Session, city: str, day: str, principal_id: str, now_ms: int, keys: KeyStore | None
) -> None:
    """Close once more what was closed of other days from which or to which taps have moved."""
    marks = dirty_days(session, city)
    closed = [moved for moved in sorted(marks) if moved != day and _newest(session, city, moved) is not None]
    # A tap has one fare: it must be gone from every day before any of them gets it.
    session.execute(delete(Fare).where(Fare.city == city, Fare.service_day.in_([*closed, day])))
    for moved in closed:
        _next_version(session, city, moved, principal_id, now_ms, keys)
    for moved, count in marks.items():
        clean(session, city, moved, count)


def _next_version(
    session: Session, city: str, day: str, principal_id: str, now_ms: int, keys: KeyStore | None
) -> Close | None:
    """A further version of a day, or its first; nothing when it says the same as the one before."""
    before = _newest(session, city, day)
    priced = price_day(session, city, day)
    if keys is not None:
        prove_day(session, keys, city, day, now_ms)
    totals = _totals(session, city, day, priced)
    text = totals.to_json()
    if before is not None and before.totals_json == text:
        return None
    version = before.version + 1 if before else 1
    old = totals_from_json(before.totals_json) if before else None
    close = Close(
        city=city,
        service_day=day,
        version=version,
        closed_at_ms=now_ms,
        closed_by=principal_id,
        totals_json=text,
        sha256=sha256_of(text),
    )
    session.add(close)
    session.flush()
    book_all(session, entries_between(city, day, version, old, totals), now_ms)
    record_audit(session, principal_id, now_ms, "close.run", f"{city}/{day}/{version}", {"sha256": close.sha256})
    return close


def _totals(session: Session, city: str, day: str, priced: PricedDay) -> Totals:
    lines = session.execute(
        select(Fare.carrier, Fare.medium, func.count(), func.sum(Fare.charged_minor), func.sum(Fare.correction_minor))
        .where(Fare.city == city, Fare.service_day == day)
        .group_by(Fare.carrier, Fare.medium)
    )
    top_ups, top_ups_minor = session.execute(
        select(func.count(), func.coalesce(func.sum(TopUp.amount_minor), 0)).where(
            TopUp.city == city, TopUp.service_day == day
        )
    ).one()
    return Totals(
        lines=sum_lines(
            (carrier, medium, trips, int(fare), int(extra)) for carrier, medium, trips, fare, extra in lines
        ),
        refused=_count(session, TapRow, city, day, TapRow.kind == KIND_REFUSED, TapRow.test.is_(False)),
        unknown=priced.unknown,
        unknown_minor=priced.unknown_minor,
        exceptions=_count(session, TapException, city, day),
        top_ups=top_ups,
        top_ups_minor=int(top_ups_minor),
    )


def _count(session: Session, table: type[TapRow | TapException], city: str, day: str, *conditions: object) -> int:
    query = select(func.count()).select_from(table).where(table.city == city, table.service_day == day)
    for condition in conditions:
        query = query.where(condition)  # type: ignore[arg-type]
    return session.scalar(query) or 0


def _newest(session: Session, city: str, day: str, version: int | None = None) -> Close | None:
    query = select(Close).where(Close.city == city, Close.service_day == day)
    if version is not None:
        query = query.where(Close.version == version)
    return session.scalar(query.order_by(Close.version.desc()).limit(1))


def show_close(session: Session, city: str, day: str, version: int | None = None) -> CloseView | None:
    """The newest version of a closed day, or the one asked for; nothing when there is none."""
    close = _newest(session, city, day, version)
    return None if close is None else _view(session, close)


def close_of(session: Session, city: str, day: str, version: int | None = None) -> CloseView:
    """The same, for a caller who names a close that must be there.

    Raises:
        NotFoundError: the day is not closed, or has no such version.
    """
    city_of(session, city)
    close = show_close(session, city, day, version)
    if close is not None:
        return close
    newest = _newest(session, city, day)
    if newest is not None:
        raise NotFoundError(f"{day} has no version {version} in {city}", f"the newest is version {newest.version}")
    raise NotFoundError(f"{day} is not closed in {city}", f"close it: jolaqy close run {day} --city {city}")


def list_closes(session: Session, city: str, limit: int = 400) -> list[CloseView]:
    """The newest version of each closed day, newest day first; their entries are left out."""
    newest = (
        select(Close.service_day, func.max(Close.version).label("version"))
        .where(Close.city == city)
        .group_by(Close.service_day)
        .subquery()
    )
    closes: Sequence[Close] = session.scalars(
        select(Close)
        .join(newest, (Close.service_day == newest.c.service_day) & (Close.version == newest.c.version))
        .where(Close.city == city)
        .order_by(Close.service_day.desc())
        .limit(limit)
    ).all()
    return [_view(session, close, with_entries=False) for close in closes]


def _view(session: Session, close: Close, *, with_entries: bool = True) -> CloseView:
    totals = totals_from_json(close.totals_json)
    before = _newest(session, close.city, close.service_day, close.version - 1) if close.version > 1 else None
    old = totals_from_json(before.totals_json) if before else None
    prefix = f"close/{close.city}/{close.service_day}/{close.version}/"
    entries = entries_by_prefix(session, prefix) if with_entries else []
    return CloseView(
        city=close.city,
        day=close.service_day,
        version=close.version,
        closed_at_ms=close.closed_at_ms,
        closed_by=close.closed_by,
        sha256=close.sha256,
        totals=totals,
        carriers=tuple(totals.carriers(carrier_names(session, close.city, _LANGUAGE))),
        entries=tuple(
            EntryView(
                entry.entry_key,
                entry.description,
                tuple((posting.account, kind_of(posting.account), posting.amount_minor) for posting in entry.postings),
            )
            for entry in entries
        ),
        fares_difference_minor=totals.fares_minor - (old.fares_minor if old else 0),
        rides_difference=totals.rides - (old.rides if old else 0),
    )


def carrier_names(session: Session, city: str, language: str) -> dict[str, str]:
    """Names of a city's carriers by code."""
    return {
        carrier.code: json.loads(carrier.names_json).get(language, carrier.code)
        for carrier in list_carriers(session, city)
    }
