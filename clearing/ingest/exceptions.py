"""The exceptions list: what a person should look at, what to do about it, and what came out. It never blocks anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.fleet.models import Validator
from clearing.ingest.models import TapConflict, TapException, TapRow
from protocol.errors import TapError
from protocol.tap import Tap, decode_tap

NOTE_CHARACTERS_MAX = 500
PAGE_MAX = 500
# What to do, by reason. Every reason that is ever given stands here.
REMEDIES = {
    "card_mac_missing": "nothing, if the card did not come again; if one validator has many, its rides may be made up: see it",
    "card_mac_wrong": "compare with the card at a desk; if one validator has many, its keys are in wrong hands: revoke it",
    "clock_ahead": "nothing, if it is one bus for one day: its clock is set by the next ack; otherwise look at the bus's clock",
    "clock_unknown": "nothing, if the day is right; a bus that never knows the time has an empty clock battery",
    "clone_suspected": "find both devices; release the right one with two persons, then enrol it anew",
    "code_twice": "nothing, if it is rare: the second ride is not charged; deny a ticket that does it again and again",
    "day_moved": "look at the closes of both days: a new version says what changed",
    "epoch": "enrol the validator anew, and read out the old journal if its taps are missed",
    "fare_implausible": "read the record; look at the fare table that the bus had, and at the device",
    "fault": "have the validator looked at",
    "fork": "compare both chains; find out which device is the right one, release it with two persons, then enrol it anew",
    "late": "find out why the bus was silent for so long; the tap counts on its own day",
    "lost_range": "count the rides of the gap with other sources; replace the flash if it happens again",
    "lost_range_odd": "read the record; the firmware of the device is not ours, or is broken",
    "missing_after_restore": "search older backups and raw batches for the range; what is not found is lost",
    "receipt_unknown": "ask the payment's provider; a validator of that vehicle may be in wrong hands: revoke it",
    "tamper": "take the validator out of the bus and look at it; revoke it if it was opened",
    "ticket_unknown": "deny its token; if there are more, a validator was stolen: revoke it, its keys end within three days",
    "top_up_given_up": "the card has money that was given back: take it back at a desk, or have an adjustment made",
    "top_up_late": "nothing, if the card has it; the clock of the device was wrong, or it keeps what it must not: look at it",
    "top_up_mac_wrong": "look at the card at a desk; if the money is not on it, the validator is in wrong hands: revoke it",
    "top_up_twice": "take back what came twice when the card comes to a desk; find out why its first report was late",
    "top_up_unknown": "look at the card at a desk; the validator is in wrong hands if it has loaded money: revoke it",
    "unreadable": "read the record by hand; it has its place in the chain, and no fare",
}


@dataclass(frozen=True)
class Asked:
    """Which exceptions somebody wants to see.

    Attributes:
        is_resolved: absent for both.
        after: id of the last one seen.
    """

    city: str
    day: str | None = None
    reason: str | None = None
    is_resolved: bool | None = None
    after: int = 0
    limit: int = PAGE_MAX


@dataclass(frozen=True)
class Conflict:
    """Two records for one place in the chain: the one that was stored and the one that was claimed later.

    Attributes:
        stored, claimed: absent when it cannot be read, or was never stored.
    """

    sequence: int
    stored: Tap | None
    claimed: Tap | None
    received_at_ms: int


def list_exceptions(session: Session, asked: Asked) -> list[tuple[TapException, str]]:
    """What a person should look at, oldest first, each with the vehicle it is about."""
    query = select(TapException, Validator.vehicle).join(Validator, Validator.device_id == TapException.device_id)
    query = query.where(TapException.city == asked.city, TapException.id > asked.after)
    if asked.day is not None:
        query = query.where(TapException.service_day == asked.day)
    if asked.reason is not None:
        query = query.where(TapException.reason == asked.reason)
    if asked.is_resolved is not None:
        query = query.where(TapException.resolved_at_ms.is_not(None) == asked.is_resolved)
    found = session.execute(query.order_by(TapException.id).limit(min(asked.limit, PAGE_MAX)))
    return [(row, vehicle) for row, vehicle in found]


def count_open(session: Session, city: str, day: str | None = None) -> int:
    """How many nobody has looked at yet."""
    query = select(func.count()).select_from(TapException)
    query = query.where(TapException.city == city, TapException.resolved_at_ms.is_(None))
    return session.scalar(query if day is None else query.where(TapException.service_day == day)) or 0


def find_exception(session: Session, number: int) -> TapException:
    """One of them.

    Raises:
        NotFoundError: there is none of that number.
    """
    row = session.get(TapException, number)
    if row is None:
        raise NotFoundError(f"there is no exception {number}", "look them up: jolaqy exceptions list")
    return row


def resolve(session: Session, caller: Caller, now_ms: int, number: int, note: str) -> TapException:
    """Say what came out of looking at one.

    Raises:
        ConflictError: somebody has said that already.
        InvalidError: nothing is said.
    """
    row = find_exception(session, number)
    session.refresh(row, with_for_update=True)
    note = note.strip()
    if not 0 < len(note) <= NOTE_CHARACTERS_MAX:
        raise InvalidError(f"a note has 1 to {NOTE_CHARACTERS_MAX} characters", "say what came out of it")
    if row.resolved_at_ms is not None:
        raise ConflictError(f"exception {number} was resolved by {row.resolved_by}", "its note says what came out")
    row.resolved_at_ms, row.resolved_by, row.resolution = now_ms, caller.name, note
    detail = {"reason": row.reason, "device": row.device_id.hex(), "note": note}
    record_audit(session, caller.principal_id, now_ms, "exception.resolve", str(number), detail)
    return row


def conflicts_of(session: Session, device: bytes, epoch: int, limit: int = 50) -> list[Conflict]:
    """Where a validator's chain was contradicted, oldest first."""
    rows: Sequence[tuple[TapConflict, bytes | None]] = [
        (conflict, record)
        for conflict, record in session.execute(
            select(TapConflict, TapRow.record)
            .outerjoin(
                TapRow,
                (TapRow.device_id == TapConflict.device_id)
                & (TapRow.epoch == TapConflict.epoch)
                & (TapRow.sequence == TapConflict.sequence),
            )
            .where(TapConflict.device_id == device, TapConflict.epoch == epoch)
            .order_by(TapConflict.sequence, TapConflict.id)
            .limit(limit)
        )
    ]
    return [
        Conflict(conflict.sequence, _read(record), _read(conflict.record), conflict.received_at_ms)
        for conflict, record in rows
    ]


def _read(record: bytes | None) -> Tap | None:
    try:
        return None if record is None else decode_tap(record)
    except TapError:
        return None
