"""Proving the rides of a day, in the transaction that closes it; what was proved once is not looked at again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.orm import Session

from clearing.fleet.keys import KeyStore
from clearing.fleet.models import Validator
from clearing.ingest.models import TapException, TapRow
from clearing.ingest.rows import exception_row
from clearing.ingest.suspicion import Suspicion
from clearing.pricing.models import CardProof, Fare
from clearing.pricing.proofs import MISSING, PROVEN, WRONG, verdict_on
from protocol.decisions import DECISION_COMMITTED
from protocol.tap import KIND_OUTCOME, decode_tap

_TRANSPORT_CARD = "transport_card"
_TAP = "tap"
_SERVICE = "service"
_AT_ONCE = 500
_Key = tuple[bytes, int, int]
_SUSPICIONS = {
    WRONG: Suspicion("card_mac_wrong", "the card's transaction MAC is not over the ride that the validator recorded"),
    MISSING: Suspicion("card_mac_missing", "nothing that the card signed came with this ride"),
}


def prove_day(session: Session, keys: KeyStore, city: str, day: str, now_ms: int) -> None:
    """Prove what is not proved yet of a priced day."""
    rides = _unproven(session, city, day)
    outcomes = _outcomes(session, city, day, rides)
    verdicts = {}
    for ride in rides:
        key = (ride.device_id, ride.epoch, ride.sequence)
        outcome = decode_tap(outcomes[key]) if key in outcomes else None
        verdicts[key] = verdict_on(keys, ride.device_id, decode_tap(ride.record), outcome)
    _keep(session, verdicts, now_ms)
    _tell(session, city, day, verdicts, now_ms)


def _unproven(session: Session, city: str, day: str) -> Sequence[Any]:
    """The day's rides with transport cards that are not proved, with the records of their intents."""
    same = (TapRow.device_id == Fare.device_id) & (TapRow.epoch == Fare.epoch) & (TapRow.sequence == Fare.sequence)
    seen = (
        (CardProof.device_id == Fare.device_id)
        & (CardProof.epoch == Fare.epoch)
        & (CardProof.sequence == Fare.sequence)
    )
    query = (
        select(TapRow.device_id, TapRow.epoch, TapRow.sequence, TapRow.record, TapRow.token)
        .join(Fare, same)
        .outerjoin(CardProof, seen)
        .where(Fare.city == city, Fare.service_day == day, Fare.medium == _TRANSPORT_CARD, Fare.source == _TAP)
        .where(CardProof.verdict.is_(None) | (CardProof.verdict != PROVEN))
    )
    return session.execute(query.order_by(TapRow.device_id, TapRow.epoch, TapRow.sequence)).all()


def _outcomes(session: Session, city: str, day: str, rides: Sequence[Any]) -> dict[_Key, bytes]:
    """The records of outcomes that say what was committed, by their intents; one with evidence is worth more than one without."""
    columns = (TapRow.device_id, TapRow.epoch, TapRow.reference_first, TapRow.record, TapRow.evidence)
    committed = (TapRow.kind == KIND_OUTCOME, TapRow.decision == DECISION_COMMITTED, TapRow.city == city)
    found: dict[_Key, bytes] = {}
    if rides:
        _take(found, session.execute(select(*columns).where(*committed, TapRow.service_day == day)))
    tokens = sorted(
        {ride.token for ride in rides if ride.token and (ride.device_id, ride.epoch, ride.sequence) not in found}
    )
    for some in _chunks(tokens):
        _take(found, session.execute(select(*columns).where(*committed, TapRow.token.in_(some))))
    return found


def _take(found: dict[_Key, bytes], rows: Any) -> None:  # noqa: ANN401 - rows of the columns above
    for row in sorted(rows, key=lambda row: row.evidence is not None):
        found[(row.device_id, row.epoch, row.reference_first)] = row.record


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def _keep(session: Session, verdicts: dict[_Key, str], now_ms: int) -> None:
    place = tuple_(CardProof.device_id, CardProof.epoch, CardProof.sequence)
    for some in _chunks(sorted(verdicts)):
        session.execute(delete(CardProof).where(place.in_(some)))
        rows = [
            {
                "device_id": key[0],
                "epoch": key[1],
                "sequence": key[2],
                "verdict": verdicts[key],
                "checked_at_ms": now_ms,
            }
            for key in some
        ]
        session.execute(insert(CardProof), rows)


def _tell(session: Session, city: str, day: str, verdicts: dict[_Key, str], now_ms: int) -> None:
    """Put what is not proved on the exceptions list, and take off it what is now."""
    reasons = [suspicion.reason for suspicion in _SUSPICIONS.values()]
    listed = select(TapException).where(TapException.city == city, TapException.reason.in_(reasons))
    known = {(row.device_id, row.epoch, row.sequence, row.reason): row.id for row in session.scalars(listed)}
    fresh, settled = [], []
    for key, verdict in sorted(verdicts.items()):
        suspicion = _SUSPICIONS.get(verdict)
        settled += [known[(*key, reason)] for reason in reasons if (*key, reason) in known and verdict == PROVEN]
        if suspicion is not None and (*key, suspicion.reason) not in known:
            validator = session.get_one(Validator, key[0])
            fresh.append(exception_row(validator, key[2], suspicion, day, now_ms) | {"epoch": key[1]})
    if fresh:
        session.execute(insert(TapException), fresh)
    for some in _chunks(settled):
        note = "the card's transaction MAC came later"
        change = update(TapException).where(TapException.id.in_(some), TapException.resolved_at_ms.is_(None))
        session.execute(change.values(resolved_at_ms=now_ms, resolved_by=_SERVICE, resolution=note))


def proofs_of(session: Session, city: str, day: str, source_keys: Sequence[str]) -> dict[str, str]:
    """The verdicts on rides of a day, by the source keys of their fares."""
    found: dict[str, str] = {}
    same = (
        (CardProof.device_id == Fare.device_id)
        & (CardProof.epoch == Fare.epoch)
        & (CardProof.sequence == Fare.sequence)
    )
    for some in _chunks(source_keys):
        query = select(Fare.source_key, CardProof.verdict).join(CardProof, same)
        chosen = query.where(Fare.city == city, Fare.service_day == day, Fare.source_key.in_(some))
        found |= {row.source_key: row.verdict for row in session.execute(chosen)}
    return found
