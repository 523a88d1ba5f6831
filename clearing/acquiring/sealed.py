"""What validators sealed for the acquirer: found among the records by the card's token, handed on as it is, never opened."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased

from clearing.acquiring.models import AcquirerOperation
from clearing.ingest.models import TapRow
from protocol.tap import KIND_ACQUIRER_BLOB, KIND_SINGLE

# The record follows its ride at once; after a power cut, when the card is held again.
_RECORDS_APART_MAX = 256
_TOKENS_AT_ONCE = 500


@dataclass(frozen=True)
class Place:
    """Which record holds it."""

    device_id: bytes
    epoch: int
    sequence: int


def newest_places(session: Session, city: str, tokens: Iterable[bytes]) -> dict[bytes, Place]:
    """For each card, the newest record of a ride of it in the city; a card without one is left out."""
    ride, blob = aliased(TapRow), aliased(TapRow)
    query = (
        select(ride.token, ride.tapped_at_s, blob.device_id, blob.epoch, blob.sequence)
        .join(
            blob,
            and_(
                blob.device_id == ride.device_id,
                blob.epoch == ride.epoch,
                blob.sequence > ride.sequence,
                blob.sequence <= ride.sequence + _RECORDS_APART_MAX,
                blob.kind == KIND_ACQUIRER_BLOB,
                blob.reference_first == ride.sequence,
                blob.evidence.is_not(None),
            ),
        )
        .where(ride.city == city, ride.kind == KIND_SINGLE, ride.test.is_(False))
    )
    found: dict[bytes, tuple[tuple[int, bytes, int, int], Place]] = {}
    asked = sorted(set(tokens))
    for start in range(0, len(asked), _TOKENS_AT_ONCE):
        some = ride.token.in_(asked[start : start + _TOKENS_AT_ONCE])
        for token, at_s, device_id, epoch, sequence in session.execute(query.where(some)):
            assert token is not None
            order = (at_s, device_id, epoch, sequence)
            if token not in found or found[token][0] < order:
                found[token] = order, Place(device_id, epoch, sequence)
    return {token: place for token, (_, place) in found.items()}


def sealed_of(session: Session, operations: Sequence[AcquirerOperation]) -> dict[int, str]:
    """What goes to the acquirer with each operation that names a record, by the operation's id: base64."""
    found = {}
    for operation in operations:
        if operation.device_id is None:
            continue
        record = session.get(TapRow, (operation.device_id, operation.epoch, operation.sequence))
        if record is not None and record.evidence is not None:
            found[operation.id] = b64encode(record.evidence).decode()
    return found
