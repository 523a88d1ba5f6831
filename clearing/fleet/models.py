"""Tables of the fleet: validators, their keys, the invitations by which they came, and what is signed for them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, false
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class Validator(Base):
    """A validator and how far its journal is stored here.

    Attributes:
        device_id: 16 bytes.
        profile: 1 key in a secure element, 2 software key, 3 shared secret.
        status: `active`, `quarantined` (its chain forked, or it was copied), `revoked` or `retired`.
        epoch: counts enrolments; sequences begin again in each.
        acked_sequence: every record up to here is stored; 0 means none.
        head: SHA-256 chain head at `acked_sequence`.
        last_seen_ms: last signed message, our clock.
        slots_free, torn_slots, power_cuts: what it last said of its flash; absent when it never did.
        quarantined_at_ms: since when it is under suspicion, until two persons release it; a revocation does not end that.
        ack_kid: the key that its acks are signed with; absent for the newest.
        key_set_told, key_set_told_at_ms: newest key set that an ack has named to it, and since when.
        boot, uptime_ms: of the last record that could be read.
        boot_first_sequence: where the records of that start begin.
        boot_unsettled: some of them wait for one that knew the time.
        recent_nonces: of its last batches, each with the beginning of what it stood for.
        last_word: SHA-256 of its retirement.
    """

    __tablename__ = "validator"
    __table_args__ = (
        ForeignKeyConstraint(["city", "vehicle"], ["vehicle.city", "vehicle.code"]),
        CheckConstraint("status IN ('active', 'quarantined', 'revoked', 'retired')", name="status"),
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
    quarantined_at_ms: Mapped[int | None]
    ack_kid: Mapped[bytes | None]
    key_set_told: Mapped[int | None]
    key_set_told_at_ms: Mapped[int | None]
    boot: Mapped[int | None]
    uptime_ms: Mapped[int | None]
    boot_first_sequence: Mapped[int | None]
    boot_unsettled: Mapped[bool] = mapped_column(default=False, server_default=false())
    recent_nonces: Mapped[bytes | None]
    last_word: Mapped[bytes | None]


class ValidatorKey(Base):
    """A key of a validator: the public half for ES256 (the private one never leaves the device), or the one it shares with us.

    Attributes:
        kid: first 8 bytes of the COSE Key Thumbprint (RFC 9679).
        x, y: the public point; absent on profile 3.
        sealed: on profile 3 the shared key, encrypted under the key store's `sealing_key`; otherwise absent.
        replaces: kid of the key that it shall replace when the first batch by it has come; absent from then on.
        rotation_sha256: of what was asked when the validator changed to it; absent for a key from enrolment.
    """

    __tablename__ = "validator_key"
    __table_args__ = (CheckConstraint("(x IS NULL) <> (sealed IS NULL)", name="one_kind"),)

    kid: Mapped[bytes] = mapped_column(primary_key=True)
    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"), index=True)
    x: Mapped[bytes | None]
    y: Mapped[bytes | None]
    sealed: Mapped[bytes | None]
    created_at_ms: Mapped[int]
    revoked_at_ms: Mapped[int | None]
    replaces: Mapped[bytes | None]
    rotation_sha256: Mapped[bytes | None]


class Invitation(Base):
    """A one-time code for one vehicle.

    Attributes:
        code_id: 8 bytes, the part of the code that travels.
        secret: 16 bytes, needed to check the proof; destroyed when the code is used.
        request_sha256, wrapped_keys: what was asked with it and the wrapped keys that were answered, so that an
            answer lost on the way can be given again to the same device and to no other.
        ack_kid: the key that the code names, and that must sign the answer.
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
    ack_kid: Mapped[bytes | None]


class SignedDocument(Base):
    """What validators fetch, as it was signed: it is never signed twice, so every bus holds the same bytes.

    Attributes:
        kind: `fare-table`, `deny-list`, `allow-list`, `top-up-list` or `card-authorities`.
        number: counts within a kind, over all cities; buses are told the number they want.
        valid_from_s: from when buses are told of it.
        content_sha256: hexadecimal SHA-256 of what it was made from, so that what did not change is not issued.
        body: a COSE_Sign1 message; of a list in parts the first.
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


class DocumentPart(Base):
    """A further message of a document that is too long for one.

    Attributes:
        part: from 2.
    """

    __tablename__ = "document_part"
    __table_args__ = (ForeignKeyConstraint(["kind", "number"], ["signed_document.kind", "signed_document.number"]),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[bytes]


class DocumentDelta(Base):
    """What has changed in a list since an earlier number."""

    __tablename__ = "document_delta"
    __table_args__ = (ForeignKeyConstraint(["kind", "number"], ["signed_document.kind", "signed_document.number"]),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    from_number: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[bytes]


class IssuedKeySet(Base):
    """A key set of a city, signed by the roots.

    Attributes:
        number: counts within a city, without a gap.
        ack_kid: its newest ack key.
        body: a COSE_Sign message.
    """

    __tablename__ = "key_set"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    expires_s: Mapped[int]
    ack_kid: Mapped[bytes]
    body: Mapped[bytes]
    issued_at_ms: Mapped[int]


class IssuedKeyBundle(Base):
    """The secret keys of some days for one validator, wrapped for it alone.

    Attributes:
        number: day number since 1970 of its first day.
        kid: the validator's key that it was wrapped for.
        body: the signed message.
    """

    __tablename__ = "key_bundle"

    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kid: Mapped[bytes]
    body: Mapped[bytes]


class ServiceSwitch(Base):
    """How the service is told to behave towards validators, at once and in all its processes.

    Attributes:
        name: `maintenance` (1: store nothing for now) or `firmware_min` (the oldest bundle that is still served).
    """

    __tablename__ = "service_switch"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]
    changed_by: Mapped[str]
    changed_at_ms: Mapped[int]
