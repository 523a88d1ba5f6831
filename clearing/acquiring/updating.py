"""Lets charges say what their facts say, and books what that changes, in the transaction of the facts.

Whoever adds a line or an operation, or learns how one ended, calls `update_charges` before the transaction ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.acquiring.flows import Change, Legs, Position, entry_for, flows_of
from clearing.acquiring.models import AcquirerOperation, BankCard, Charge, ChargeLine
from clearing.acquiring.states import (
    AUTHORISE,
    AUTHORISED,
    CLOSED,
    DEBT,
    DEBT_FINAL,
    DONE,
    OPEN,
    REFUND,
    REFUSED,
    Operation,
    Standing,
    standing_of,
)
from clearing.acquiring.terms import Terms
from clearing.acquiring.tries import is_over, planned_ms
from clearing.ledger.chart import losses_account, payable_account
from clearing.ledger.models import EntryRow
from clearing.ledger.service import book_all
from clearing.money import split_minor
from clearing.network.service_day import service_day

ISSUER = "issuer"
OPERATOR = "operator"
# A refund that is refused is asked for again the next day, so often; then a person must see to it.
REFUNDS_REFUSED_MAX = 6
DAY_MS = 86_400_000
_AT_ONCE = 500


def position_of(charge: Charge) -> Position:
    """What a charge says of what is booked about it."""
    return Position(
        charge.owed_minor,
        json.loads(charge.borne_json),
        charge.let_off_minor,
        charge.disputed_minor + charge.lost_minor,
        charge.lost_minor,
        charge.settled_minor,
        charge.fee_minor,
    )


def facts_of(operations: Iterable[AcquirerOperation]) -> list[Operation]:
    """Operations as the rules look at them."""
    return [
        Operation(each.reference, each.kind, each.number, each.amount_minor, each.outcome, each.original)
        for each in operations
    ]


def standing_now(charge: Charge, operations: Iterable[AcquirerOperation]) -> Standing:
    """How a charge stands by its facts."""
    return standing_of(
        max(0, charge.fares_minor - charge.allowance_minor),
        facts_of(operations),
        is_given_up=charge.given_up_at_ms is not None,
        is_issuer_liable=charge.liability == ISSUER,
    )


def operations_by_charge(session: Session, ids: Sequence[int]) -> dict[int, list[AcquirerOperation]]:
    """The operations of charges, oldest first."""
    found: dict[int, list[AcquirerOperation]] = {number: [] for number in ids}
    for start in range(0, len(ids), _AT_ONCE):
        some = AcquirerOperation.charge_id.in_(ids[start : start + _AT_ONCE])
        for operation in session.scalars(select(AcquirerOperation).where(some).order_by(AcquirerOperation.id)):
            assert operation.charge_id is not None
            found[operation.charge_id].append(operation)
    return found


def update_charges(session: Session, terms: Terms, charges: Iterable[Charge], now_ms: int) -> None:
    """Let charges say what their facts say now, and book the difference."""
    session.flush()
    by_id = {charge.id: charge for charge in charges}
    operations, cards = operations_by_charge(session, sorted(by_id)), _cards(session, by_id.values())
    changes = []
    for number in sorted(by_id):
        charge = by_id[number]
        before = position_of(charge)
        _update(session, terms, charge, cards[charge.card_id], operations[number], now_ms)
        after = position_of(charge)
        if after != before:
            changes.append(Change(charge.service_day, before, after))
    _book(session, terms, changes, now_ms)


def _cards(session: Session, charges: Iterable[Charge]) -> dict[int, BankCard]:
    ids, found = sorted({charge.card_id for charge in charges}), {}
    for start in range(0, len(ids), _AT_ONCE):
        some = BankCard.id.in_(ids[start : start + _AT_ONCE])
        found.update({card.id: card for card in session.scalars(select(BankCard).where(some))})
    return found


def _update(
    session: Session, terms: Terms, charge: Charge, card: BankCard, operations: Sequence[AcquirerOperation], now_ms: int
) -> None:
    standing = standing_now(charge, operations)
    if standing.state == DEBT and not charge.liability:
        standing = _decide_liability(session, terms, charge, card, operations, standing, now_ms)
    elif standing.state == DEBT:
        charge.liability = OPERATOR  # the issuer has refused to bear it
    if standing.state == DEBT and charge.declined_at_ms is None:
        charge.declined_at_ms = now_ms
    if standing.state == DEBT and not standing.is_waiting and charge.declined_at_ms is not None:
        tries = standing.refused_in_a_row - 1
        if is_over(terms.acquirer_on(charge.service_day).debt, charge.declined_at_ms, tries, now_ms):
            charge.given_up_at_ms = now_ms
            standing = standing_now(charge, operations)
    if standing.state == CLOSED and (charge.declined_at_ms or charge.given_up_at_ms):
        charge.declined_at_ms = charge.given_up_at_ms = None
    borne = _decide_bearer(session, terms, charge, standing)
    said = {
        "state": standing.state,
        "let_off_minor": min(charge.allowance_minor, charge.fares_minor),
        "taken_minor": standing.taken_minor,
        "returned_minor": standing.returned_minor,
        "owed_minor": standing.owed_minor,
        "written_off_minor": sum(borne.values()),
        "borne_json": canonical_json(borne),
        "disputed_minor": standing.disputed_minor,
        "lost_minor": standing.lost_minor,
        "settled_minor": sum(each.settled_minor or 0 for each in operations),
        "fee_minor": sum(each.fee_minor or 0 for each in operations),
        "tried_at_ms": max((each.asked_at_ms for each in operations if each.kind == AUTHORISE), default=None),
        "next_at_ms": _next_at_ms(terms, charge, standing, operations, now_ms),
    }
    # Most of it is as it was, and telling a mapped object so costs more than looking.
    for name, value in said.items():
        if getattr(charge, name) != value:
            setattr(charge, name, value)


def _decide_liability(
    session: Session,
    terms: Terms,
    charge: Charge,
    card: BankCard,
    operations: Sequence[AcquirerOperation],
    standing: Standing,
    now_ms: int,
) -> Standing:
    """Who bears it: the issuer, where that is agreed, once, and nothing was ever approved of the card; else the operator."""
    acquirer = terms.acquirer_on(charge.service_day)
    is_first = card.approved_at_ms is None and standing.attempt == 1 and not _was_borne_before(session, card)
    is_agreed = acquirer.first_ride_liability == ISSUER and standing.missing_minor <= acquirer.first_ride_maximum_minor
    charge.liability = ISSUER if is_first and is_agreed else OPERATOR
    if charge.liability == ISSUER:
        deny_unverified(terms, card, now_ms)
    return standing_now(charge, operations)


def _was_borne_before(session: Session, card: BankCard) -> bool:
    """Whether an issuer bears, or was asked to bear, another ride of the card."""
    asked = select(AcquirerOperation.id).where(AcquirerOperation.card_id == card.id, AcquirerOperation.cause == ISSUER)
    borne = select(Charge.id).where(Charge.card_id == card.id, Charge.liability == ISSUER)
    return any(session.scalar(query.limit(1)) is not None for query in (asked, borne))


def deny_unverified(terms: Terms, card: BankCard, now_ms: int) -> None:
    """A card that owes nothing and yet must not ride: from now on it is verified as often as a debt is tried."""
    if card.declined_at_ms is None:
        card.declined_at_ms, card.tries = now_ms, 0
    debt = terms.acquirer_on(service_day(terms.zone, now_ms // 1000)).debt
    card.next_at_ms = planned_ms(debt, card.declined_at_ms, card.tries)


def _next_at_ms(
    terms: Terms, charge: Charge, standing: Standing, operations: Sequence[AcquirerOperation], now_ms: int
) -> int | None:
    if standing.is_waiting:
        return None
    if standing.excess_minor:
        refused = [each.ended_at_ms or 0 for each in operations if (each.kind, each.outcome) == (REFUND, REFUSED)]
        if not refused:
            return now_ms
        return max(refused) + DAY_MS if len(refused) < REFUNDS_REFUSED_MAX else None
    if standing.state == AUTHORISED:
        return now_ms
    if standing.state == OPEN:
        return charge.due_at_ms
    if standing.state == DEBT and charge.declined_at_ms is not None:
        debt = terms.acquirer_on(charge.service_day).debt
        over_ms = charge.declined_at_ms + debt.within_days * DAY_MS + 1
        planned = planned_ms(debt, charge.declined_at_ms, standing.refused_in_a_row - 1)
        return over_ms if planned is None else min(planned, over_ms)
    return None


def _decide_bearer(session: Session, terms: Terms, charge: Charge, standing: Standing) -> Legs:
    """Who bears what was given up, by account; it stays so while the amount does."""
    borne: Legs = json.loads(charge.borne_json)
    given_up_minor = standing.missing_minor if standing.state == DEBT_FINAL else 0
    if sum(borne.values()) != given_up_minor:
        borne = _borne(session, terms, charge, given_up_minor) if given_up_minor else {}
    return borne


def _borne(session: Session, terms: Terms, charge: Charge, amount_minor: int) -> Legs:
    if terms.acquirer_on(charge.service_day).debt.written_off_to == OPERATOR:
        return {losses_account(terms.city): amount_minor}
    rows = session.execute(
        select(ChargeLine.carrier, func.sum(ChargeLine.amount_minor))
        .where(ChargeLine.charge_id == charge.id)
        .group_by(ChargeLine.carrier)
        .order_by(ChargeLine.carrier)
    ).all()
    parts = split_minor(amount_minor, [int(fares) for _, fares in rows])
    return {payable_account(terms.city, carrier): part for (carrier, _), part in zip(rows, parts, strict=True) if part}


def _book(session: Session, terms: Terms, changes: Iterable[Change], now_ms: int) -> None:
    entries = []
    for (day, name), legs in sorted(flows_of(terms.city, terms.party_on, changes).items()):
        prefix = f"acquiring/{terms.city}/{day}/{name}/"
        booked = select(func.count()).where(EntryRow.entry_key.startswith(prefix, autoescape=True))
        entry = entry_for(terms.city, day, name, (session.scalar(booked) or 0) + 1, legs)
        if entry is not None:
            entries.append(entry)
    if entries:
        session.flush()
        book_all(session, entries, now_ms)


def note_approval(card: BankCard, operation: AcquirerOperation) -> None:
    """A bank has approved something of a card: it is no longer fresh, and rides again if it owes nothing."""
    if operation.outcome != DONE:
        return
    if operation.kind == AUTHORISE:
        card.approved_at_ms = max(card.approved_at_ms or 0, operation.asked_at_ms)
    if card.declined_at_ms is not None and operation.asked_at_ms >= card.declined_at_ms:
        card.declined_at_ms = card.next_at_ms = None
