"""How money that waits for a card ends when it never comes onto it: it expires, and it is given back.

Neither while a validator may be using a command for it: then nobody knows yet whether the card has it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.channels.models import TopUp
from clearing.channels.senders import find_principal, party_code, principal_name
from clearing.endpoint import ConflictError, NotFoundError
from clearing.fleet.keys import KeyStore
from clearing.ledger.chart import agents_account, pending_account, refund_account
from clearing.ledger.entries import entry_of
from clearing.ledger.service import book_all
from clearing.media.models import GivenCommand, PendingTopUp
from clearing.media.top_ups import EXPIRED, REFUNDED, WAITING, pending_of, tell_validators
from clearing.network.service import city_of, lock_city, parties_of
from clearing.network.service_day import service_day

_OUT = "out"
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Expired:
    """What has expired at once."""

    top_ups: int
    amount_minor: int


def expire_top_ups(session: Session, keys: KeyStore, caller: Caller, now_ms: int, city: str) -> Expired:
    """Let what has waited longer than the city's package allows wait no more: it is owed back to who has paid."""
    must_reach(caller, "top_up.refund", city)
    zone = lock_city(session, city).zone
    before_ms = now_ms - parties_of(session, city).top_ups.expire_after_days * _DAY_MS
    in_use = select(GivenCommand.pending_id).where(GivenCommand.status == _OUT)
    expired = list(
        session.scalars(
            select(PendingTopUp)
            .where(PendingTopUp.city == city, PendingTopUp.status == WAITING, PendingTopUp.added_at_ms < before_ms)
            .where(PendingTopUp.id.not_in(in_use))
            .order_by(PendingTopUp.id)
            .with_for_update()
        )
    )
    if not expired:
        return Expired(0, 0)
    for pending in expired:
        pending.status, pending.ended_at_ms = EXPIRED, now_ms
    session.flush()
    amount_minor = sum(pending.amount_minor for pending in expired)
    day = service_day(zone, now_ms // 1000)
    legs = {pending_account(city): amount_minor, refund_account(city): -amount_minor}
    key = f"top-ups/{city}/{day}/expired/{expired[0].id}"
    _book(session, key, city, day, f"{day}: {len(expired)} top-ups expired", legs, now_ms)
    tell_validators(session, keys, city, now_ms)
    detail = {"top_ups": len(expired), "amount_minor": amount_minor}
    record_audit(session, caller.principal_id, now_ms, "top_up.expire", f"{city}/{day}", detail)
    return Expired(len(expired), amount_minor)


def refund_top_up(
    session: Session, keys: KeyStore, caller: Caller, now_ms: int, agent: str, reference: str
) -> PendingTopUp:
    """Take it that whoever took the money for a card has given it back; a repetition changes nothing.

    Raises:
        NotFoundError: there is no such top-up, or it never waited for a card.
        ConflictError: the card has it, or may have it.
    """
    seller = find_principal(session, agent)
    top_up = session.scalar(select(TopUp).where(TopUp.agent == seller.id, TopUp.reference == reference))
    pending = None if top_up is None else pending_of(session, top_up.id)
    if top_up is None or pending is None:
        raise NotFoundError(f"{agent} has no top-up {reference} that waits for a card", "send the agent's reference")
    must_reach(caller, "top_up.refund", top_up.city)
    session.refresh(pending, with_for_update=True)
    if pending.status == REFUNDED:
        return pending
    _require_unused(session, pending)
    before, pending.status, pending.ended_at_ms = pending.status, REFUNDED, now_ms
    session.flush()
    _book_refund(session, top_up, pending, before, now_ms)
    if before == WAITING:
        tell_validators(session, keys, top_up.city, now_ms)
    detail = {"agent": agent, "reference": reference, "amount_minor": pending.amount_minor}
    record_audit(session, caller.principal_id, now_ms, "top_up.refund", str(pending.id), detail)
    return pending


def _require_unused(session: Session, pending: PendingTopUp) -> None:
    out = select(GivenCommand.number).where(GivenCommand.pending_id == pending.id, GivenCommand.status == _OUT)
    if pending.status not in {WAITING, EXPIRED} or session.scalar(out.limit(1)) is not None:
        raise ConflictError("the card has this top-up, or may have it", "look at the card before giving money back")


def _book_refund(session: Session, top_up: TopUp, pending: PendingTopUp, before: str, now_ms: int) -> None:
    city = top_up.city
    party = party_code(parties_of(session, city, top_up.service_day).agents, principal_name(session, top_up.agent))
    owed = pending_account(city) if before == WAITING else refund_account(city)
    day = service_day(city_of(session, city).zone, now_ms // 1000)
    legs = {owed: pending.amount_minor, agents_account(city, party): -pending.amount_minor}
    _book(
        session, f"top-ups/{city}/{day}/refunded/{pending.id}", city, day, f"{day}: a top-up given back", legs, now_ms
    )


def _book(session: Session, key: str, city: str, day: str, description: str, legs: dict[str, int], now_ms: int) -> None:
    entry = entry_of(key, city, day, description, legs)
    assert entry is not None
    book_all(session, [entry], now_ms)
