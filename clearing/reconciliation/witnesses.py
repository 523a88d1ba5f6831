"""What a run looks at beside statements: whether parties pay, cash in tills, top-ups on cards. Each keeps its breaks in step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.channels.standing import PartyDues, Told, list_dues
from clearing.channels.top_up_check import LOADED_NOT_SOLD
from clearing.channels.top_up_report import top_up_report
from clearing.network.service import list_carriers, parties_of
from clearing.reconciliation.breaks import Found, Scope, keep_in_step
from clearing.reconciliation.cash import CASH, cash_breaks, cash_of_day
from clearing.reconciliation.items import Books
from clearing.reconciliation.matching import NOT_MATCHED, UNKNOWN, UNSETTLED
from clearing.reconciliation.models import StatementLine, StatementRow
from clearing.statements.statement import REFUNDED, SETTLED

TOP_UP = "top_up"


@dataclass(frozen=True)
class PartyResult:
    """What a run found of one party.

    Attributes:
        counts, amounts_minor: items and lines by category.
    """

    kind: str
    party: str
    counts: dict[str, int]
    amounts_minor: dict[str, int]
    opened: int
    vanished: int


def shifted(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def days_between(first: str, last: str) -> Iterator[str]:
    day = first
    while day <= last:
        yield day
        day = shifted(day, 1)


def run_dues(session: Session, now_ms: int, city: str, first: str, day: str) -> list[PartyResult]:
    """What parties should have paid to the bank by now, and what they paid beyond that."""
    # A bank may be provider and agent under one code.
    by_party: dict[str, list[Found]] = {}
    for party in list_dues(session, city, _told(session, city)):
        by_party.setdefault(party.party, []).extend(_due_breaks(party, first, day))
    results = []
    for code, breaks in sorted(by_party.items()):
        changes = keep_in_step(session, Scope(city, "remittance", code, first, day), breaks, now_ms)
        results.append(PartyResult("remittance", code, {}, {}, changes.opened, changes.vanished))
    return results


def _due_breaks(party: PartyDues, first: str, day: str) -> Iterator[Found]:
    cause = "not_banked" if party.party_kind == "carrier" else "not_remitted"
    for due in party.dues:
        if due.is_overdue(day) and first <= due.service_day:
            yield _remittance_break(party.party_kind, party.party, cause, due.service_day, -due.open_minor)
    if party.beyond_minor:
        yield _remittance_break(party.party_kind, party.party, "overpaid", day, party.beyond_minor)


def _told(session: Session, city: str) -> Told:
    """What parties say in their statements to have taken and kept, by day."""
    rows = session.execute(
        select(
            StatementRow.kind,
            StatementRow.party,
            StatementLine.day,
            StatementLine.state,
            func.sum(StatementLine.amount_minor),
            func.sum(StatementLine.fee_minor),
        )
        .join(StatementLine, StatementLine.statement_id == StatementRow.id)
        .where(StatementRow.city == city, StatementRow.replaced_by.is_(None))
        .where(StatementRow.kind.in_(("agent", "qr_provider", "sms_aggregator")))
        .where(StatementLine.state.in_((SETTLED, REFUNDED)))
        .group_by(StatementRow.kind, StatementRow.party, StatementLine.day, StatementLine.state)
    )
    told: dict[tuple[str, str], dict[str, tuple[int, int | None]]] = {}
    for kind, party, day, state, gross_minor, fee_minor in rows:
        sign = 1 if state == SETTLED else -1
        days = told.setdefault((kind, party), {})
        before_minor, fees_minor = days.get(day, (0, None))
        fees_minor = (fees_minor or 0) + sign * int(fee_minor) if fee_minor or fees_minor else None
        days[day] = (before_minor + sign * int(gross_minor), fees_minor)
    return told


def _remittance_break(party_kind: str, party: str, cause: str, day: str, amount_minor: int) -> Found:
    category = NOT_MATCHED if cause == "overpaid" else UNSETTLED
    # Money beyond what was due is one break, however long it lasts.
    place = "" if cause == "overpaid" else day
    key = f"remittance/{party_kind}/{party}/{cause}/{place}"
    return Found("remittance", party, key, category, cause, f"{party_kind} {day}", day, amount_minor)


def run_cash(session: Session, now_ms: int, city: str, first: str, day: str) -> list[PartyResult]:
    by_carrier: dict[str, list[Found]] = {carrier.code: [] for carrier in list_carriers(session, city)}
    for each in days_between(first, day):
        for found in cash_breaks(cash_of_day(session, city, each), parties_of(session, city, each).cash, each, day):
            by_carrier.setdefault(found.party, []).append(found)
    results = []
    for carrier, breaks in sorted(by_carrier.items()):
        changes = keep_in_step(session, Scope(city, CASH, carrier, first, day), breaks, now_ms)
        results.append(PartyResult(CASH, carrier, {}, {}, changes.opened, changes.vanished))
    return results


def run_top_ups(session: Session, now_ms: int, scope: Scope) -> PartyResult:
    """What was sold for cards and is not on them, and the other way round."""
    report = top_up_report(session, scope.city, scope.first_day, scope.last_day)
    books = Books(session, scope.city, scope.first_day, scope.last_day)
    breaks = []
    for each in report.differences:
        day = min(max(books.day(each.at_s), scope.first_day), scope.last_day)
        category = UNKNOWN if each.kind == LOADED_NOT_SOLD else UNSETTLED
        sign = 1 if each.kind == LOADED_NOT_SOLD else -1
        key = f"{TOP_UP}/{each.kind}/{each.token.hex()}/{each.reference}/{each.at_s}"
        breaks.append(
            Found(TOP_UP, scope.party, key, category, each.kind, each.reference, day, sign * each.amount_minor)
        )
    changes = keep_in_step(session, scope, breaks, now_ms)
    return PartyResult(TOP_UP, scope.party, {}, {}, changes.opened, changes.vanished)
