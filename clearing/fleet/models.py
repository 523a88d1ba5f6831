"""Tables of the fleet: validators, their keys, the invitations by which they came, and what is signed for them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class Validator(Base):
    """A validator and how far its journal is stored here.

    Attributes:
        device_id: 16 bytes.
        profile: 1 key in a secure element, 2 software key, 3 shared secret.
        status: `active`, `quarantined` (its chain forked) or `revoked`.
        epoch: counts enrolments; sequences begin again in each.
        acked_sequence: every record up to here is stored; 0 means none.
        head: SHA-256 chain head at `acked_sequence`.
        last_seen_ms: last signed message, our clock.
        slots_free, torn_slots, power_cuts: what it last said of its flash; absent when it never did.
    """

    __tablename__ = "validator"
    __table_args__ = (
        ForeignKeyConstraint(["city", "vehicle"], ["vehicle.city", "vehicle.code"]),
        CheckConstraint("status IN ('active', 'quarantined', 'revoked')", name="status"),
    )

    device_id: Mapped[bytes] = mapped_column(primary_key=True)
    city: Mapped[str]
    carrier: Mapped[str]
    vehicle: Mapped[str]
    line: Mapped[int]
    profile: Mapped[int]
    status: Mapped[str]
    epoch: Mapped[int]
    acked_sequence: Mapped[int]
    head: Mapped[bytes]
    enrolled_at_ms: Mapped[int]
    last_seen_ms: Mapped[int | None]
    firmware: Mapped[int | None]
    slots_free: Mapped[int | None]
    torn_slots: Mapped[int | None]
    power_cuts: Mapped[int | None]


class ValidatorKey(Base):
    """A public key of a validator, ES256; the private half never leaves the device.

    Attributes:
        kid: first 8 bytes of the COSE Key Thumbprint (RFC 9679).
    """

    __tablename__ = "validator_key"

    kid: Mapped[bytes] = mapped_column(primary_key=True)
    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"), index=True)
    x: Mapped[bytes]
    y: Mapped[bytes]
    created_at_ms: Mapped[int]
    revoked_at_ms: Mapped[int | None]


class Invitation(Base):
    """A one-time code for one vehicle.

    Attributes:
        code_id: 8 bytes, the part of the code that travels.
        secret: 16 bytes, needed to check the proof; destroyed when the code is used.
        request_sha256, wrapped_keys: what was asked with it and the wrapped keys that were answered, so that an
            answer lost on the way can be given again to the same device and to no other.
    """

    __tablename__ = "invitation"
    __table_args__ = (ForeignKeyConstraint(["city", "vehicle"], ["vehicle.city", "vehicle.code"]),)

    code_id: Mapped[bytes] = mapped_column(primary_key=True)
    secret: Mapped[bytes | None]
    city: Mapped[str]
    vehicle: Mapped[str]
    created_by: Mapped[str]
    created_at_ms: Mapped[int]
    expires_at_ms: Mapped[int]
    used_at_ms: Mapped[int | None]
    device_id: Mapped[bytes | None]
    request_sha256: Mapped[bytes | None]
    wrapped_keys: Mapped[bytes | None]


class SignedDocument(Base):
    """What validators fetch, as it was signed: it is never signed twice, so every bus holds the same bytes.

    Attributes:
        kind: `fare-table` or `deny-list`.
        number: counts within a kind, over all cities; buses are told the number they want.
        valid_from_s: from when buses are told of it.
        content_sha256: hexadecimal SHA-256 of what it was made from, so that what did not change is not issued.
        body: a COSE_Sign1 message.
    """

    __tablename__ = "signed_document"
    __table_args__ = (Index(None, "city", "kind", "valid_from_s"),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    valid_from_s: Mapped[int]
    expires_s: Mapped[int]
    content_sha256: Mapped[str]
    body: Mapped[bytes]
    created_at_ms: Mapped[int]
