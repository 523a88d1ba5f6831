"""Mutants of the evening: pricing, ledger, close."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import update

from clearing.endpoint import ConflictError
from clearing.ingest.models import TapRow
from clearing.ledger.service import book_all, entries_by_prefix
from clearing.settlement.booking import entries_between
from clearing.settlement.closing import run_close
from clearing.settlement.service import show_close
from protocol.tap import KIND_OUTCOME, MEDIUM_CASH
from simulator.chaos.mutants.mutant import Mutants

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from simulator.chaos.parts import Parts

CLOSING = Mutants()
_mutant = CLOSING.needing


@_mutant()
def close_counts_twice(parts: Parts) -> None:
    """The entries of a close are booked again under other keys, as when a migration posts old taps anew (OMNY, 2024)."""

    def close(session: Session, city: str, day: str, principal_id: str, now_ms: int) -> None:
        view = run_close(session, city, day, principal_id, now_ms)
        entries = entries_by_prefix(session, f"close/{city}/{day}/{view.version}/")
        book_all(session, [replace(entry, entry_key=f"{entry.entry_key}/again") for entry in entries], now_ms)

    parts.office.close = close


@_mutant("late_bus")
def late_tap_ignored(parts: Parts) -> None:
    """A closed day is closed: what a bus brings home later is in no books."""

    def close(session: Session, city: str, day: str, principal_id: str, now_ms: int) -> None:
        if show_close(session, city, day) is not None:
            raise ConflictError("closed", "")
        run_close(session, city, day, principal_id, now_ms)

    parts.office.close = close


@_mutant("late_bus")
def second_version_books_the_whole_day(parts: Parts) -> None:
    """A corrected close is booked beside the first one, instead of the difference."""

    def close(session: Session, city: str, day: str, principal_id: str, now_ms: int) -> None:
        view = run_close(session, city, day, principal_id, now_ms)
        if view.version > 1:
            book_all(session, entries_between(city, day, 1000 + view.version, None, view.totals), now_ms)

    parts.office.close = close


@_mutant("torn", "cut_in_tap", "walks_away")
def outcome_lost_is_ride_lost(parts: Parts) -> None:
    """Only a debit whose outcome was recorded at once is cleared; what the card's counter proves later is not asked."""

    def close(session: Session, city: str, day: str, principal_id: str, now_ms: int) -> None:
        # Without their counters, the debits prove nothing about each other.
        session.execute(update(TapRow).where(TapRow.kind != KIND_OUTCOME).values(card_counter=None))
        run_close(session, city, day, principal_id, now_ms)

    parts.office.close = close


@_mutant()
def cash_is_not_cleared(parts: Parts) -> None:
    """A medium without a token is taken for a fault, and its rides fall out of the day."""

    def close(session: Session, city: str, day: str, principal_id: str, now_ms: int) -> None:
        session.execute(update(TapRow).where(TapRow.medium == MEDIUM_CASH).values(test=True))
        run_close(session, city, day, principal_id, now_ms)

    parts.office.close = close
