"""Tables of access: who may act, what needs a second person, and the log of what was done.

A token is stored as its SHA-256 only. The audit log is a hash chain that the database keeps linear: no two records may
name the same predecessor, and none may be changed or deleted.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class Principal(Base):
    """A person or a program that may act.

    Attributes:
        id: 32 hexadecimal digits, or `local` for whoever sits at the machine itself.
        kind: `person`, `service` or `local`.
        token_hash: SHA-256 of the bearer token; absent when it cannot sign in by token.
    """

    __tablename__ = "principal"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    token_hash: Mapped[bytes | None] = mapped_column(unique=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at_ms: Mapped[int]


class Grant(Base):
    """A role of a principal within a scope; an absent city or carrier means all of them."""

    __tablename__ = "access_grant"

    id: Mapped[int] = mapped_column(primary_key=True)
    principal_id: Mapped[str] = mapped_column(ForeignKey("principal.id"), index=True)
    role: Mapped[str]
    city: Mapped[str | None]
    carrier: Mapped[str | None]


class Approval(Base):
    """A request that a second person must decide.

    Attributes:
        action: what will be done, such as `key.replace`.
        subject: to what, as text.
        body_sha256: hexadecimal SHA-256 of exactly what was asked; what is done must have the same.
        decision: `approved` or `rejected`; absent while it waits.
    """

    __tablename__ = "approval"
    __table_args__ = (CheckConstraint("decided_by <> requested_by", name="two_persons"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str]
    subject: Mapped[str]
    body_sha256: Mapped[str]
    requested_by: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    requested_at_ms: Mapped[int]
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("principal.id"))
    decided_at_ms: Mapped[int | None]
    decision: Mapped[str | None]
    used_at_ms: Mapped[int | None]


class AuditRecord(Base):
    """One line of the audit log.

    Attributes:
        principal_id: who; text without a foreign key, since a line outlives the person.
        detail_json: canonical JSON (sorted keys, no spaces).
        hash: SHA-256 over the previous hash and every other field, each with its length.
    """

    __tablename__ = "audit_record"
    __table_args__ = (UniqueConstraint("previous_hash"), UniqueConstraint("hash"))

    id: Mapped[int] = mapped_column(primary_key=True)
    at_ms: Mapped[int]
    principal_id: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail_json: Mapped[str]
    previous_hash: Mapped[bytes]
    hash: Mapped[bytes]
