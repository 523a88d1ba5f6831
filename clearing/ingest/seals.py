"""What vouches for one record: the validator that wrote it, and the signed batch that brought it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.fleet.models import Validator
from clearing.ingest.models import RawBatch, TapRow


@dataclass(frozen=True)
class Seal:
    """Where a record came from and what keeps it from being changed.

    Attributes:
        device: hexadecimal; with epoch and sequence it is the record's key everywhere.
        boot, uptime_ms, clock_quality: what the validator knew of the time.
        batch_sha256: of the signed message as it came, hexadecimal; it is kept whole.
        received_at_ms: our clock.
    """

    device: str
    vehicle: str
    epoch: int
    sequence: int
    boot: int
    uptime_ms: int
    clock_quality: int
    batch_sha256: str
    received_at_ms: int


def seal_of(session: Session, device: bytes, epoch: int, sequence: int) -> Seal | None:
    """The seal of a record; nothing where there is none of that key."""
    row = session.execute(
        select(TapRow, RawBatch.sha256, Validator.vehicle)
        .join(RawBatch, RawBatch.id == TapRow.batch_id)
        .join(Validator, Validator.device_id == TapRow.device_id)
        .where(TapRow.device_id == device, TapRow.epoch == epoch, TapRow.sequence == sequence)
    ).one_or_none()
    if row is None:
        return None
    tap, sha256, vehicle = row
    return Seal(
        device.hex(),
        vehicle,
        epoch,
        sequence,
        tap.boot,
        tap.uptime_ms,
        tap.clock_quality,
        sha256.hex(),
        tap.received_at_ms,
    )
