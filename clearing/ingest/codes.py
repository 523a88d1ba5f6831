"""Codes in the transaction of a batch: one that has passed twice, a ticket or receipt that nobody issued. It blocks nothing.

Validators of one vehicle tell each other which codes have passed; those of two cannot. Here both taps meet, in whatever order
they come. What pricing makes of it (`clearing.pricing.rides`) does not depend on what is found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from clearing.ingest.models import TapException, TapRow
from clearing.ingest.suspicion import Suspicion
from clearing.media.codes import tokens_issued
from protocol.decisions import DECISION_ACCEPTED
from protocol.tap import KIND_SINGLE, MEDIUM_QR_SCREEN, MEDIUM_QR_TICKET

CODE_MEDIA = frozenset({MEDIUM_QR_TICKET, MEDIUM_QR_SCREEN})
_UNKNOWN = {
    MEDIUM_QR_TICKET: Suspicion("ticket_unknown", "the ticket has a right code, and was not issued here"),
    MEDIUM_QR_SCREEN: Suspicion("receipt_unknown", "the receipt has a right code, and no payment stands behind it"),
}
_TWICE = Suspicion("code_twice", "the code has passed before, on another validator; only the first ride counts")
_PLACE = ("device_id", "epoch", "sequence", "city", "service_day")
_COLUMNS = (
    TapRow.device_id,
    TapRow.epoch,
    TapRow.sequence,
    TapRow.city,
    TapRow.service_day,
    TapRow.tapped_at_s,
    TapRow.kind,
    TapRow.medium,
    TapRow.decision,
    TapRow.token,
    TapRow.card_counter,
    TapRow.test,
)


@dataclass(frozen=True)
class OddCode:
    """A tap by a code that a person should look at, stored or about to be."""

    tap: Mapping[Any, Any]
    suspicion: Suspicion


def odd_codes(session: Session, rows: Sequence[dict[str, Any]]) -> list[OddCode]:
    """What is odd about the codes of a batch whose rows are not stored yet."""
    taps = [row for row in rows if _is_ride_by_code(row)]
    return [*_unknown(session, taps), *_twice(session, taps)] if taps else []


def add_odd_codes(session: Session, found: Sequence[OddCode], now_ms: int) -> None:
    """Put them on the exceptions list, each once: two validators may bring the two halves at one moment."""
    dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
    for odd in found:
        row = {name: odd.tap[name] for name in _PLACE}
        row |= {"reason": odd.suspicion.reason, "detail": odd.suspicion.detail, "created_at_ms": now_ms}
        session.execute(dialect.insert(TapException).values(row).on_conflict_do_nothing())


def _is_ride_by_code(row: Mapping[Any, Any]) -> bool:
    return (
        row["kind"] == KIND_SINGLE
        and row["medium"] in CODE_MEDIA
        and row["decision"] == DECISION_ACCEPTED
        and row["token"] is not None
        and not row["test"]
    )


def _unknown(session: Session, taps: Sequence[dict[str, Any]]) -> Iterator[OddCode]:
    for medium, suspicion in _UNKNOWN.items():
        some = [tap for tap in taps if tap["medium"] == medium]
        issued = tokens_issued(session, medium, some[0]["city"], [tap["token"] for tap in some]) if some else None
        if issued is not None:
            yield from (OddCode(tap, suspicion) for tap in some if tap["token"] not in issued)


def _twice(session: Session, taps: Sequence[dict[str, Any]]) -> Iterator[OddCode]:
    """All taps but the first by each code of which one has just come."""
    by_code: dict[tuple[bytes, int], list[Mapping[Any, Any]]] = {}
    for tap in taps:
        if tap["card_counter"] is not None:
            by_code.setdefault((tap["token"], tap["card_counter"]), []).append(tap)
    stored = session.execute(
        select(*_COLUMNS)
        .where(TapRow.token.in_({token for token, _ in by_code}), TapRow.kind == KIND_SINGLE)
        .where(TapRow.card_counter.in_({counter for _, counter in by_code}), TapRow.city == taps[0]["city"])
    )
    for known in stored.mappings():
        if _is_ride_by_code(known) and (known["token"], known["card_counter"]) in by_code:
            by_code[known["token"], known["card_counter"]].append(known)
    for same in by_code.values():
        same.sort(key=lambda tap: (tap["tapped_at_s"], tap["device_id"], tap["epoch"], tap["sequence"]))
        yield from (OddCode(tap, _TWICE) for tap in same[1:])
