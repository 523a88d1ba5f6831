"""What can be done by reconciliation: hold a city's books against everybody's word, as of a service day. As often as one likes.

A run looks at the last three weeks. It believes all statements that are in force, settles with the acquirer what matches, and
keeps the list of breaks in step with what it finds. It books nothing: differences are booked by adjustments of two persons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.acquiring.items import StatementItem, settle
from clearing.network.service import city_of, lock_city, parties_of
from clearing.reconciliation.bank import ACQUIRER, accounts_of, day_in, is_remittance, party_of
from clearing.reconciliation.breaks import Changes, Found, Scope, at_risk_minor, keep_in_step
from clearing.reconciliation.importing import BANK, codes_of
from clearing.reconciliation.items import WON, Books
from clearing.reconciliation.matching import (
    CATEGORIES,
    DUPLICATE,
    MATCHED,
    NOT_MATCHED,
    UNKNOWN,
    UNSETTLED,
    Outcome,
    Policy,
    StoredLine,
    match,
)
from clearing.reconciliation.models import StatementLine, StatementRow
from clearing.reconciliation.witnesses import (
    TOP_UP,
    PartyResult,
    days_between,
    run_cash,
    run_dues,
    run_top_ups,
    shifted,
)

_KINDS = ("acquirer", "agent", "bank", "qr_provider", "sms_aggregator")
_BACK_DAYS = 21
_MARGIN_DAYS = 3
_BANK_WINDOW_DAYS = 5


@dataclass(frozen=True)
class RunResult:
    """What a run found.

    Attributes:
        at_risk_minor: the money of all breaks that nobody has explained.
    """

    city: str
    day: str
    parties: tuple[PartyResult, ...]
    at_risk_minor: int

    @property
    def opened(self) -> int:
        return sum(each.opened for each in self.parties)

    @property
    def vanished(self) -> int:
        return sum(each.vanished for each in self.parties)


def run(session: Session, caller: Caller, now_ms: int, city: str, day: str) -> RunResult:
    """Hold the books against statements, bank, tills and cards, as of the end of a service day."""
    must_reach(caller, "reconcile.run", city)
    lock_city(session, city)
    first = shifted(day, -_BACK_DAYS)
    found = [
        _run_party(session, caller, now_ms, Scope(city, kind, party, first, day))
        for kind in _KINDS
        for party in _parties_with_statements(session, city, kind)
    ]
    found += run_dues(session, now_ms, city, first, day)
    found += run_cash(session, now_ms, city, first, day)
    found.append(run_top_ups(session, now_ms, Scope(city, TOP_UP, "cards", first, day)))
    return RunResult(city, day, tuple(found), at_risk_minor(session, city))


def _parties_with_statements(session: Session, city: str, kind: str) -> list[str]:
    """Parties of a kind: those that the city names, and those of which there is a statement."""
    told = session.scalars(
        select(StatementRow.party).where(StatementRow.city == city, StatementRow.kind == kind).distinct()
    )
    return sorted({*codes_of(parties_of(session, city), kind), *told})


def _run_party(session: Session, caller: Caller, now_ms: int, scope: Scope) -> PartyResult:
    lines, covered = _lines(session, scope)
    books = Books(session, scope.city, shifted(scope.first_day, -_MARGIN_DAYS), shifted(scope.last_day, _MARGIN_DAYS))
    window_days = _BANK_WINDOW_DAYS if scope.kind == BANK else 2
    policy = Policy(scope.last_day, covered, window_days)
    stored = [stored for stored, _ in lines]
    outcomes = match(books.items(scope.kind, scope.party), stored, policy)
    if scope.kind == ACQUIRER:
        _settle(session, caller, now_ms, scope.city, outcomes, {each.place: row for each, row in lines})
    inside = [each for each in outcomes if scope.first_day <= each.day <= scope.last_day]
    breaks = [_found(scope, each) for each in inside if each.is_break]
    return _result(scope, inside, keep_in_step(session, scope, breaks, now_ms))


def _result(scope: Scope, outcomes: Iterable[Outcome], changes: Changes) -> PartyResult:
    counts, amounts = Counter(dict.fromkeys(CATEGORIES, 0)), Counter(dict.fromkeys(CATEGORIES, 0))
    for each in outcomes:
        counts[each.category] += 1
        amounts[each.category] += each.item.amount_minor if each.item else each.line.amount_minor if each.line else 0
    return PartyResult(scope.kind, scope.party, dict(counts), dict(amounts), changes.opened, changes.vanished)


def _lines(session: Session, scope: Scope) -> tuple[list[tuple[StoredLine, StatementLine]], frozenset[str]]:
    """One party's lines that count, and the days of which its statements tell."""
    first, last = shifted(scope.first_day, -_MARGIN_DAYS), shifted(scope.last_day, _MARGIN_DAYS)
    in_force = select(StatementRow.id, StatementRow.first_day, StatementRow.last_day).where(
        StatementRow.city == scope.city,
        StatementRow.kind == scope.kind,
        StatementRow.party == scope.party,
        StatementRow.replaced_by.is_(None),
    )
    statements = session.execute(in_force.where(StatementRow.last_day >= first, StatementRow.first_day <= last)).all()
    covered = {
        day for _, first_day, last_day in statements for day in days_between(max(first, first_day), min(last, last_day))
    }
    rows = session.scalars(
        select(StatementLine)
        .where(StatementLine.statement_id.in_([number for number, _, _ in statements]))
        .where(StatementLine.day.between(first, last))
        .order_by(StatementLine.statement_id, StatementLine.number, StatementLine.part)
    )
    accounts = accounts_of(parties_of(session, scope.city)) if scope.kind == BANK else {}
    lines = []
    for row in rows:
        if scope.kind == BANK and is_remittance(accounts, row.account, row.amount_minor):
            continue  # booked when it was imported, and held against what is due
        lines.append((_stored(scope.kind, row, accounts), row))
    return lines, frozenset(covered)


