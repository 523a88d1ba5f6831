"""What pages and commands show of charges. A card is nowhere in it: who looks sees money and rides, not riders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, select, tuple_
from sqlalchemy.orm import Session

from clearing.acquiring.models import AcquirerOperation, Charge, ChargeLine
from clearing.acquiring.service import find_charge
from clearing.acquiring.states import DEBT, DEBT_FINAL
from clearing.acquiring.updating import standing_now
from clearing.ingest.models import TapRow
from clearing.pricing.models import Fare


@dataclass(frozen=True)
class ChargeView:
    """A charge.

    Attributes:
        reference: by which it is named to the rider.
        window_s: beginning of its window, unix seconds.
        state: `open`, `authorised`, `closed`, `debt` or `debt_final`.
        liability: who bears a declined first ride; empty while nothing was declined.
        due_minor: its fares, less what was let off.
        next_at_ms: when it is looked at again; absent when there is nothing to do, or an answer is awaited.
    """

    reference: str
    city: str
    service_day: str
    window_s: int
    state: str
    liability: str
    rides: int
    fares_minor: int
    allowance_minor: int
    due_minor: int
    taken_minor: int
    returned_minor: int
    owed_minor: int
    written_off_minor: int
    disputed_minor: int
    lost_minor: int
    settled_minor: int
    fee_minor: int
    declined_at_ms: int | None
    next_at_ms: int | None


@dataclass(frozen=True)
class LineView:
    """A ride of a charge, and why it has its fare.

    Attributes:
        rule: why, as a name of `clearing.pricing.reasons`; empty for what turned out to be no ride.
        explanation: how it was derived; absent likewise.
        deny_list: number of the list that the validator held; absent where it held none.
    """

    source: str
    source_key: str
    service_day: str
    carrier: str
    ridden_at_s: int
    amount_minor: int
    rule: str
    explanation: dict[str, Any] | None
    deny_list: int | None


@dataclass(frozen=True)
class OperationView:
    """Something asked of the acquirer or told by it."""

    reference: str
    kind: str
    number: int
    cause: str
    amount_minor: int
    outcome: str
    code: str
    fault: str
    asked_at_ms: int
    ended_at_ms: int | None
    settled_minor: int | None
    fee_minor: int | None
    settled_day: str | None


@dataclass(frozen=True)
class ChargeHistory:
    """Everything about one charge: why it has its amount, and what became of it.

    Attributes:
        tries: attempts that were declined since anything was taken.
        is_waiting: the acquirer owes an answer.
    """

    charge: ChargeView
    tries: int
    is_waiting: bool
    lines: tuple[LineView, ...]
    operations: tuple[OperationView, ...]


@dataclass(frozen=True)
class StateTotal:
    """The charges of a day in one state."""

    state: str
    charges: int
    fares_minor: int
    taken_minor: int
    owed_minor: int
    settled_minor: int


def view_of(charge: Charge) -> ChargeView:
    """What is shown of a charge."""
    return ChargeView(
        reference=charge.reference,
        city=charge.city,
        service_day=charge.service_day,
        window_s=charge.window_s,
        state=charge.state,
        liability=charge.liability,
        rides=charge.rides,
        fares_minor=charge.fares_minor,
        allowance_minor=charge.allowance_minor,
        due_minor=max(0, charge.fares_minor - charge.allowance_minor),
        taken_minor=charge.taken_minor,
        returned_minor=charge.returned_minor,
        owed_minor=charge.owed_minor,
        written_off_minor=charge.written_off_minor,
        disputed_minor=charge.disputed_minor,
        lost_minor=charge.lost_minor,
        settled_minor=charge.settled_minor,
        fee_minor=charge.fee_minor,
        declined_at_ms=charge.declined_at_ms,
        next_at_ms=charge.next_at_ms,
    )


def charges_of_day(session: Session, city: str, day: str, after: str = "", limit: int = 1000) -> list[ChargeView]:
    """One page of a day's charges, in the order of their references."""
    query = select(Charge).where(Charge.city == city, Charge.service_day == day, Charge.reference > after)
    return _page(session, query.order_by(Charge.reference).limit(limit))


def debts(session: Session, city: str, after: tuple[str, str] = ("", ""), limit: int = 1000) -> list[ChargeView]:
    """One page of what riders owe, oldest day first; the place is (service day, reference)."""
    place = tuple_(Charge.service_day, Charge.reference)
    query = select(Charge).where(Charge.city == city, Charge.state.in_((DEBT, DEBT_FINAL)), place > after)
    return _page(session, query.order_by(Charge.service_day, Charge.reference).limit(limit))


def _page(session: Session, query: Select[Charge]) -> list[ChargeView]:
    return [view_of(charge) for charge in session.scalars(query)]


def day_totals(session: Session, city: str, day: str) -> list[StateTotal]:
    """A day's charges by state."""
    columns = (Charge.fares_minor, Charge.taken_minor, Charge.owed_minor, Charge.settled_minor)
    rows = session.execute(
        select(Charge.state, func.count(), *(func.sum(column) for column in columns))
        .where(Charge.city == city, Charge.service_day == day)
        .group_by(Charge.state)
        .order_by(Charge.state)
    )
    return [StateTotal(state, count, *(int(each) for each in sums)) for state, count, *sums in rows]


def history_of(session: Session, reference: str) -> ChargeHistory:
    """Everything about one charge.

    Raises:
        NotFoundError: there is none.
    """
    charge = find_charge(session, reference)
    operations = session.scalars(
        select(AcquirerOperation).where(AcquirerOperation.charge_id == charge.id).order_by(AcquirerOperation.id)
    ).all()
    standing = standing_now(charge, operations)
    return ChargeHistory(
        view_of(charge),
        standing.refused_in_a_row,
        standing.is_waiting,
        tuple(_lines(session, charge)),
        tuple(_operations(operations)),
    )


def _lines(session: Session, charge: Charge) -> list[LineView]:
    same = and_(Fare.source == ChargeLine.source, Fare.source_key == ChargeLine.source_key)
    tap = and_(TapRow.device_id == Fare.device_id, TapRow.epoch == Fare.epoch, TapRow.sequence == Fare.sequence)
    rows = session.execute(
        select(ChargeLine, Fare.rule, Fare.explanation_json, TapRow.deny_list)
        .outerjoin(Fare, same)
        .outerjoin(TapRow, tap)
        .where(ChargeLine.charge_id == charge.id)
        .order_by(ChargeLine.ridden_at_s, ChargeLine.source, ChargeLine.source_key)
    )
    return [
        LineView(
            line.source,
            line.source_key,
            line.service_day,
            line.carrier,
            line.ridden_at_s,
            line.amount_minor,
            rule or "",
            json.loads(why) if why else None,
            deny_list,
        )
        for line, rule, why, deny_list in rows
    ]


def _operations(operations: Sequence[AcquirerOperation]) -> list[OperationView]:
    names = OperationView.__dataclass_fields__
    return [OperationView(**{name: getattr(operation, name) for name in names}) for operation in operations]
