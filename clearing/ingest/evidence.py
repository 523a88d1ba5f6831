"""What is kept beside the taps, inside the caller's transaction: signed messages as they came, and the exceptions list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from clearing.fleet.models import Validator
from clearing.ingest.models import RawBatch, TapException
from clearing.ingest.rows import exception_row
from clearing.ingest.suspicion import Suspicion
from clearing.network.service import city_of
from clearing.network.service_day import service_day

if TYPE_CHECKING:
    from sqlalchemy import Table

_RAW = cast("Table", RawBatch.__table__)
_KNOWN = select(_RAW.c.id).where(_RAW.c.sha256 == bindparam("digest"))
_KEEP = insert(_RAW).returning(_RAW.c.id)


def keep_message(session: Session, validator: Validator, message: bytes, status: int, now_ms: int) -> int:
    """The id of the raw batch; the same bytes are kept once."""
    digest = hashlib.sha256(message).digest()
    connection = session.connection()
    known = connection.scalar(_KNOWN, {"digest": digest})
    if known is not None:
        return int(known)
    raw = {"device_id": validator.device_id, "received_at_ms": now_ms, "sha256": digest, "body": message}
    return int(connection.scalars(_KEEP, raw | {"status": status}).one())


def add_exceptions(session: Session, validator: Validator, rows: Sequence[dict[str, Any]]) -> None:
    """Add to the exceptions list what is not on it yet."""
    if not rows:
        return
    known = session.execute(
        select(TapException.epoch, TapException.sequence, TapException.reason)
        .where(TapException.device_id == validator.device_id)
        .where(TapException.sequence.in_([row["sequence"] for row in rows]))
    )
    seen = {tuple(row) for row in known}
    fresh = [row for row in rows if (row["epoch"], row["sequence"], row["reason"]) not in seen]
    if fresh:
        session.execute(insert(TapException), fresh)


def keep_evidence(
    session: Session,
    validator: Validator,
    message: bytes,
    status: int,
    sequence: int,
    suspicion: Suspicion,
    now_ms: int,
) -> int:
    """Keep a message that cannot join the chain, and put it on the exceptions list of today; returns its id."""
    batch_id = keep_message(session, validator, message, status, now_ms)
    day = service_day(city_of(session, validator.city).zone, now_ms // 1000)
    add_exceptions(session, validator, [exception_row(validator, sequence, suspicion, day, now_ms)])
    return batch_id
