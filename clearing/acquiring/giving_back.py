"""Money that goes back to riders: chargebacks, of which the acquirer tells, and refunds, on which two persons agree."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.access.models import Approval
from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import approved_or_asked, record_audit
from clearing.acquiring.models import AcquirerOperation, Charge
from clearing.acquiring.service import digest_of, find_charge, find_told, is_repeated, operations_of, refuse_if
from clearing.acquiring.states import ASKED, CAPTURE, CHARGEBACK, DONE, PAYMENT, REFUSED, advance
from clearing.acquiring.terms import locked_terms
from clearing.acquiring.updating import update_charges
from clearing.endpoint import InvalidError, NotFoundError
from clearing.money import format_minor

DISPUTES = {"open": ASKED, "won": REFUSED, "lost": DONE}


@dataclass(frozen=True)
class Dispute:
    """A cardholder disputes what was taken.

    Attributes:
        reference: of the dispute; it stays the same until it is decided.
        operation: what was taken: our reference of a capture, or that of a payment.
        status: `open`, `won` (by us) or `lost`.
    """

    reference: str
    operation: str
    amount_minor: int
    currency: str
    status: str


def take_dispute(session: Session, caller: Caller, now_ms: int, dispute: Dispute, permission: str) -> Charge:
    """Take in a chargeback, or how it ended; the same again changes nothing.

    Raises:
        ConflictError: the reference was used for something else.
        InvalidError: more than was taken, or another currency.
        NotFoundError: nothing was taken under that reference.
    """
    disputed = session.scalar(
        select(AcquirerOperation)
        .where(AcquirerOperation.reference == dispute.operation, AcquirerOperation.outcome == DONE)
        .where(AcquirerOperation.kind.in_((CAPTURE, PAYMENT)))
    )
    if disputed is None or disputed.charge_id is None:
        raise NotFoundError(f"nothing was taken under {dispute.operation[:64]}", "name a capture or a payment")
    must_reach(caller, permission, disputed.city)
    terms = locked_terms(session, disputed.city)
    charge = session.get_one(Charge, disputed.charge_id, populate_existing=True)
    body = digest_of(operation=dispute.operation, amount_minor=dispute.amount_minor, currency=dispute.currency)
    if is_repeated(session, caller, dispute.reference, body):
        told = find_told(session, caller, dispute.reference)
        assert told is not None
        told.outcome = advance(told.outcome, DISPUTES[dispute.status])
    else:
        faults = [] if dispute.currency == terms.currency else [f"the currency is {terms.currency}"]
        same = [each for each in operations_of(session, charge) if each.original == disputed.reference]
        left_minor = disputed.amount_minor - sum(each.amount_minor for each in same if each.outcome != REFUSED)
        if dispute.amount_minor > left_minor:
            faults.append(f"{format_minor(dispute.amount_minor)} is more than is left: {format_minor(left_minor)}")
        refuse_if(faults)
        told = _dispute(caller, disputed, dispute, body, now_ms)
        session.add(told)
    if told.outcome != ASKED:
        told.ended_at_ms = told.ended_at_ms or now_ms
    update_charges(session, terms, [charge], now_ms)
    detail: dict[str, object] = {"reference": dispute.reference, "outcome": told.outcome, "minor": told.amount_minor}
    record_audit(session, caller.principal_id, now_ms, permission, charge.reference, detail)
    return charge


def _dispute(
    caller: Caller, disputed: AcquirerOperation, dispute: Dispute, body: bytes, now_ms: int
) -> AcquirerOperation:
    return AcquirerOperation(
        party=caller.principal_id,
        reference=dispute.reference,
        city=disputed.city,
        card_id=disputed.card_id,
        charge_id=disputed.charge_id,
        kind=CHARGEBACK,
        number=disputed.number,
        original=disputed.reference,
        amount_minor=dispute.amount_minor,
        outcome=DISPUTES[dispute.status],
        body_sha256=body,
        asked_at_ms=now_ms,
    )


def refund_charge(
    session: Session, caller: Caller, now_ms: int, reference: str, amount_minor: int, reason: str
) -> tuple[Charge, Approval | None]:
    """Let a rider off some of a charge, with the approval of a second person; without one, ask for it and change nothing.

    What was taken is given back by the next run; what was not is not asked for.

    Raises:
        InvalidError: more than the charge is.
        NotFoundError: there is no such charge.
    """
    charge = find_charge(session, reference)
    must_reach(caller, "charge.refund", charge.city)
    terms = locked_terms(session, charge.city)
    session.refresh(charge)
    left_minor = max(0, charge.fares_minor - charge.allowance_minor)
    if not 0 < amount_minor <= left_minor:
        raise InvalidError(
            f"{format_minor(amount_minor)} cannot be given back of {format_minor(left_minor)}",
            "name what is left of it",
        )
    body = canonical_json({"amount_minor": amount_minor, "allowed_minor": charge.allowance_minor, "reason": reason})
    waiting = approved_or_asked(session, caller, now_ms, "charge.refund", reference, body.encode())
    if waiting is None:
        charge.allowance_minor += amount_minor
        update_charges(session, terms, [charge], now_ms)
        detail: dict[str, object] = {"amount_minor": amount_minor, "reason": reason}
        record_audit(session, caller.principal_id, now_ms, "charge.refund", reference, detail)
    return charge, waiting
