"""What can be done about charges: take what the acquirer tells, take a cardholder's payment. Money goes back by `giving_back`.

Each is idempotent by the reference of whoever tells it; the same reference with another body is a conflict. The deny list follows
in the same transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.acquiring.answers import end_operation, note_ends
from clearing.acquiring.client import Answer
from clearing.acquiring.denying import keep_deny_list
from clearing.acquiring.models import AcquirerNotice, AcquirerOperation, Charge
from clearing.acquiring.states import AUTHORISE, DONE, PAYMENT, REFUSED
from clearing.acquiring.terms import locked_terms
from clearing.acquiring.updating import standing_now, update_charges
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.fleet.keys import KeyStore
from clearing.money import format_minor

TAKEN = "taken"
KNOWN = "known"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Notice:
    """What the acquirer tells of an operation of ours, without being asked.

    Attributes:
        reference: the acquirer's own, of the notification.
        operation: ours.
        status: `done` or `refused`.
    """

    reference: str
    operation: str
    status: str
    amount_minor: int
    currency: str
    acquirer_reference: str = ""
    code: str = ""


@dataclass(frozen=True)
class CardholderPayment:
    """A debt that was paid on a page of the acquirer's, by whatever card.

    Attributes:
        reference: of the payment.
        charge: which debt, by our reference.
    """

    reference: str
    charge: str
    amount_minor: int
    currency: str


def digest_of(**told: object) -> bytes:
    return hashlib.sha256(canonical_json(told).encode()).digest()


def refuse_if(faults: list[str]) -> None:
    if faults:
        raise InvalidError("; ".join(faults), "nothing was taken in: send what was asked")


def take_notice(session: Session, keys: KeyStore, caller: Caller, now_ms: int, notice: Notice) -> str:
    """Take in what the acquirer tells; returns `taken`, `known` (nothing new), or `unknown` (we never asked that).

    Raises:
        ConflictError: the notification's reference was used for something else.
        InvalidError: it tells another amount or currency than was asked; all faults are named.
    """
    body = digest_of(**notice.__dict__)
    repeated = session.scalar(
        select(AcquirerNotice).where(
            AcquirerNotice.party == caller.principal_id, AcquirerNotice.reference == notice.reference
        )
    )
    if repeated is not None:
        if repeated.body_sha256 != body:
            raise ConflictError(f"reference {notice.reference} was used for something else", "send a new reference")
        return repeated.verdict
    operation = session.scalar(
        select(AcquirerOperation).where(AcquirerOperation.party == "", AcquirerOperation.reference == notice.operation)
    )
    verdict = UNKNOWN if operation is None else _take_notice(session, keys, caller, now_ms, notice, operation)
    session.add(
        AcquirerNotice(
            party=caller.principal_id,
            reference=notice.reference,
            body_sha256=body,
            operation=notice.operation,
            verdict=verdict,
            received_at_ms=now_ms,
        )
    )
    session.flush()
    return verdict


def _take_notice(
    session: Session, keys: KeyStore, caller: Caller, now_ms: int, notice: Notice, operation: AcquirerOperation
) -> str:
    must_reach(caller, "acquirer.notify", operation.city)
    terms = locked_terms(session, operation.city)
    session.refresh(operation)
    faults = []
    if notice.amount_minor != operation.amount_minor:
        faults.append(f"{format_minor(notice.amount_minor)} is not what was asked")
    if notice.currency != terms.currency:
        faults.append(f"the currency is {terms.currency}")
    refuse_if(faults)
    outcome = DONE if notice.status == DONE else REFUSED
    answer = Answer(
        operation.reference, outcome, notice.amount_minor, notice.currency, notice.acquirer_reference, notice.code
    )
    if not end_operation(operation, answer, now_ms):
        return KNOWN
    note_ends(session, terms, [operation], now_ms)
    keep_deny_list(session, keys, caller, operation.city, now_ms)
    detail: dict[str, object] = {"kind": operation.kind, "outcome": operation.outcome}
    record_audit(session, caller.principal_id, now_ms, "acquirer.notify", operation.reference, detail)
    return TAKEN


def find_charge(session: Session, reference: str) -> Charge:
    """A charge by its reference.

    Raises:
        NotFoundError: there is none.
    """
    charge = session.scalar(select(Charge).where(Charge.reference == reference))
    if charge is None:
        raise NotFoundError(f"there is no charge {reference[:32]}", "list them: jolaqy acquiring charges DAY")
    return charge


def take_payment(
    session: Session, keys: KeyStore, caller: Caller, now_ms: int, payment: CardholderPayment, permission: str
) -> Charge:
    """Take in that a cardholder has paid a debt. Who pays while the card is tried as well gets the second payment back.

    Raises:
        ConflictError: the reference was used for something else.
        InvalidError: another amount than is owed, or another currency.
        NotFoundError: there is no such charge.
    """
    charge = find_charge(session, payment.charge)
    must_reach(caller, permission, charge.city)
    terms = locked_terms(session, charge.city)
    session.refresh(charge)
    body = digest_of(**payment.__dict__)
    if is_repeated(session, caller, payment.reference, body):
        return charge
    operations = operations_of(session, charge)
    standing = standing_now(charge, operations)
    due_minor = max(0, charge.fares_minor - charge.allowance_minor)
    asked_minor = standing.missing_minor or due_minor
    faults = [] if payment.currency == terms.currency else [f"the currency is {terms.currency}"]
    if payment.amount_minor != asked_minor or not asked_minor:
        faults.append(f"{format_minor(payment.amount_minor)} is not what is owed: {format_minor(asked_minor)}")
    refuse_if(faults)
    session.add(
        AcquirerOperation(
            party=caller.principal_id,
            reference=payment.reference,
            city=charge.city,
            card_id=charge.card_id,
            charge_id=charge.id,
            kind=PAYMENT,
            number=max((each.number for each in operations if each.kind == AUTHORISE), default=0),
            amount_minor=payment.amount_minor,
            outcome=DONE,
            body_sha256=body,
            asked_at_ms=now_ms,
            ended_at_ms=now_ms,
        )
    )
    update_charges(session, terms, [charge], now_ms)
    keep_deny_list(session, keys, caller, charge.city, now_ms)
    detail: dict[str, object] = {"reference": payment.reference, "amount_minor": payment.amount_minor}
    record_audit(session, caller.principal_id, now_ms, permission, charge.reference, detail)
    return charge


def operations_of(session: Session, charge: Charge) -> list[AcquirerOperation]:
    query = select(AcquirerOperation).where(AcquirerOperation.charge_id == charge.id)
    return list(session.scalars(query.order_by(AcquirerOperation.id)))


def find_told(session: Session, caller: Caller, reference: str) -> AcquirerOperation | None:
    return session.scalar(
        select(AcquirerOperation).where(
            AcquirerOperation.party == caller.principal_id, AcquirerOperation.reference == reference
        )
    )


def is_repeated(session: Session, caller: Caller, reference: str, body: bytes) -> bool:
    told = find_told(session, caller, reference)
    if told is not None and told.body_sha256 != body:
        raise ConflictError(f"reference {reference} was used for something else", "send a new reference")
    return told is not None
