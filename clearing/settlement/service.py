"""What can be asked of settlement: closed days, what changed between their versions, proofs. `closing.py` makes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.acquiring import checks as checks_of_acquiring
from clearing.endpoint import ConflictError, NotFoundError
from clearing.fleet.keys import KeyStore
from clearing.ledger import checks as checks_of_entries
from clearing.ledger.chart import kind_of
from clearing.ledger.service import entries_by_prefix
from clearing.network.service import city_of, list_carriers, parties_of
from clearing.settlement import checks as checks_of_closes
from clearing.settlement.difference import Change, changes_between
from clearing.settlement.evidence import Proof, prove_leaf
from clearing.settlement.finality import FINAL, PROVISIONAL, state_of
from clearing.settlement.models import Close
from clearing.settlement.totals import CarrierTotal, Totals, totals_from_json

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
        state: `provisional` or `final`, at the moment when it was asked for; absent where nobody said when that is.
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
    state: str | None
    totals: Totals
    carriers: tuple[CarrierTotal, ...]
    entries: tuple[EntryView, ...]
    fares_difference_minor: int
    rides_difference: int


def is_final(session: Session, city: str, day: str, now_ms: int) -> bool:
    """Whether the time in which late taps change a day by themselves is over."""
    final_after_days = parties_of(session, city, day).close.final_after_days
    return state_of(city_of(session, city).zone, day, final_after_days, now_ms) == FINAL


def newest_close(session: Session, city: str, day: str, version: int | None = None) -> Close | None:
    """The row of the newest version of a day, or of the version asked for."""
    query = select(Close).where(Close.city == city, Close.service_day == day)
    if version is not None:
        query = query.where(Close.version == version)
    return session.scalar(query.order_by(Close.version.desc()).limit(1))


def show_close(
    session: Session, city: str, day: str, version: int | None = None, now_ms: int | None = None
) -> CloseView | None:
    """The newest version of a closed day, or the one asked for; nothing when there is none."""
    close = newest_close(session, city, day, version)
    return None if close is None else view_of(session, close, now_ms)


def close_of(session: Session, city: str, day: str, version: int | None = None, now_ms: int | None = None) -> CloseView:
    """The same, for a caller who names a close that must be there.

    Raises:
        NotFoundError: the day is not closed, or has no such version.
    """
    city_of(session, city)
    close = show_close(session, city, day, version, now_ms)
    if close is not None:
        return close
    newest = newest_close(session, city, day)
    if newest is not None:
        raise NotFoundError(f"{day} has no version {version} in {city}", f"the newest is version {newest.version}")
    raise NotFoundError(f"{day} is not closed in {city}", f"close it: jolaqy close run {day} --city {city}")


def document_of_close(session: Session, city: str, day: str, version: int | None = None) -> str:
    """The text of a close, as it was closed: its SHA-256 is the close's."""
    close_of(session, city, day, version)
    close = newest_close(session, city, day, version)
    assert close is not None
    return close.totals_json


def diff_closes(session: Session, city: str, day: str, before: int, after: int) -> list[Change]:
    """What changed from one version of a day to another."""
    return changes_between(close_of(session, city, day, before).totals, close_of(session, city, day, after).totals)


def prove_in_close(session: Session, keys: KeyStore, city: str, day: str, key: str) -> tuple[int, Proof]:
    """Prove that what has this key is under the root of the day's newest close; returns its version and the proof.

    Raises:
        NotFoundError: the day is not closed, or has no such leaf.
        ConflictError: the close has no root, or something has come since.
    """
    close = close_of(session, city, day)
    evidence = close.totals.evidence
    if evidence is None:
        raise ConflictError(f"the close of {day} has no root", "it was made without the service's keys, or long ago")
    proof = prove_leaf(session, keys, city, day, key)
    if proof.root.hex() != evidence.root:
        raise ConflictError(
            f"something has come to {day} since version {close.version}",
            f"close it once more, then prove: jolaqy close run {day} --city {city}",
        )
    return close.version, proof


def check_books(session: Session) -> list[str]:
    """Hold the books of all cities against every rule, those of acquiring and of settlement included."""
    checks = [*checks_of_entries.CHECKS, *checks_of_closes.CHECKS, *checks_of_acquiring.CHECKS]
    return [fault for check in checks for fault in check(session)]


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
    return [view_of(session, close, with_entries=False) for close in closes]


def newest_totals(session: Session, city: str, first_day: str, last_day: str) -> list[tuple[str, int, Totals]]:
    """Day, version and totals of the newest close of each closed day in a period, by day."""
    closes = session.scalars(
        select(Close)
        .where(Close.city == city, Close.service_day.between(first_day, last_day))
        .order_by(Close.service_day, Close.version)
    )
    newest = {close.service_day: close for close in closes}
    return [(day, close.version, totals_from_json(close.totals_json)) for day, close in newest.items()]


def view_of(session: Session, close: Close, now_ms: int | None = None, *, with_entries: bool = True) -> CloseView:
    """A close as it is shown; with the moment, it says whether it is final."""
    totals = totals_from_json(close.totals_json)
    before = newest_close(session, close.city, close.service_day, close.version - 1) if close.version > 1 else None
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
        state=None
        if now_ms is None
        else FINAL
        if is_final(session, close.city, close.service_day, now_ms)
        else PROVISIONAL,
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
