"""Adds up rides: each fare of a bank card becomes a line of its card's charge for the window, whenever it comes.

It may be done as often as one likes. A fare that is priced anew changes its line and never gets a second one; one that turned
out to be no ride leaves a line of 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row, and_, func, insert, select, update
from sqlalchemy.orm import Session

from clearing.acquiring.models import BankCard, Charge, ChargeLine
from clearing.acquiring.reference import reference_of, token_instead
from clearing.acquiring.states import OPEN
from clearing.acquiring.terms import MEDIA, Terms
from clearing.acquiring.updating import update_charges
from clearing.acquiring.windows import ChargeWindow, window_of
from clearing.network.service_day import service_day
from clearing.pricing.models import Fare

# A closed day may become another one until it is final, two weeks later.
LOOK_BACK_DAYS = 16
_SAME_RIDE = and_(ChargeLine.source == Fare.source, ChargeLine.source_key == Fare.source_key)
_AT_ONCE = 500


_IS_STALE = (
    ChargeLine.charge_id.is_(None)
    | (ChargeLine.amount_minor != Fare.charged_minor)
    | (ChargeLine.service_day != Fare.service_day)
)
_IS_GONE = (ChargeLine.amount_minor != 0) & ~select(Fare.id).where(_SAME_RIDE).exists()


def days_to_add_up(session: Session, terms: Terms, now_ms: int, since: str | None = None) -> list[str]:
    """The service days with rides that are not in their charges as they are priced, oldest first.

    Days are looked at since one, or the last LOOK_BACK_DAYS.
    """
    today = date.fromisoformat(service_day(terms.zone, now_ms // 1000))
    first = since or (today - timedelta(days=LOOK_BACK_DAYS)).isoformat()
    stale = (
        select(Fare.service_day)
        .outerjoin(ChargeLine, _SAME_RIDE)
        .where(Fare.city == terms.city, Fare.service_day >= first, Fare.medium.in_(MEDIA), _IS_STALE)
    )
    gone = select(ChargeLine.service_day).where(
        ChargeLine.city == terms.city, ChargeLine.service_day >= first, _IS_GONE
    )
    return sorted({*session.scalars(stale.distinct()), *session.scalars(gone.distinct())})


def stale_rides(session: Session, terms: Terms, day: str) -> list[int]:
    """Ids of the fares of a service day that are not in their charges as they are priced."""
    return list(
        session.scalars(
            select(Fare.id)
            .outerjoin(ChargeLine, _SAME_RIDE)
            .where(Fare.city == terms.city, Fare.service_day == day, Fare.medium.in_(MEDIA), _IS_STALE)
            .order_by(Fare.source, Fare.source_key)
        )
    )


def add_up(session: Session, terms: Terms, day: str, fare_ids: Sequence[int], now_ms: int) -> int:
    """Bring some rides of a service day into their charges, as far as nobody else has, and return how many."""
    fares = session.execute(
        select(Fare.source, Fare.source_key, Fare.token, Fare.carrier, Fare.ridden_at_s, Fare.charged_minor)
        .add_columns(ChargeLine.charge_id)
        .outerjoin(ChargeLine, _SAME_RIDE)
        .where(Fare.city == terms.city, Fare.service_day == day, Fare.id.in_(fare_ids), _IS_STALE)
        .order_by(Fare.source, Fare.source_key)
    ).all()
    touched = {*_add(session, terms, day, [fare for fare in fares if fare.charge_id is None])}
    touched |= _change(session, day, [fare for fare in fares if fare.charge_id is not None])
    update_charges(session, terms, _summed(session, sorted(touched)), now_ms)
    return len(fares)


def take_out(session: Session, terms: Terms, day: str, now_ms: int, limit: int) -> int:
    """Let some rides that turned out to be none cost nothing, and return how many; 0 when there are no more."""
    gone = session.scalars(
        select(ChargeLine)
        .where(ChargeLine.city == terms.city, ChargeLine.service_day == day, _IS_GONE)
        .order_by(ChargeLine.source, ChargeLine.source_key)
        .limit(limit)
    ).all()
    for line in gone:
        line.amount_minor = 0
    session.flush()
    update_charges(session, terms, _summed(session, sorted({line.charge_id for line in gone})), now_ms)
    return len(gone)


def _add(session: Session, terms: Terms, day: str, fares: Sequence[Row[Any]]) -> set[int]:
    """New rides: find or make their cards and charges, and enter their lines."""
    placed = [(fare, fare.token or token_instead(fare.source_key), _window(terms, fare.ridden_at_s)) for fare in fares]
    first_s: dict[bytes, int] = {}
    for fare, token, _ in placed:
        first_s[token] = min(first_s.get(token, fare.ridden_at_s), fare.ridden_at_s)
    cards = cards_of(session, terms.city, first_s)
    charges = _charges(session, terms, {(token, window.start_s): window for _, token, window in placed}, cards)
    rows = [
        {
            "source": fare.source,
            "source_key": fare.source_key,
            "charge_id": charges[token, window.start_s].id,
            "city": terms.city,
            "service_day": day,
            "carrier": fare.carrier,
            "ridden_at_s": fare.ridden_at_s,
            "amount_minor": fare.charged_minor,
        }
        for fare, token, window in placed
    ]
    if rows:
        session.execute(insert(ChargeLine), rows)
    return {charge.id for charge in charges.values()}


def _window(terms: Terms, at_s: int) -> ChargeWindow:
    return window_of(terms.acquirer_on(service_day(terms.zone, at_s)), terms.zone, at_s)


def cards_of(session: Session, city: str, first_s: dict[bytes, int]) -> dict[bytes, BankCard]:
    """Cards by their tokens; those that nobody knew are entered, with the moment at which they were first seen."""
    found: dict[bytes, BankCard] = {}
    tokens = sorted(first_s)
    for start in range(0, len(tokens), _AT_ONCE):
        some = BankCard.token.in_(tokens[start : start + _AT_ONCE])
        known = session.scalars(select(BankCard).where(BankCard.city == city, some))
        found.update({card.token: card for card in known})
    fresh = [BankCard(city=city, token=token, first_seen_s=first_s[token]) for token in tokens if token not in found]
    session.add_all(fresh)
    session.flush()
    return found | {card.token: card for card in fresh}


def _charges(
    session: Session, terms: Terms, windows: dict[tuple[bytes, int], ChargeWindow], cards: dict[bytes, BankCard]
) -> dict[tuple[bytes, int], Charge]:
    """Charges by token and window; missing ones are made."""
    tokens = {card.id: token for token, card in cards.items()}
    found: dict[tuple[bytes, int], Charge] = {}
    ids, starts = sorted(tokens), sorted({start_s for _, start_s in windows})
    for start in range(0, len(ids), _AT_ONCE):
        some = Charge.card_id.in_(ids[start : start + _AT_ONCE])
        known = session.scalars(select(Charge).where(some, Charge.window_s.in_(starts)))
        found.update({(tokens[charge.card_id], charge.window_s): charge for charge in known})
    fresh = {key: _charge(terms, cards[key[0]], windows[key]) for key in sorted(windows) if key not in found}
    session.add_all(fresh.values())
    session.flush()
    return {key: charge for key, charge in (found | fresh).items() if key in windows}


def _charge(terms: Terms, card: BankCard, window: ChargeWindow) -> Charge:
    return Charge(
        reference=reference_of("charge", terms.city, card.token, window.day, window.start_s, 0),
        city=terms.city,
        card_id=card.id,
        window_s=window.start_s,
        service_day=window.day,
        due_at_ms=window.due_s * 1000,
        state=OPEN,
    )


def _change(session: Session, day: str, fares: Iterable[Row[Any]]) -> set[int]:
    """Rides that are priced anew or counted on another day: they stay in the charge that they are in."""
    touched = set()
    for fare in fares:
        line = (ChargeLine.source == fare.source) & (ChargeLine.source_key == fare.source_key)
        session.execute(update(ChargeLine).where(line).values(amount_minor=fare.charged_minor, service_day=day))
        touched.add(fare.charge_id)
    return touched


def _summed(session: Session, ids: Sequence[int]) -> list[Charge]:
    """Charges with what their lines add up to."""
    charges = []
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        sums = session.execute(
            select(ChargeLine.charge_id, func.count(), func.sum(ChargeLine.amount_minor))
            .where(ChargeLine.charge_id.in_(some))
            .group_by(ChargeLine.charge_id)
        )
        by_id = {charge_id: (rides, int(fares_minor)) for charge_id, rides, fares_minor in sums}
        for charge in session.scalars(select(Charge).where(Charge.id.in_(some))):
            charge.rides, charge.fares_minor = by_id.get(charge.id, (0, 0))
            charges.append(charge)
    return charges
