"""Keeps the buses' deny list in step with the debts: who owes is on it, who has paid is off it.

Only entries with the reason `debt` are ours. A card that somebody has put on the list for another reason stays as it is.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.acquiring.models import BankCard, Charge
from clearing.acquiring.states import DEBT, DEBT_FINAL
from clearing.fleet.documents import DENY_LIST
from clearing.fleet.keys import KeyStore
from clearing.media.models import DenyEntry
from clearing.media.service import add_to_list, take_off_list

REASON = "debt"


def must_not_ride() -> ColumnElement[bool]:
    """Of `bank_card`: it has a debt, or its bank has declined it. What was given up without asking a bank is nobody's debt."""
    was_declined = (Charge.state == DEBT) | ((Charge.state == DEBT_FINAL) & (Charge.liability != ""))
    owes = select(Charge.id).where(Charge.card_id == BankCard.id, was_declined)
    return owes.exists() | BankCard.declined_at_ms.is_not(None)


def keep_deny_list(session: Session, keys: KeyStore, caller: Caller, city: str, now_ms: int) -> tuple[int, int]:
    """Put on the list who belongs on it and take off who does not; returns how many of each. Lists are signed only then."""
    session.flush()
    listed = select(DenyEntry.token).where(
        DenyEntry.city == city, DenyEntry.token == BankCard.token, DenyEntry.removed_at_ms.is_(None)
    )
    cards = select(BankCard.token).where(BankCard.city == city).order_by(BankCard.token)
    added = session.scalars(cards.where(must_not_ride(), ~listed.exists())).all()
    removed = session.scalars(cards.where(~must_not_ride(), listed.where(DenyEntry.reason == REASON).exists())).all()
    if added:
        add_to_list(session, keys, caller, now_ms, DENY_LIST, city, added, REASON)
    if removed:
        take_off_list(session, keys, caller, now_ms, DENY_LIST, city, removed)
    return len(added), len(removed)
