"""What to ask of the acquirer next, written down before it is sent.

An operation is in the database before anybody else can hear of it, under a reference that follows from what it is. So a run that
ends in the middle of sending leaves operations whose end is not known, and the next run finds out what became of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.acquiring.client import Request
from clearing.acquiring.models import AcquirerOperation, BankCard, Charge
from clearing.acquiring.reference import reference_of
from clearing.acquiring.sealed import Place, newest_places, sealed_of
from clearing.acquiring.states import (
    ASKED,
    AUTHORISE,
    CAPTURE,
    DEBT,
    OPEN,
    VERIFY,
    Step,
    next_step,
)
from clearing.acquiring.terms import Terms
from clearing.acquiring.tries import PAUSE_MS, is_over, may_try
from clearing.acquiring.updating import (
    DAY_MS,
    ISSUER,
    facts_of,
    operations_by_charge,
    standing_now,
    update_charges,
)
from clearing.ingest.models import TapRow
from clearing.network.service_day import service_day
from protocol.tap import KIND_REFUSED

WINDOW = "window"
_SEALED_KINDS = frozenset({VERIFY, AUTHORISE})


def plan_charges(session: Session, terms: Terms, now_ms: int, limit: int) -> tuple[int, list[Request]]:
    """Write down what is to be asked next for some charges; returns how many were looked at, and what to send."""
    due = Charge.next_at_ms <= now_ms
    charges = session.scalars(
        select(Charge)
        .where(Charge.city == terms.city, due)
        .order_by(Charge.next_at_ms, Charge.service_day, Charge.reference)
        .limit(limit)
    ).all()
    # Time alone moves debts: one may have become final.
    update_charges(session, terms, [charge for charge in charges if charge.state == DEBT], now_ms)
    operations = operations_by_charge(session, sorted(charge.id for charge in charges))
    cards = _cards_of(session, charges)
    places = newest_places(session, terms.city, (card.token for card in cards.values()))
    tapped = _tapped_again(session, [charge for charge in charges if charge.state == DEBT], cards)
    planned, without = [], []
    for charge in charges:
        card, facts = cards[charge.card_id], operations[charge.id]
        cause = _cause(terms, charge, facts, now_ms, tapped=charge.id in tapped)
        standing = standing_now(charge, facts)
        step = next_step(
            standing, facts_of(facts), is_over=now_ms >= charge.due_at_ms, may_try=cause not in {None, WINDOW}
        )
        if step is not None and step.kind == AUTHORISE and card.token not in places:
            without.append(charge)
        elif step is not None:
            planned.append(_operation(terms, charge, card, step, cause or "", places.get(card.token), now_ms))
    session.add_all(planned)
    _give_up_unsealed(terms, without, now_ms)
    update_charges(session, terms, charges, now_ms)
    for charge in charges:
        # What cannot go on now keeps nothing else from it: it is looked at again in an hour.
        if charge.next_at_ms is not None and charge.next_at_ms <= now_ms:
            charge.next_at_ms = now_ms + PAUSE_MS
    return len(charges), requests_of(session, terms, planned)


def _cards_of(session: Session, charges: Iterable[Charge]) -> dict[int, BankCard]:
    ids = {charge.card_id for charge in charges}
    return {card.id: card for card in session.scalars(select(BankCard).where(BankCard.id.in_(ids)))}


def _cause(
    terms: Terms, charge: Charge, operations: Sequence[AcquirerOperation], now_ms: int, *, tapped: bool
) -> str | None:
    """What causes the next attempt: the end of the window, or one of the ways to recover a debt."""
    if charge.state == OPEN:
        return WINDOW
    if charge.state != DEBT or charge.declined_at_ms is None:
        return None
    tries = standing_now(charge, operations).refused_in_a_row - 1
    last_ms = charge.tried_at_ms or 0
    return may_try(
        terms.acquirer_on(charge.service_day).debt, charge.declined_at_ms, tries, last_ms, now_ms, tapped=tapped
    )


def _tapped_again(session: Session, charges: Iterable[Charge], cards: dict[int, BankCard]) -> set[int]:
    """Of charges in debt, those whose card was held before a validator since the newest attempt."""
    return {
        charge.id
        for charge in charges
        if session.scalar(
            select(TapRow.sequence)
            .where(TapRow.token == cards[charge.card_id].token, TapRow.kind == KIND_REFUSED)
            .where(TapRow.city == charge.city, TapRow.received_at_ms > (charge.tried_at_ms or 0))
            .limit(1)
        )
        is not None
    }


def wake_by_taps(session: Session, terms: Terms, now_ms: int) -> int:
    """Let debts and declined cards be looked at that were held before a validator since the last try, once an hour at most."""
    tap = select(TapRow.sequence).where(
        TapRow.token == BankCard.token, TapRow.kind == KIND_REFUSED, TapRow.city == terms.city
    )
    charges = session.scalars(
        select(Charge)
        .join(BankCard, BankCard.id == Charge.card_id)
        .where(Charge.city == terms.city, Charge.state == DEBT, Charge.next_at_ms > now_ms)
        .where(Charge.tried_at_ms <= now_ms - PAUSE_MS, tap.where(TapRow.received_at_ms > Charge.tried_at_ms).exists())
    ).all()
    cards = session.scalars(
        select(BankCard)
        .where(BankCard.city == terms.city, BankCard.next_at_ms > now_ms, BankCard.declined_at_ms.is_not(None))
        .where(
            BankCard.tried_at_ms <= now_ms - PAUSE_MS, tap.where(TapRow.received_at_ms > BankCard.tried_at_ms).exists()
        )
    ).all()
    for charge in charges:
        charge.next_at_ms = now_ms
    for card in cards:
        card.next_at_ms = now_ms
    return len(charges) + len(cards)


def _operation(
    terms: Terms, charge: Charge, card: BankCard, step: Step, cause: str, place: Place | None, now_ms: int
) -> AcquirerOperation:
    def reference(kind: str) -> str:
        return reference_of(kind, terms.city, card.token, charge.service_day, charge.window_s, step.number)

    is_issuers = step.kind == CAPTURE and charge.liability == ISSUER and step.number == 1
    return AcquirerOperation(
        party="",
        reference=reference(step.kind),
        city=terms.city,
        card_id=card.id,
        charge_id=charge.id,
        kind=step.kind,
        number=step.number,
        cause=ISSUER if is_issuers else (cause if step.kind == AUTHORISE else ""),
        original=reference(AUTHORISE) if step.kind == CAPTURE else step.original,
        amount_minor=step.amount_minor,
        outcome=ASKED,
        asked_at_ms=now_ms,
        **_record(place if step.kind in _SEALED_KINDS else None),
    )


def _record(place: Place | None) -> dict[str, bytes | int]:
    return {} if place is None else {"device_id": place.device_id, "epoch": place.epoch, "sequence": place.sequence}


def _give_up_unsealed(terms: Terms, charges: Iterable[Charge], now_ms: int) -> None:
    """Rides of which nothing that was sealed has come within the days of a debt: nobody can be asked for them any more."""
    for charge in charges:
        if now_ms > charge.due_at_ms + terms.acquirer_on(charge.service_day).debt.within_days * DAY_MS:
            charge.given_up_at_ms = now_ms


def plan_verifications(session: Session, terms: Terms, now_ms: int, limit: int) -> tuple[int, list[Request]]:
    """The same for cards that are to be verified, by a request over nothing."""
    cards = session.scalars(
        select(BankCard)
        .where(BankCard.city == terms.city, BankCard.next_at_ms <= now_ms)
        .order_by(BankCard.next_at_ms, BankCard.token)
        .limit(limit)
    ).all()
    places = newest_places(session, terms.city, (card.token for card in cards))
    planned, debt = [], terms.acquirer_on(service_day(terms.zone, now_ms // 1000)).debt
    for card in cards:
        card.next_at_ms = None
        is_again = card.declined_at_ms is not None
        if is_again and is_over(debt, card.declined_at_ms or 0, card.tries, now_ms):
            continue
        if card.token not in places:
            # What was sealed may still come, as long as rides do.
            is_recent = now_ms <= card.first_seen_s * 1000 + debt.within_days * DAY_MS
            card.next_at_ms = now_ms + PAUSE_MS if is_recent or is_again else None
            continue
        card.tries += is_again
        card.tried_at_ms = now_ms
        planned.append(_verification(session, terms, card, places[card.token], now_ms))
    session.add_all(planned)
    session.flush()
    return len(cards), requests_of(session, terms, planned)


def _verification(session: Session, terms: Terms, card: BankCard, place: Place, now_ms: int) -> AcquirerOperation:
    # Several tries in a row are told apart by their number; those before a card was good again count on.
    before = select(AcquirerOperation.number).where(
        AcquirerOperation.card_id == card.id, AcquirerOperation.kind == VERIFY
    )
    number = 1 + max(session.scalars(before), default=0)
    day = service_day(terms.zone, card.first_seen_s)
    return AcquirerOperation(
        party="",
        reference=reference_of(VERIFY, terms.city, card.token, day, 0, number),
        city=terms.city,
        card_id=card.id,
        kind=VERIFY,
        number=number,
        amount_minor=0,
        outcome=ASKED,
        asked_at_ms=now_ms,
        **_record(place),
    )


def requests_of(session: Session, terms: Terms, operations: Sequence[AcquirerOperation]) -> list[Request]:
    """Operations as they are sent; the same each time."""
    session.flush()
    sealed = sealed_of(session, operations)
    return [
        Request(
            operation.reference,
            operation.kind,
            operation.amount_minor,
            terms.currency,
            operation.original,
            ISSUER if operation.cause == ISSUER else "",
            sealed.get(operation.id, ""),
        )
        for operation in operations
    ]
