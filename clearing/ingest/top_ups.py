"""What validators have recorded of top-ups, in the transaction of the batch that brings it.

A top-up is applied when the card has signed that it has the money: the validator had a key that loads, so its word alone is
worth nothing. Everything that does not fit goes to the exceptions list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from clearing.fleet.keys import Aes, KeyStore
from clearing.ingest.models import TapException, TapRow
from clearing.ingest.run import Placed
from clearing.ingest.suspicion import Suspicion
from clearing.ingest.top_up_commands import OUT, SURELY_OVER_S, VOID
from clearing.media.models import GivenCommand, PendingTopUp
from clearing.media.top_ups import APPLIED, WAITING, mark_applied
from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import diversify
from protocol.cards.ride_event import decode_evidence, ride_event
from protocol.cards.transaction_mac import top_up_input, transaction_mac
from protocol.cbor import is_integer
from protocol.compat import constant_time_equal
from protocol.decisions import DECISION_NOT_COMMITTED, DECISION_TOPPED_UP
from protocol.fields import U32_MAX
from protocol.tap import KIND_OUTCOME, KIND_TOP_UP, Tap, decode_tap
from protocol.tokens import mask_uid

_NUMBER = 0
_UNKNOWN = Suspicion("top_up_unknown", "it says it has loaded money by a command that it was not given")
_WRONG = Suspicion("top_up_mac_wrong", "the card's transaction MAC is not over the top-up that the validator recorded")
_LATE = Suspicion("top_up_late", "it has used a command after that had expired")
_TWICE = Suspicion("top_up_twice", "the card has signed this top-up, and it had come onto the card before")

_GIVEN_UP = Suspicion("top_up_given_up", "the card has signed this top-up, which had expired or was given back before")


def is_about_top_ups(records: Sequence[Placed]) -> bool:
    """Whether a batch may say something of top-ups: one of rides alone is not looked at again."""
    return any(each.tap is not None and _may_be_of_a_top_up(each.tap) for each in records)


def _may_be_of_a_top_up(tap: Tap) -> bool:
    if tap.kind == KIND_OUTCOME:
        evidence = decode_evidence(tap.evidence or b"")
        return evidence is None or evidence.kind == layout.EVENT_TOP_UP
    return tap.kind == KIND_TOP_UP


@dataclass(frozen=True)
class _Told:
    """A stored record and where it stands."""

    row: TapRow
    tap: Tap


def settle_top_ups(
    session: Session, keys: KeyStore, device: bytes, epoch: int, records: Sequence[Placed], now_ms: int
) -> None:
    """Take what is stored of these records into account; doing it again changes nothing."""
    sequences = [each.sequence for each in records if each.tap is not None and _may_be_of_a_top_up(each.tap)]
    stored = select(TapRow).filter_by(device_id=device, epoch=epoch).where(TapRow.sequence.in_(sequences))
    for row in session.scalars(stored.order_by(TapRow.sequence)).all():
        told = _Told(row, decode_tap(row.record))
        if told.tap.kind == KIND_TOP_UP:
            _begin(session, told, now_ms)
        else:
            _end(session, keys, told, now_ms)


def _begin(session: Session, told: _Told, now_ms: int) -> None:
    """A validator is about to use a command."""
    row, tap = told.row, told.tap
    number = (tap.extensions or {}).get(_NUMBER)
    given = session.get(GivenCommand, number) if is_integer(number, 1, U32_MAX) else None
    if given is None or not _is_of(row, given):
        _tell(session, row, _UNKNOWN, now_ms)
        return
    given.sequence = row.sequence
    if (row.rebased_at_s or row.tapped_at_s) > given.expires_s + SURELY_OVER_S:
        _tell(session, row, _LATE, now_ms)


def _is_of(row: TapRow, given: GivenCommand) -> bool:
    """Whether a record is of that command, and the only one."""
    said = (row.device_id, row.epoch, row.token, row.card_counter, row.fare_minor)
    is_same = said == (given.device_id, given.epoch, given.token, given.card_counter, given.amount_minor)
    return is_same and given.sequence in {None, row.sequence}


def _end(session: Session, keys: KeyStore, told: _Told, now_ms: int) -> None:
    """It says how that ended."""
    row = told.row
    if row.reference_first is None or row.decision not in {DECISION_TOPPED_UP, DECISION_NOT_COMMITTED}:
        return
    begun = session.get(TapRow, (row.device_id, row.epoch, row.reference_first))
    if begun is None or begun.kind != KIND_TOP_UP:
        return
    session.flush()
    given = session.scalar(
        select(GivenCommand).filter_by(device_id=row.device_id, epoch=row.epoch, sequence=row.reference_first)
    )
    if given is None:
        return  # it is on the exceptions list as a whole
    if row.decision == DECISION_NOT_COMMITTED:
        given.status = VOID if given.status == OUT else given.status
    elif not _has_signed(keys, row.device_id, decode_tap(begun.record), told.tap):
        _tell(session, row, _WRONG, now_ms)
    elif given.status != APPLIED:
        given.status = APPLIED
        pending = session.get_one(PendingTopUp, given.pending_id, with_for_update=True)
        if pending.status == APPLIED:
            _tell(session, row, _TWICE, now_ms)
        elif pending.status != WAITING:
            _tell(session, row, _GIVEN_UP, now_ms)
        else:
            mark_applied(session, keys, pending, now_ms)


def _has_signed(keys: KeyStore, device: bytes, begun: Tap, ended: Tap) -> bool:
    """Whether the card has signed the top-up that these two records describe."""
    evidence = decode_evidence(ended.evidence or b"")
    if evidence is None or evidence.kind != layout.EVENT_TOP_UP or begun.token is None or begun.counter is None:
        return False
    amount_minor = begun.fare_minor or 0
    uid = mask_uid(keys.token_key, begun.token, evidence.masked_uid)
    event = ride_event(begun, device, layout.EVENT_TOP_UP, evidence.slot, 0, ended.balance_minor or 0)
    try:
        signed = top_up_input(amount_minor, event.encode())
    except (OverflowError, ValueError):
        return False  # numbers that no card can hold
    aes = Aes()
    key = diversify(aes, keys.transit_mac_master, layout.key_material(uid))
    return constant_time_equal(evidence.mac, transaction_mac(aes, key, uid, begun.counter + 1, signed))


def _tell(session: Session, row: TapRow, suspicion: Suspicion, now_ms: int) -> None:
    """Put a record on the exceptions list, once."""
    dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
    values = {
        "device_id": row.device_id,
        "epoch": row.epoch,
        "sequence": row.sequence,
        "city": row.city,
        "service_day": row.service_day,
        "reason": suspicion.reason,
        "detail": suspicion.detail,
        "created_at_ms": now_ms,
    }
    session.execute(dialect.insert(TapException).values(values).on_conflict_do_nothing())
