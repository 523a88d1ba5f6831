"""What came back from the acquirer, taken in: by an answer, or by its own notification. It may come twice, and in any order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.acquiring.client import Answer
from clearing.acquiring.models import AcquirerOperation, BankCard, Charge
from clearing.acquiring.states import ASKED, AUTHORISE, DONE, REFUSED, VERIFY, advance
from clearing.acquiring.terms import Terms
from clearing.acquiring.updating import deny_unverified, note_approval, update_charges
from clearing.money import format_minor


@dataclass(frozen=True)
class Told:
    """What is known of an operation after it was sent or asked about.

    Attributes:
        answer: absent when none came.
        is_earlier: the acquirer did this under the reference before, and refuses it for anything else: then its amount counts.
        fault: why none came, or why it was not believed.
    """

    reference: str
    answer: Answer | None
    fault: str = ""
    is_earlier: bool = False


def unanswered(session: Session, city: str, after: int, limit: int) -> list[AcquirerOperation]:
    """Some of what we asked and whose end is not known, in the order in which it was asked."""
    asked = select(AcquirerOperation).where(
        AcquirerOperation.city == city, AcquirerOperation.outcome == ASKED, AcquirerOperation.party == ""
    )
    return list(session.scalars(asked.where(AcquirerOperation.id > after).order_by(AcquirerOperation.id).limit(limit)))


def take_told(session: Session, terms: Terms, told: Iterable[Told], now_ms: int) -> int:
    """Take in what came back; returns how many operations have ended by it."""
    by_reference = {each.reference: each for each in told}
    operations = session.scalars(
        select(AcquirerOperation).where(
            AcquirerOperation.party == "", AcquirerOperation.reference.in_(sorted(by_reference))
        )
    ).all()
    ended = []
    for operation in operations:
        each = by_reference[operation.reference]
        if each.is_earlier and each.answer is not None and each.answer.amount_minor >= 0:
            operation.amount_minor = each.answer.amount_minor
        operation.fault = each.fault or _fault(terms, operation, each.answer)
        if not operation.fault and each.answer is not None and end_operation(operation, each.answer, now_ms):
            ended.append(operation)
    note_ends(session, terms, ended, now_ms)
    return len(ended)


def _fault(terms: Terms, operation: AcquirerOperation, answer: Answer | None) -> str:
    """Why an answer is not about what was asked; nothing when it is."""
    if answer is None:
        return ""
    if answer.reference != operation.reference:
        return "it answered for another reference"
    if answer.currency != terms.currency:
        return f"it answered in another currency than {terms.currency}"
    if answer.amount_minor != operation.amount_minor:
        return f"it answered {format_minor(answer.amount_minor)}, asked was {format_minor(operation.amount_minor)}"
    return ""


def end_operation(operation: AcquirerOperation, answer: Answer, now_ms: int) -> bool:
    """Let an operation advance by what is said of it; false when nothing is new."""
    outcome = advance(operation.outcome, answer.outcome)
    if outcome == operation.outcome:
        return False
    operation.outcome, operation.ended_at_ms, operation.code = outcome, now_ms, answer.code
    operation.acquirer_reference = answer.acquirer_reference or operation.acquirer_reference
    return True


def note_ends(session: Session, terms: Terms, operations: Sequence[AcquirerOperation], now_ms: int) -> None:
    """Draw the consequences of operations that have ended: for their charges and for their cards."""
    cards = {operation.card_id: session.get_one(BankCard, operation.card_id) for operation in operations}
    ids = sorted({each.charge_id for each in operations if each.charge_id is not None})
    update_charges(session, terms, [session.get_one(Charge, number) for number in ids], now_ms)
    for operation in operations:
        card = cards[operation.card_id]
        if operation.kind in {VERIFY, AUTHORISE} and operation.outcome == DONE:
            note_approval(card, operation)
        elif operation.kind == VERIFY and operation.outcome == REFUSED:
            deny_unverified(terms, card, now_ms)
