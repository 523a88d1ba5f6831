"""The one transaction of a batch: raw batch, taps, conflicts, exceptions, and the validator's mark, together or not at all.

Nothing is acknowledged here. The session must be a writing one; whoever opened it commits, and only then signs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from clearing.fleet.documents import wanted_versions
from clearing.fleet.models import Validator
from clearing.fleet.service import QUARANTINED
from clearing.ingest.bulk import insert_taps
from clearing.ingest.models import RawBatch, TapConflict, TapException, TapRow
from clearing.ingest.rows import exception_row, rows_of
from clearing.ingest.run import Placed, Run, Verdict, judge
from clearing.ingest.suspicion import Suspicion
from clearing.network.service import city_of
from clearing.network.service_day import service_day
from protocol.ack import STATUS_EPOCH, STATUS_FORK, STATUS_OK, STATUS_OK_FLAGGED
from protocol.batch import NONCE_BYTES

_FORK = Suspicion("fork", "its chain has another content here: a cloned or damaged validator; look at tap_conflict")
_EPOCH = Suspicion("epoch", "it sent records of another life of its journal; they are in raw_batch only")


@dataclass(frozen=True)
class Receipt:
    """What is durable of a validator's journal when a transaction has ended.

    Attributes:
        city: its code, the audience of the ack.
        sequence, head: everything up to here is stored, and the chain head there.
        status: `STATUS_…` of the wire.
        nonce: of the batch that is answered.
        wanted: document numbers that the validator should have.
    """

    device: bytes
    city: str
    epoch: int
    sequence: int
    head: bytes
    status: int
    nonce: bytes = bytes(NONCE_BYTES)
    wanted: dict[int, int] = field(default_factory=dict)


def store_batch(session: Session, message: bytes, run: Run, now_ms: int) -> Receipt:
    """Store a batch whose signature held. A batch that brings nothing new changes nothing but `last_seen`."""
    batch = run.batch
    validator = session.get_one(Validator, batch.device, with_for_update=True)
    status = _Storing(session, validator, message, run, now_ms).take_in()
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
        wanted_versions(session, validator.city, now_ms // 1000),
    )


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
        verdict = judge(self._run, validator.acked_sequence, validator.head, self._stored_records())
        if verdict.status == STATUS_FORK:
            validator.status = QUARANTINED
            self._keep(STATUS_FORK, _FORK, verdict.strays)
        return self._add(verdict) if verdict.fresh else verdict.status

    def _stored_records(self) -> dict[int, bytes]:
        """What is stored of the part that the batch repeats."""
        validator = self._validator
        if self._batch.first_sequence > validator.acked_sequence:
            return {}
        rows = self._session.execute(
            select(TapRow.sequence, TapRow.record)
            .where(TapRow.device_id == validator.device_id, TapRow.epoch == validator.epoch)
            .where(TapRow.sequence.between(self._batch.first_sequence, validator.acked_sequence))
            .order_by(TapRow.sequence)
            .limit(len(self._batch.records))
        )
        return {row.sequence: row.record for row in rows}

    def _add(self, verdict: Verdict) -> int:
        rows = rows_of(self._validator, self._zone, verdict.fresh, self._now_ms)
        status = STATUS_OK_FLAGGED if rows.exceptions else STATUS_OK
        batch_id = self._raw_batch(status)
        insert_taps(self._session, [row | {"batch_id": batch_id} for row in rows.taps])
        self._add_exceptions(rows.exceptions)
        self._validator.acked_sequence = verdict.fresh[-1].last
        self._validator.head = verdict.fresh[-1].head
        return status

    def _keep(self, status: int, suspicion: Suspicion, strays: Sequence[Placed]) -> None:
        """Keep what cannot join the chain as evidence, once."""
        batch_id = self._raw_batch(status)
        for stray in strays:
            self._keep_stray(stray, batch_id)
        day = service_day(self._zone, self._now_ms // 1000)
        sequence = strays[0].sequence if strays else self._batch.first_sequence
        self._add_exceptions([exception_row(self._validator, sequence, suspicion, day, self._now_ms)])

    def _keep_stray(self, stray: Placed, batch_id: int) -> None:
        digest = hashlib.sha256(stray.record).digest()
        place = {"device_id": self._validator.device_id, "epoch": self._batch.epoch, "sequence": stray.sequence}
        known = select(TapConflict.id).filter_by(**place, record_sha256=digest)
        if self._session.scalar(known) is None:
            conflict = {"batch_id": batch_id, "record": stray.record, "record_sha256": digest}
            self._session.execute(insert(TapConflict).values(**place, **conflict, received_at_ms=self._now_ms))

    def _raw_batch(self, status: int) -> int:
        """The id of the raw batch; the same bytes are kept once."""
        digest = hashlib.sha256(self._message).digest()
        known = self._session.scalar(select(RawBatch.id).where(RawBatch.sha256 == digest))
        if known is not None:
            return known
        raw = RawBatch(
            device_id=self._validator.device_id,
            received_at_ms=self._now_ms,
            sha256=digest,
            body=self._message,
            status=status,
        )
        self._session.add(raw)
        self._session.flush()
        return raw.id

    def _add_exceptions(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add to the exceptions list what is not on it yet."""
        if not rows:
            return
        known = self._session.execute(
            select(TapException.epoch, TapException.sequence, TapException.reason)
            .where(TapException.device_id == self._validator.device_id)
            .where(TapException.sequence.in_([row["sequence"] for row in rows]))
        )
        seen = {tuple(row) for row in known}
        fresh = [row for row in rows if (row["epoch"], row["sequence"], row["reason"]) not in seen]
        if fresh:
            self._session.execute(insert(TapException), fresh)
