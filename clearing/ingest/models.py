"""Tables of ingest: the evidence as it came, and the taps inside it.

`(device_id, epoch, sequence)` is the key of a tap everywhere. A raw batch is never changed or deleted; the record bytes
of a tap are exactly those that the validator journalled and signed.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class RawBatch(Base):
    """A signed message whose signature held and which brought something.

    Attributes:
        sha256: of `body`.
        body: the COSE_Sign1 message as received.
        status: the status it was answered with (`STATUS_…` of the protocol).
    """

    __tablename__ = "raw_batch"
    __table_args__ = (UniqueConstraint("sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"), index=True)
    received_at_ms: Mapped[int]
    sha256: Mapped[bytes]
    body: Mapped[bytes]
    status: Mapped[int]


class TapRow(Base):
    """One record of a validator's journal, decoded as far as it could be.

    Attributes:
        record: the bytes as journalled; everything else is read from them.
        kind: `KIND_…`; 0 when the record could not be read (it is then on the exceptions list).
        medium: `MEDIUM_…` code of the wire, or absent.
        tapped_at_s: the device's clock; worth what `clock_quality` says.
        rebased_at_s: the moment by a record of the same start that knew the time; absent where `tapped_at_s` counts, or
            where none did.
        reference_first, reference_last: the record that an outcome or blob means, or the range that was lost.
        test: a technician's tap; it is never cleared.
        city, carrier, vehicle: where the validator was installed when the batch came.
        service_day: ISO date in the city's zone, of the moment that counts; by our clock when nobody on the bus knew it.
    """

    __tablename__ = "tap"
    __table_args__ = (
        Index(None, "city", "service_day", "kind"),
        Index(None, "token", "tapped_at_s"),
    )

    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    batch_id: Mapped[int] = mapped_column(ForeignKey("raw_batch.id"))
    record: Mapped[bytes]
    kind: Mapped[int]
    medium: Mapped[int | None]
    token_key_version: Mapped[int | None]
    token: Mapped[bytes | None]
    card_counter: Mapped[int | None]
    evidence: Mapped[bytes | None]
    tapped_at_s: Mapped[int]
    rebased_at_s: Mapped[int | None]
    clock_quality: Mapped[int]
    uptime_ms: Mapped[int]
    boot: Mapped[int]
    product: Mapped[int | None]
    fare_minor: Mapped[int | None]
    category: Mapped[int | None]
    line: Mapped[int | None]
    trip: Mapped[int | None]
    stop: Mapped[int | None]
    decision: Mapped[int | None]
    balance_minor: Mapped[int | None]
    reference_first: Mapped[int | None]
    reference_last: Mapped[int | None]
    test: Mapped[bool]
    fare_table: Mapped[int | None]
    deny_list: Mapped[int | None]
    city: Mapped[str]
    carrier: Mapped[str]
    vehicle: Mapped[str]
    service_day: Mapped[str]
    received_at_ms: Mapped[int]


class TapConflict(Base):
    """A record that claims a place in the chain which another one holds; kept, since it may be money."""

    __tablename__ = "tap_conflict"
    __table_args__ = (UniqueConstraint("device_id", "epoch", "sequence", "record_sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"))
    epoch: Mapped[int]
    sequence: Mapped[int]
    batch_id: Mapped[int] = mapped_column(ForeignKey("raw_batch.id"))
    record: Mapped[bytes]
    record_sha256: Mapped[bytes]
    received_at_ms: Mapped[int]


class TapException(Base):
    """Something that a person should look at; it never blocks anything.

    Attributes:
        sequence: the record concerned, or the first of those concerned; 0 when it is the batch as a whole.
        reason: a short code such as `unreadable`, `clock_unknown`, `lost_range`, `fork`.
        detail: one sentence, free of card numbers and tokens.
        resolved_by, resolution: who has looked at it, and what came out; `service` where it settled itself.
    """

    __tablename__ = "tap_exception"
    __table_args__ = (
        UniqueConstraint("device_id", "epoch", "sequence", "reason"),
        Index(None, "city", "service_day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"))
    epoch: Mapped[int]
    sequence: Mapped[int]
    reason: Mapped[str]
    detail: Mapped[str]
    city: Mapped[str]
    service_day: Mapped[str]
    created_at_ms: Mapped[int]
    resolved_at_ms: Mapped[int | None]
    resolved_by: Mapped[str | None]
    resolution: Mapped[str | None]


class DirtyDay(Base):
    """A service day from which or to which a stored tap has moved: what was closed of it is closed once more.

    Attributes:
        marks: how often; whoever has taken account of so many removes the mark only if there are no more.
    """

    __tablename__ = "dirty_day"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    service_day: Mapped[str] = mapped_column(primary_key=True)
    marks: Mapped[int]
