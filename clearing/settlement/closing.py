"""How a day is closed: priced, frozen, booked, and checked. A version that was made is never changed."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from clearing.access.service import record_audit
from clearing.endpoint import ConflictError, InvalidError, RefusedError
from clearing.fleet.keys import KeyStore
from clearing.ingest.settling import clean, dirty_days
from clearing.ledger.checks import check_ledger
from clearing.ledger.service import book_all
from clearing.network.service import lock_city
from clearing.network.service_day import day_end_s
from clearing.pricing.dirt import forget_fares
from clearing.pricing.proving import prove_day
from clearing.pricing.service import price_day
from clearing.settlement.booking import entries_between
from clearing.settlement.checks import check_day
from clearing.settlement.gathering import gather_adjustments, gather_totals
from clearing.settlement.models import Close
from clearing.settlement.service import CloseView, is_final, newest_close, view_of
from clearing.settlement.totals import Totals, document_of, sha256_of, totals_from_json


@dataclass(frozen=True)
class Hand:
    """Who closes, when, and with what.

    Attributes:
        keys: of the service, where they are at hand: rides are proved with them, and a close gets its root.
    """

    principal_id: str
    now_ms: int
    keys: KeyStore | None = None


def run_close(
    session: Session, city: str, day: str, principal_id: str, now_ms: int, keys: KeyStore | None = None
) -> CloseView:
    """Price the day, prove its rides, freeze its totals, book its entries; late taps make a further version.

    Rides are proved where the service's keys are at hand: those that a transport card has not signed go to the exceptions.

    Closes of one city queue, so that two at the same moment make one version, and the second is a conflict. A tap that has
    moved between days since they were closed is taken off one and put on the other in the same transaction, and so is what a
    change of one day does to later ones.

    Raises:
        InvalidError: the day is not over.
        ConflictError: it is closed already, and nothing has come since; or it is final.
        RefusedError: the books would not keep their rules.
    """
    if now_ms < day_end_s(lock_city(session, city).zone, day) * 1000:
        raise InvalidError(f"the service day {day} is not over", "close it after 03:00 of the next morning")
    before = newest_close(session, city, day)
    if before is not None and is_final(session, city, day, now_ms):
        raise ConflictError(
            f"{day} is final: what came late needs two persons",
            f"ask for it: jolaqy adjustment request {day} --late --reason … --city {city}",
        )
    close = close_with_others(session, city, day, Hand(principal_id, now_ms, keys))
    if close is None:
        raise ConflictError(
            f"{day} of {city} is closed already, in version {before.version if before else 1}",
            f"look at it: jolaqy close show {day} --city {city}",
        )
    return view_of(session, close, now_ms)


def close_with_others(session: Session, city: str, day: str, hand: Hand) -> Close | None:
    """Close a day, and once more those closed days from which or to which taps have moved, oldest first.

    Returns the day's new version; nothing when it says the same as the one before.
    """
    marks = dirty_days(session, city)
    waiting = {day, *(marked for marked in marks if _may_change(session, city, marked, hand.now_ms))}
    if marks:
        # A tap has one fare: it must be gone from every day before any of them gets it.
        forget_fares(session, city, {*waiting, *marks})
    made: dict[str, Close | None] = {}
    while waiting:
        each = min(waiting)
        waiting.remove(each)
        made[each] = next_version(session, city, each, hand)
        later = [marked for marked in dirty_days(session, city) if marked > each]
        waiting |= {marked for marked in later if _may_change(session, city, marked, hand.now_ms)}
    _clean(session, city, marks, made)
    return made[day]


def _clean(session: Session, city: str, marks: Mapping[str, int], made: Container[str]) -> None:
    """Take the marks off, those that earlier days have set meanwhile included: every day is up to date now.

    A final day has its fares again, and its close as it was: what moved is on the exceptions list, for two persons.
    """
    for marked in marks:
        if marked not in made and newest_close(session, city, marked) is not None:
            price_day(session, city, marked)
    for marked, count in dirty_days(session, city).items():
        clean(session, city, marked, count)


def _may_change(session: Session, city: str, day: str, now_ms: int) -> bool:
    return newest_close(session, city, day) is not None and not is_final(session, city, day, now_ms)


def next_version(session: Session, city: str, day: str, hand: Hand) -> Close | None:
    """A further version of a day, or its first, priced anew; nothing when it says the same as the one before."""
    priced = price_day(session, city, day)
    if hand.keys is not None:
        prove_day(session, hand.keys, city, day, hand.now_ms)
    return add_version(session, city, day, hand, gather_totals(session, city, day, priced, hand.keys))


def next_version_as_it_was(session: Session, city: str, day: str, hand: Hand) -> Close | None:
    """A further version of a final day: the one before, with the adjustments that were approved since."""
    before = newest_close(session, city, day)
    assert before is not None, "a day that was never closed is priced"
    totals = replace(totals_from_json(before.totals_json), adjustments=gather_adjustments(session, city, day))
    return add_version(session, city, day, hand, totals)


def add_version(session: Session, city: str, day: str, hand: Hand, totals: Totals) -> Close | None:
    before = newest_close(session, city, day)
    old = totals_from_json(before.totals_json) if before else None
    if old == totals:
        return None
    version = before.version + 1 if before else 1
    entries = entries_between(city, day, version, old, totals)
    text = document_of(city, day, version, totals, entries)
    close = Close(
        city=city,
        service_day=day,
        version=version,
        closed_at_ms=hand.now_ms,
        closed_by=hand.principal_id,
        totals_json=text,
        sha256=sha256_of(text),
    )
    session.add(close)
    session.flush()
    book_all(session, entries, hand.now_ms)
    faults = [*check_ledger(session, city), *check_day(session, close)]
    if faults:
        raise RefusedError(
            409,
            "books_broken",
            f"the books would not keep their rules: {'; '.join(faults)}",
            "run: jolaqy ledger check",
        )
    subject = f"{city}/{day}/{version}"
    record_audit(session, hand.principal_id, hand.now_ms, "close.run", subject, {"sha256": close.sha256})
    return close
