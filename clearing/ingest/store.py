"""The one transaction of a batch: raw batch, taps, conflicts, exceptions, and the validator's mark, together or not at all.

Nothing is acknowledged here. The session must be a writing one; whoever opened it commits, and only then signs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from clearing.fleet.documents import wanted_versions
from clearing.fleet.key_bundles import today
from clearing.fleet.key_sets import announce, newest_key_set
from clearing.fleet.models import Validator
from clearing.fleet.service import ACTIVE, QUARANTINED, SHARED_SECRET, quarantine
from clearing.ingest.bulk import insert_taps
from clearing.ingest.clones import moments_of, note_nonce, suspicion_about_order, suspicion_about_pace
from clearing.ingest.codes import add_odd_codes, odd_codes
from clearing.ingest.evidence import add_exceptions, keep_evidence, keep_message
from clearing.ingest.models import TapConflict, TapRow
from clearing.ingest.rows import exception_row, rows_of
from clearing.ingest.run import Placed, Run, Verdict, judge
from clearing.ingest.settling import settle
from clearing.ingest.suspicion import Suspicion, clock_is_far_off, suspicion_about_overwritten
from clearing.network.service import city_of
from clearing.network.service_day import service_day
from protocol.ack import (
    STATUS_CLOCK_SUSPECT,
    STATUS_EPOCH,
    STATUS_FORK,
    STATUS_OK,
    STATUS_OK_FLAGGED,
    WANTED_KEY_BUNDLE,
    WANTED_KEY_SET,
)
from protocol.batch import NONCE_BYTES

_FORK = Suspicion("fork", "its chain has another content here: a cloned or damaged validator; look at tap_conflict")
_BOTH = Suspicion(
    "clone_suspected", "its chain goes on after another history of it has come: two devices write one journal"
)
_NONCE = Suspicion("clone_suspected", "one nonce stands in two messages: two devices draw the same numbers")
_EPOCH = Suspicion("epoch", "it sent records of another life of its journal; they are in raw_batch only")

_STORED = (
    select(TapRow.sequence, TapRow.record)
    .where(TapRow.device_id == bindparam("device"), TapRow.epoch == bindparam("epoch"))
    .where(TapRow.sequence.between(bindparam("first"), bindparam("last")))
    .order_by(TapRow.sequence)
    .limit(bindparam("count"))
)


@dataclass(frozen=True)
class Receipt:
    """What is durable of a validator's journal when a transaction has ended.

    Attributes:
        city: its code, the audience of the ack.
        sequence, head: everything up to here is stored, and the chain head there.
        status: `STATUS_…` of the wire.
        nonce: of the batch that is answered.
        wanted: document numbers that the validator should have.
        ack_kid: the key that its acks are signed with.
    """

    device: bytes
    city: str
    epoch: int
    sequence: int
    head: bytes
    status: int
    nonce: bytes = bytes(NONCE_BYTES)
    wanted: dict[int, int] = field(default_factory=dict)
    ack_kid: bytes | None = None


def store_batch(session: Session, message: bytes, run: Run, now_ms: int) -> Receipt:
    """Store a batch whose signature held. A batch that brings nothing new changes nothing but `last_seen`."""
    batch = run.batch
    validator = session.get_one(Validator, batch.device, with_for_update=True)
    # What changes of the validator is written once, at the end.
    with session.no_autoflush:
        status = _Storing(session, validator, message, run, now_ms).take_in()
    if status in {STATUS_OK, STATUS_OK_FLAGGED} and clock_is_far_off(batch, now_ms // 1000):
        status = STATUS_CLOCK_SUSPECT
    validator.last_seen_ms, validator.firmware = now_ms, batch.firmware
    if batch.flash is not None:
        validator.slots_free, _, validator.torn_slots, validator.power_cuts = batch.flash
    return Receipt(
        validator.device_id,
        validator.city,
        validator.epoch,
        validator.acked_sequence,
        validator.head,
        status,
        batch.nonce,
        _wanted(session, validator, now_ms),
        validator.ack_kid,
    )


def _wanted(session: Session, validator: Validator, now_ms: int) -> dict[int, int]:
    """What the validator should have; that the ack names it is noted."""
    wanted = wanted_versions(session, validator.city, now_ms // 1000)
    key_set = newest_key_set(session, validator.city) if validator.profile != SHARED_SECRET else None
    if key_set is not None:
        wanted[WANTED_KEY_SET] = key_set.number
        announce(validator, key_set, now_ms)
    if validator.status == ACTIVE:
        wanted[WANTED_KEY_BUNDLE] = today(now_ms)
    return wanted


class _Storing:
    """One batch on its way into the tables."""

    def __init__(self, session: Session, validator: Validator, message: bytes, run: Run, now_ms: int) -> None:
        self._session = session
        self._validator = validator
        self._message = message
        self._run = run
        self._batch = run.batch
        self._now_ms = now_ms
        self._zone = city_of(session, validator.city).zone

    def take_in(self) -> int:
        validator = self._validator
        if self._batch.epoch != validator.epoch:
            self._keep(STATUS_EPOCH, _EPOCH, ())
            return STATUS_EPOCH
        self._look_at_nonce()
        verdict = judge(self._run, validator.acked_sequence, validator.head, self._stored_records())
        if verdict.status == STATUS_FORK:
            quarantine(validator, self._now_ms)
            self._keep(STATUS_FORK, _FORK, verdict.strays)
        return self._add(verdict) if verdict.fresh else verdict.status

    def _look_at_nonce(self) -> None:
        validator, digest = self._validator, hashlib.sha256(self._message).digest()
        validator.recent_nonces, is_reused = note_nonce(validator.recent_nonces, self._batch.nonce, digest)
        if is_reused:
            quarantine(validator, self._now_ms)
            self._keep(STATUS_OK_FLAGGED, _NONCE, ())

    def _suspicions_of_a_copy(self, fresh: Sequence[Placed]) -> list[tuple[int, Suspicion]]:
        validator = self._validator
        last = None if validator.boot is None else (validator.boot, validator.uptime_ms or 0)
        found = [suspicion_about_order(last, fresh), suspicion_about_pace(fresh)]
        if self._was_contradicted():
            found.append((fresh[0].sequence, _BOTH))
        seen = moments_of(fresh)
        if seen:
            validator.boot, validator.uptime_ms = seen[-1][1]
        return [each for each in found if each is not None]

    def _overwritten(self, fresh: Sequence[Placed]) -> list[tuple[int, Suspicion]]:
        oldest_kept = None if self._batch.flash is None else self._batch.flash[1]
        found = [(each.sequence, suspicion_about_overwritten(each.tap, oldest_kept)) for each in fresh if each.tap]
        return [(sequence, suspicion) for sequence, suspicion in found if suspicion is not None]

    def _was_contradicted(self) -> bool:
        """Whether another history of this journal has come before; asked of a suspect only."""
        validator = self._validator
        if validator.status != QUARANTINED:
            return False
        known = select(TapConflict.id).filter_by(device_id=validator.device_id, epoch=validator.epoch)
        return self._session.scalar(known.limit(1)) is not None

    def _stored_records(self) -> dict[int, bytes]:
        """What is stored of the part that the batch repeats."""
        validator = self._validator
        if self._batch.first_sequence > validator.acked_sequence:
            return {}
        rows = self._session.execute(
            _STORED,
            {
                "device": validator.device_id,
                "epoch": validator.epoch,
                "first": self._batch.first_sequence,
                "last": validator.acked_sequence,
                "count": len(self._batch.records),
            },
        )
        return {row.sequence: row.record for row in rows}

    def _add(self, verdict: Verdict) -> int:
        moments = settle(self._session, self._validator, self._zone, verdict.fresh, self._now_ms)
        rows = rows_of(self._validator, self._zone, verdict.fresh, moments, self._now_ms)
        day = service_day(self._zone, self._now_ms // 1000)
        rows.exceptions += [
            exception_row(self._validator, sequence, suspicion, day, self._now_ms)
            for sequence, suspicion in self._overwritten(verdict.fresh)
        ]
        for sequence, suspicion in self._suspicions_of_a_copy(verdict.fresh):
            quarantine(self._validator, self._now_ms)
            rows.exceptions.append(exception_row(self._validator, sequence, suspicion, day, self._now_ms))
        odd = odd_codes(self._session, rows.taps)
        status = STATUS_OK_FLAGGED if rows.exceptions or odd else STATUS_OK
        batch_id = keep_message(self._session, self._validator, self._message, status, self._now_ms)
        insert_taps(self._session, [row | {"batch_id": batch_id} for row in rows.taps])
        add_exceptions(self._session, self._validator, rows.exceptions)
        add_odd_codes(self._session, odd, self._now_ms)
        self._validator.acked_sequence = verdict.fresh[-1].last
        self._validator.head = verdict.fresh[-1].head
        return status

    def _keep(self, status: int, suspicion: Suspicion, strays: Sequence[Placed]) -> None:
        """Keep what cannot join the chain as evidence, once."""
        sequence = strays[0].sequence if strays else self._batch.first_sequence
        batch_id = keep_evidence(
            self._session, self._validator, self._message, status, sequence, suspicion, self._now_ms
        )
        for stray in strays:
            self._keep_stray(stray, batch_id)

    def _keep_stray(self, stray: Placed, batch_id: int) -> None:
        digest = hashlib.sha256(stray.record).digest()
        place = {"device_id": self._validator.device_id, "epoch": self._batch.epoch, "sequence": stray.sequence}
        known = select(TapConflict.id).filter_by(**place, record_sha256=digest)
        if self._session.scalar(known) is None:
            conflict = {"batch_id": batch_id, "record": stray.record, "record_sha256": digest}
            self._session.execute(insert(TapConflict).values(**place, **conflict, received_at_ms=self._now_ms))
