"""What our books say item by item, for whoever holds it against the acquirer's statement; and what came of that.

Reconciliation sorts items into seven categories: zero value; settled and matched; settled and not matched; unsettled; declined;
duplicate reference; unknown. It needs from here what we believe to have happened, and tells what was settled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.acquiring.models import AcquirerOperation, Charge
from clearing.acquiring.states import AUTHORISE, CAPTURE, CHARGEBACK, DONE, PAYMENT, REFUND, REFUSED
from clearing.acquiring.terms import locked_terms
from clearing.acquiring.updating import update_charges

ZERO = "zero"
_TAKES = frozenset({REFUND, CHARGEBACK})
SETTLED = "settled"
REPEATED = "repeated"
UNKNOWN = "unknown"
AMOUNT_DIFFERS = "amount_differs"
NOT_DONE = "not_done"
FOREIGN_CURRENCY = "foreign_currency"


@dataclass(frozen=True)
class AcquirerItem:
    """One item as we have it.

    Attributes:
        kind: `capture`, `payment`, `refund`, `chargeback`; `authorise` for what was declined; `charge` for one of nothing.
        service_day: of its charge.
        amount_minor: as a statement has it: what is given back is negative.
        state: `done`, `refused`, `asked` (its end is not known) or `zero`.
        settled_minor, fee_minor, settled_day: as a statement said; absent until then.
    """

    reference: str
    kind: str
    service_day: str
    amount_minor: int
    state: str
    acquirer_reference: str
    done_at_ms: int | None
    settled_minor: int | None
    fee_minor: int | None
    settled_day: str | None


@dataclass(frozen=True)
class StatementItem:
    """One item of a statement that was paid out.

    Attributes:
        amount_minor, fee_minor: signed; what is given back is negative.
        settled_day: ISO date on which it was paid out.
    """

    reference: str
    kind: str
    amount_minor: int
    fee_minor: int
    currency: str
    settled_day: str
    acquirer_reference: str = ""


def acquirer_items(session: Session, city: str, day_from: str, day_to: str) -> list[AcquirerItem]:
    """Everything that we believe to have asked or been told about the charges of some service days, both included."""
    of_days = (Charge.city == city, Charge.service_day >= day_from, Charge.service_day <= day_to)
    operations = session.execute(
        select(AcquirerOperation, Charge.service_day)
        .join(Charge, Charge.id == AcquirerOperation.charge_id)
        .where(*of_days)
        .where(or_(AcquirerOperation.kind != AUTHORISE, AcquirerOperation.outcome == REFUSED))
    )
    items = [_item(operation, day) for operation, day in operations]
    nothing = session.scalars(select(Charge).where(*of_days, Charge.fares_minor == 0, Charge.taken_minor == 0))
    items += [
        AcquirerItem(charge.reference, "charge", charge.service_day, 0, ZERO, "", None, None, None, None)
        for charge in nothing
    ]
    return sorted(items, key=lambda item: (item.service_day, item.reference))


def _item(operation: AcquirerOperation, day: str) -> AcquirerItem:
    # A chargeback takes the money when it is opened, and brings it back when we win.
    outcome = DONE if operation.kind == CHARGEBACK and operation.outcome != REFUSED else operation.outcome
    return AcquirerItem(
        operation.reference,
        operation.kind,
        day,
        _signed(operation),
        outcome,
        operation.acquirer_reference,
        operation.ended_at_ms,
        operation.settled_minor,
        operation.fee_minor,
        operation.settled_day,
    )


def _signed(operation: AcquirerOperation) -> int:
    return -operation.amount_minor if operation.kind in _TAKES else operation.amount_minor


def settle(session: Session, caller: Caller, now_ms: int, city: str, items: Sequence[StatementItem]) -> list[str]:
    """Take in what was paid out, and book it; returns a verdict for each item, in their order.

    `settled`: taken in. `repeated`: it was before; nothing changes. Everything else changes nothing and is a difference:
    `unknown`, `amount_differs`, `not_done` (we hold it declined, or do not know yet), `foreign_currency`.
    """
    terms = locked_terms(session, city)
    found = _by_reference(session, city, items)
    verdicts, touched = [], set()
    for item in items:
        operation = found.get((item.reference, item.kind))
        verdict = FOREIGN_CURRENCY if item.currency != terms.currency else _verdict(operation, item)
        if verdict == SETTLED and operation is not None:
            # A chargeback that was won comes a second time, the other way round.
            operation.settled_minor = (operation.settled_minor or 0) + item.amount_minor
            operation.fee_minor = (operation.fee_minor or 0) + item.fee_minor
            operation.settled_day = item.settled_day
            touched.add(operation.charge_id)
        verdicts.append(verdict)
    charges = [session.get_one(Charge, number) for number in sorted(each for each in touched if each is not None)]
    update_charges(session, terms, charges, now_ms)
    if touched:
        detail: dict[str, object] = {"settled": verdicts.count(SETTLED), "items": len(items)}
        record_audit(session, caller.principal_id, now_ms, "acquiring.settle", city, detail)
    return verdicts


def _by_reference(
    session: Session, city: str, items: Sequence[StatementItem]
) -> dict[tuple[str, str], AcquirerOperation]:
    found = {}
    for some in _some(sorted({item.reference for item in items})):
        named = AcquirerOperation.reference.in_(some)
        for operation in session.scalars(select(AcquirerOperation).where(AcquirerOperation.city == city, named)):
            if operation.kind in {CAPTURE, PAYMENT, REFUND, CHARGEBACK}:
                found[operation.reference, operation.kind] = operation
    return found


def _some(references: Sequence[str], at_once: int = 500) -> Iterator[Sequence[str]]:
    return (references[start : start + at_once] for start in range(0, len(references), at_once))


def _verdict(operation: AcquirerOperation | None, item: StatementItem) -> str:
    if operation is None or operation.charge_id is None:
        return UNKNOWN
    if operation.kind == CHARGEBACK and operation.outcome == REFUSED and operation.settled_minor is not None:
        if item.amount_minor == operation.amount_minor and operation.settled_minor < 0:
            return SETTLED
        return REPEATED if abs(item.amount_minor) == operation.amount_minor else AMOUNT_DIFFERS
    if operation.settled_minor is not None:
        is_same = (operation.settled_minor, operation.fee_minor) == (item.amount_minor, item.fee_minor)
        return REPEATED if is_same else AMOUNT_DIFFERS
    if item.amount_minor != _signed(operation):
        return AMOUNT_DIFFERS
    if operation.kind != CHARGEBACK and operation.outcome != DONE:
        return NOT_DONE
    return SETTLED
