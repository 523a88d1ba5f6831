"""Adjustments: what two persons correct of a day. Asked for by one, decided by another, booked by the day's next version."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import ask_approval, decide_approval, record_audit, use_approval
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.fleet.keys import KeyStore
from clearing.ledger.chart import city_of_account, is_known, refund_account
from clearing.network.service import city_of, lock_city
from clearing.settlement.closing import Hand, close_with_others, next_version_as_it_was
from clearing.settlement.gathering import APPROVED
from clearing.settlement.models import Adjustment
from clearing.settlement.service import is_final, newest_close

CORRECTION, REFUND, LATE = "correction", "refund", "late"
KINDS = (CORRECTION, REFUND, LATE)
REQUESTED, REJECTED = "requested", "rejected"
AMOUNT_MINOR_MAX = 10**15
LEGS_MAX = 50
TEXT_MAX = 300
_ACTION = "adjustment.book"
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class AdjustmentAsked:
    """A correction that somebody asks for.

    Attributes:
        reference: the asker's own, once in a city.
        kind: `correction`, `refund` (the riders get it), or `late` (what came after the day was final is let in; it has no legs).
        reason: for people; it stands in the close.
        legs: tiyn by account, debit positive; they add up to nothing.
        currency: absent for the city's own; no other is taken.
    """

    city: str
    day: str
    reference: str
    kind: str
    reason: str
    legs: Mapping[str, int] = field(default_factory=dict)
    currency: str | None = None


@dataclass(frozen=True)
class AdjustmentView:
    """An adjustment as it is shown.

    Attributes:
        number: by which it is decided.
        state: `requested`, `approved` or `rejected`.
        version: of the close that has booked it; absent where none has yet.
    """

    number: int
    city: str
    day: str
    reference: str
    kind: str
    reason: str
    legs: tuple[tuple[str, int], ...]
    state: str
    version: int | None


def request_adjustment(session: Session, caller: Caller, now_ms: int, asked: AdjustmentAsked) -> AdjustmentView:
    """Ask for an adjustment; asking again with the same reference changes nothing.

    Raises:
        InvalidError: it cannot be booked; every reason is named.
        ConflictError: the reference was used for another adjustment.
    """
    must_reach(caller, "adjustment.request", asked.city)
    currency = city_of(session, asked.city).currency
    lock_city(session, asked.city)
    faults = [*_faults(session, asked, now_ms)]
    if asked.currency not in {None, currency}:
        faults.append(f"the books of {asked.city} are in {currency}, not in {asked.currency}")
    if faults:
        raise InvalidError("; ".join(faults), "nothing was asked for: correct it and ask again")
    body = _body(asked)
    same = select(Adjustment).where(Adjustment.city == asked.city, Adjustment.reference == asked.reference)
    repeated = session.scalar(same)
    if repeated is not None:
        if repeated.body_sha256 != hashlib.sha256(body).digest():
            raise ConflictError(f"reference {asked.reference} was used for another adjustment", "send a new reference")
        return _view(repeated)
    approval = ask_approval(session, caller, now_ms, _ACTION, _subject(asked.city, asked.reference), body)
    row = Adjustment(
        city=asked.city,
        service_day=asked.day,
        reference=asked.reference,
        kind=asked.kind,
        reason=asked.reason,
        legs_json=canonical_json(dict(asked.legs)),
        body_sha256=hashlib.sha256(body).digest(),
        state=REQUESTED,
        approval_id=approval.id,
    )
    session.add(row)
    session.flush()
    return _view(row)


def _faults(session: Session, asked: AdjustmentAsked, now_ms: int) -> list[str]:
    faults = []
    if _REFERENCE.fullmatch(asked.reference) is None:
        faults.append("a reference has 1 to 64 letters, digits, points, dashes and underscores")
    if not 0 < len(asked.reason.strip()) <= len(asked.reason) <= TEXT_MAX or not asked.reason.isprintable():
        faults.append(f"a reason has 1 to {TEXT_MAX} characters, in one line")
    if asked.kind not in KINDS:
        faults.append(f"an adjustment is one of {', '.join(KINDS)}, not {asked.kind}")
    elif asked.kind == LATE:
        if newest_close(session, asked.city, asked.day) is None or not is_final(session, asked.city, asked.day, now_ms):
            faults.append(f"{asked.day} is not final: what came late is let in by closing it again")
        if asked.legs:
            faults.append("what came late is priced as it is: such an adjustment has no amounts of its own")
    else:
        faults += _leg_faults(asked)
    return faults


def _leg_faults(asked: AdjustmentAsked) -> list[str]:
    if not 2 <= len(asked.legs) <= LEGS_MAX:
        return [f"an adjustment has 2 to {LEGS_MAX} accounts"]
    faults = []
    for account, amount_minor in sorted(asked.legs.items()):
        if not is_known(account):
            faults.append(f"the chart has no account {account}")
        elif city_of_account(account) != asked.city:
            faults.append(f"{account} is an account of another city")
        if not 0 < abs(amount_minor) <= AMOUNT_MINOR_MAX:
            faults.append(f"{account}: an amount is not 0 and has no more than {AMOUNT_MINOR_MAX} tiyn")
    if sum(asked.legs.values()):
        faults.append("debits and credits differ")
    if asked.kind == REFUND and asked.legs.get(refund_account(asked.city), 0) >= 0:
        faults.append(f"a refund credits {refund_account(asked.city)}")
    return faults


def _body(asked: AdjustmentAsked) -> bytes:
    value = {
        "city": asked.city,
        "day": asked.day,
        "kind": asked.kind,
        "reason": asked.reason,
        "legs": dict(asked.legs),
    }
    return canonical_json(value).encode()


def _subject(city: str, reference: str) -> str:
    return f"{city}/{reference}"


def decide_adjustment(
    session: Session, caller: Caller, now_ms: int, number: int, approve: bool, keys: KeyStore | None
) -> AdjustmentView:
    """Decide what somebody else asked for. What is approved is booked at once where the day is closed, or with its first close.

    Raises:
        ForbiddenError: whoever asked cannot decide.
        ConflictError: it was decided already.
    """
    row = _find(session, number)
    must_reach(caller, "adjustment.approve", row.city)
    lock_city(session, row.city)
    decide_approval(session, caller, now_ms, row.approval_id, approve)
    if not approve:
        row.state = REJECTED
        session.flush()
        return _view(row)
    subject = _subject(row.city, row.reference)
    asked = AdjustmentAsked(row.city, row.service_day, row.reference, row.kind, row.reason, dict(row.legs()))
    use_approval(session, now_ms, _ACTION, subject, _body(asked))
    row.state = APPROVED
    session.flush()
    record_audit(session, caller.principal_id, now_ms, "adjustment.approve", subject, {"kind": row.kind})
    if newest_close(session, row.city, row.service_day) is not None:
        hand = Hand(caller.principal_id, now_ms, keys)
        stays = is_final(session, row.city, row.service_day, now_ms) and row.kind != LATE
        make = next_version_as_it_was if stays else close_with_others
        close = make(session, row.city, row.service_day, hand)
        row.version = None if close is None else close.version
        session.flush()
    return _view(row)


def _find(session: Session, number: int) -> Adjustment:
    row = session.get(Adjustment, number, with_for_update=True)
    if row is None:
        raise NotFoundError(f"there is no adjustment {number}", "list them: jolaqy adjustment list")
    return row


def list_adjustments(session: Session, city: str, state: str | None = None) -> list[AdjustmentView]:
    """Adjustments of a city, oldest first; of one state, or all."""
    query = select(Adjustment).where(Adjustment.city == city_of(session, city).code).order_by(Adjustment.id)
    return [_view(row) for row in session.scalars(query if state is None else query.where(Adjustment.state == state))]


def _view(row: Adjustment) -> AdjustmentView:
    return AdjustmentView(
        row.id,
        row.city,
        row.service_day,
        row.reference,
        row.kind,
        row.reason,
        row.legs(),
        row.state,
        row.version,
    )