def _stored(kind: str, row: StatementLine, accounts: dict[str, tuple[str, str]]) -> StoredLine:
    reference, thing = row.reference, ""
    if kind == ACQUIRER:
        thing = WON if row.kind == "chargeback" and row.amount_minor > 0 else row.kind
    elif kind == BANK and (party_of(accounts, row.account) or ("",))[0] == ACQUIRER:
        # The bank's own number says nothing; what the acquirer pays out is known by the day in its text, or by its amount.
        named = day_in(row, row.day)
        reference = "" if named is None else f"{ACQUIRER} {named}"
    place = (row.statement_id, row.number * 10_000 + row.part)
    own = "" if kind == BANK else row.own_reference
    return StoredLine(place, reference, row.state, row.amount_minor, row.day, thing, own)


def _settle(
    session: Session,
    caller: Caller,
    now_ms: int,
    city: str,
    outcomes: Iterable[Outcome],
    rows: dict[tuple[int, int], StatementLine],
) -> None:
    """Let acquiring book what matches; it knows what it has booked before."""
    currency = city_of(session, city).currency
    items = []
    for each in outcomes:
        if each.category == MATCHED and each.line is not None and each.line.kind:
            row = rows[each.line.place]
            items.append(
                StatementItem(
                    row.reference, row.kind, row.amount_minor, row.fee_minor, currency, row.day, row.own_reference
                )
            )
    if items:
        settle(session, caller, now_ms, city, items)


def _found(scope: Scope, outcome: Outcome) -> Found:
    place = outcome.reference
    if outcome.item is None and outcome.line is not None and (not place or outcome.category == DUPLICATE):
        place = f"{place}#{outcome.nth}" if place else f"line {outcome.line.place[0]}.{outcome.line.place[1]}"
    thing = outcome.line.kind if outcome.line is not None else outcome.item.kind if outcome.item is not None else ""
    key = f"{scope.kind}/{scope.party}/{outcome.category}/{outcome.cause}/{thing}/{place}"
    cause = "bank_debit_unknown" if _is_debit_unknown(scope, outcome) else outcome.cause
    cause = "payer_unknown" if _is_payer_unknown(scope, outcome) else cause
    # What the books have and the other side lacks is negative, so that all breaks have one sign for one direction.
    sign = -1 if outcome.category in {UNSETTLED, "declined"} else 1
    amount_minor = sign * outcome.at_risk_minor
    return Found(scope.kind, scope.party, key, outcome.category, cause, outcome.reference, outcome.day, amount_minor)


def _is_alone_at_bank(scope: Scope, outcome: Outcome) -> bool:
    return scope.kind == BANK and outcome.item is None and outcome.category in {NOT_MATCHED, UNKNOWN}


def _is_debit_unknown(scope: Scope, outcome: Outcome) -> bool:
    return _is_alone_at_bank(scope, outcome) and outcome.at_risk_minor < 0


def _is_payer_unknown(scope: Scope, outcome: Outcome) -> bool:
    return _is_alone_at_bank(scope, outcome) and outcome.at_risk_minor > 0
