"""Money that waits for cards: for whom it does, and the signed list that tells the validators so."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.fleet.documents import TOP_UP_LIST
from clearing.fleet.keys import KeyStore
from clearing.fleet.lists import issue_list
from clearing.media.models import PendingTopUp
from clearing.network.service import lock_city

WAITING = "waiting"
APPLIED = "applied"
EXPIRED = "expired"
REFUNDED = "refunded"


def hold_for_card(
    session: Session, keys: KeyStore, city: str, token: bytes, amount_minor: int, top_up_id: int, now_ms: int
) -> PendingTopUp:
    """Keep money until the card is held before a validator, and let the validators know."""
    pending = PendingTopUp(
        top_up_id=top_up_id, city=city, token=token, amount_minor=amount_minor, status=WAITING, added_at_ms=now_ms
    )
    session.add(pending)
    session.flush()
    tell_validators(session, keys, city, now_ms)
    return pending


def pending_of(session: Session, top_up_id: int) -> PendingTopUp | None:
    """What waits, or has waited, of a top-up."""
    return session.scalar(select(PendingTopUp).where(PendingTopUp.top_up_id == top_up_id))


def mark_applied(session: Session, keys: KeyStore, pending: PendingTopUp, now_ms: int) -> None:
    """The card has it; where nothing else waits for the card it leaves the list."""
    pending.status, pending.applied_at_ms = APPLIED, now_ms
    session.flush()
    tell_validators(session, keys, pending.city, now_ms)


def oldest_waiting(session: Session, city: str, token: bytes) -> PendingTopUp | None:
    """What comes next onto a card."""
    waiting = select(PendingTopUp).where(PendingTopUp.city == city, PendingTopUp.token == token)
    return session.scalar(
        waiting.where(PendingTopUp.status == WAITING).order_by(PendingTopUp.id).limit(1).with_for_update()
    )


def tell_validators(session: Session, keys: KeyStore, city: str, now_ms: int) -> int:
    """Sign the list of cards for which money waits, and return its number."""
    lock_city(session, city)
    waiting = select(PendingTopUp.token).where(PendingTopUp.city == city, PendingTopUp.status == WAITING).distinct()
    return issue_list(session, keys, TOP_UP_LIST, city, sorted(session.scalars(waiting)), now_ms)
