"""Tables of media: lists of a city, codes that were issued, money that waits for cards. No card or telephone number is stored."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class DenyEntry(Base):
    """A medium that validators must refuse while `removed_at_ms` is absent."""

    __tablename__ = "deny_entry"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    token: Mapped[bytes] = mapped_column(primary_key=True)
    reason: Mapped[str]
    added_at_ms: Mapped[int]
    removed_at_ms: Mapped[int | None]


class AllowEntry(Base):
    """A medium on a city's allow list while `removed_at_ms` is absent."""

    __tablename__ = "allow_entry"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    token: Mapped[bytes] = mapped_column(primary_key=True)
    reason: Mapped[str]
    added_at_ms: Mapped[int]
    removed_at_ms: Mapped[int | None]


class Ticket(Base):
    """A QR ticket that was issued; the issuer's reference makes it one.

    Attributes:
        ticket_id: 8 bytes; its keys follow from it.
        token: by which taps name it.
        signature: as the ticket carries it, 72 bytes.
    """

    __tablename__ = "ticket"
    __table_args__ = (UniqueConstraint("issuer", "reference"), UniqueConstraint("city", "token"))

    id: Mapped[int] = mapped_column(primary_key=True)
    issuer: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    ticket_id: Mapped[bytes]
    token: Mapped[bytes]
    category: Mapped[int]
    expires_s: Mapped[int]
    signature: Mapped[bytes]
    issued_at_ms: Mapped[int]


class ScreenReceipt(Base):
    """A receipt for a validator's screen code; the issuer's reference of the payment makes it one.

    Attributes:
        token: of the payment's number; the ride names it.
        text: what the rider shows.
        valid_until_s: from then on the validator takes it no more.
    """

    __tablename__ = "screen_receipt"
    __table_args__ = (UniqueConstraint("issuer", "reference"), UniqueConstraint("city", "token"))

    id: Mapped[int] = mapped_column(primary_key=True)
    issuer: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"))
    vehicle: Mapped[str]
    token: Mapped[bytes]
    category: Mapped[int]
    fare_minor: Mapped[int]
    text: Mapped[str]
    valid_until_s: Mapped[int]
    issued_at_ms: Mapped[int]


class PendingTopUp(Base):
    """Money that was paid for a card and waits until the card is held before a validator.

    Attributes:
        top_up_id: of the row of `top_up` that says who has paid.
        status: `waiting`; `applied`: the card has signed that it has it; `expired`: it has waited too long and is owed back;
            `refunded`: whoever took it has given it back.
        ended_at_ms: when it expired or was refunded.
    """

    __tablename__ = "pending_top_up"
    __table_args__ = (
        UniqueConstraint("top_up_id"),
        CheckConstraint("status IN ('waiting', 'applied', 'expired', 'refunded')", name="status"),
        Index(None, "city", "status", "token"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    top_up_id: Mapped[int]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    token: Mapped[bytes]
    amount_minor: Mapped[int]
    status: Mapped[str]
    added_at_ms: Mapped[int]
    applied_at_ms: Mapped[int | None]
    ended_at_ms: Mapped[int | None]


class GivenCommand(Base):
    """A command to load a pending top-up, given to one validator for one card at one counter; it has no key in it.

    Attributes:
        number: as the wire has it.
        masked_uid: as it was asked for; the card's key followed from it.
        status: `out`, `applied`, or `void`: it was not used, and never will be.
        sequence: of the record that says it is about to be used; absent until that has come.
    """

    __tablename__ = "top_up_command"
    __table_args__ = (
        CheckConstraint("status IN ('out', 'applied', 'void')", name="status"),
        Index(None, "device_id", "epoch", "sequence"),
    )

    number: Mapped[int] = mapped_column(primary_key=True)
    pending_id: Mapped[int] = mapped_column(ForeignKey("pending_top_up.id"), index=True)
    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"))
    epoch: Mapped[int]
    token: Mapped[bytes] = mapped_column(index=True)
    masked_uid: Mapped[bytes]
    card_counter: Mapped[int]
    amount_minor: Mapped[int]
    expires_s: Mapped[int]
    status: Mapped[str]
    sequence: Mapped[int | None]
    given_at_ms: Mapped[int]
