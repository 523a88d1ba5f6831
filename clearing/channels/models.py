"""Tables of the channels: what does not come from a validator. The sender's reference makes each message count once.

`body_sha256` is over what was asked: the same reference with another body is a conflict, not a repetition. `charged_once` is over
what the rider did; it is unique, so that one message or scan is charged once even when it comes under two references.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class ChannelKey(Base):
    """A key by which a sender signs its messages: a shared secret that follows from the key store, or the sender's public key.

    Attributes:
        kind: `hmac` or `es256`.
        x, y: the public point; absent for a shared secret, of which nothing is stored.
    """

    __tablename__ = "channel_key"
    __table_args__ = (CheckConstraint("(kind = 'hmac') = (x IS NULL)", name="one_kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    principal_id: Mapped[str] = mapped_column(ForeignKey("principal.id"), index=True)
    kind: Mapped[str]
    x: Mapped[bytes | None]
    y: Mapped[bytes | None]
    created_at_ms: Mapped[int]
    revoked_at_ms: Mapped[int | None]


class SmsPayment(Base):
    """A text message to a vehicle's code, and the answer that was given, and is given when it comes again.

    Attributes:
        aggregator: id of the principal that sent it.
        status: `paid`, `rejected` when the code is unknown, `expired` when it came too late, `duplicate` when the same message
            was charged under another reference; only `paid` is a ride.
        token: keyed token of the telephone number, which is not stored.
        ticket: short code that the rider shows an inspector.
    """

    __tablename__ = "sms_payment"
    __table_args__ = (
        UniqueConstraint("aggregator", "reference"),
        Index(None, "city", "service_day"),
        Index(None, "charged_once", unique=True),
        Index(None, "city", "ticket"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    aggregator: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    charged_once: Mapped[bytes | None]
    status: Mapped[str]
    token: Mapped[bytes]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    vehicle: Mapped[str | None]
    carrier: Mapped[str | None]
    line: Mapped[int | None]
    fare_minor: Mapped[int]
    paid_at_s: Mapped[int]
    service_day: Mapped[str]
    ticket: Mapped[str | None]
    reply: Mapped[str]
    received_at_ms: Mapped[int]


class QrPayment(Base):
    """A payment that a QR provider has taken for a ride in one vehicle.

    Attributes:
        provider: id of the principal that sent it.
        status: `paid`, `refused` (the provider gives the money back), or `refunded`; only `paid` is a ride.
        reason: why it was refused; otherwise absent.
        medium: `qr` for the vehicle's label, `qr_screen` for the code on a validator's screen.
        device_id, minute: of the screen code; absent for a label.
        token: keyed token of the payer as the provider names it, who is not stored.
        amount_minor: taken from the rider; `fare_minor` is the price of the ride, 0 when it was refused.
        ticket: short code that the rider shows an inspector.
    """

    __tablename__ = "qr_payment"
    __table_args__ = (
        UniqueConstraint("provider", "reference"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index(None, "city", "service_day"),
        Index(None, "charged_once", unique=True),
        Index(None, "city", "ticket"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    charged_once: Mapped[bytes | None]
    status: Mapped[str]
    reason: Mapped[str | None]
    medium: Mapped[str]
    device_id: Mapped[bytes | None]
    minute: Mapped[int | None]
    token: Mapped[bytes]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    vehicle: Mapped[str | None]
    carrier: Mapped[str | None]
    line: Mapped[int | None]
    amount_minor: Mapped[int]
    fare_minor: Mapped[int]
    paid_at_s: Mapped[int]
    service_day: Mapped[str]
    ticket: Mapped[str | None]
    received_at_ms: Mapped[int]


class QrRefund(Base):
    """A payment that its provider has given back to the rider, whole."""

    __tablename__ = "qr_refund"
    __table_args__ = (UniqueConstraint("provider", "reference"), UniqueConstraint("payment_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    payment_id: Mapped[int] = mapped_column(ForeignKey("qr_payment.id"))
    at_s: Mapped[int]
    received_at_ms: Mapped[int]


class Inspection(Base):
    """An inspector has begun to look at who has paid in a vehicle; who pays after that had ridden without."""

    __tablename__ = "inspection"
    __table_args__ = (UniqueConstraint("inspector", "reference"), Index(None, "city", "vehicle", "opened_at_s"))

    id: Mapped[int] = mapped_column(primary_key=True)
    inspector: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    vehicle: Mapped[str]
    opened_at_s: Mapped[int]
    received_at_ms: Mapped[int]


class TopUp(Base):
    """Money that an agent took for a medium."""

    __tablename__ = "top_up"
    __table_args__ = (
        UniqueConstraint("agent", "reference"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index(None, "city", "service_day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    agent: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    token: Mapped[bytes]
    amount_minor: Mapped[int]
    at_s: Mapped[int]
    service_day: Mapped[str]
    received_at_ms: Mapped[int]


class Register(Base):
    """An agent's register file that was taken in, so that the same file is known when it comes again.

    Attributes:
        sha256: of the file, hexadecimal.
        top_ups, top_ups_minor: what it lists; `added` of them were not known before.
    """

    __tablename__ = "register"
    __table_args__ = (UniqueConstraint("city", "agent", "sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    agent: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    sha256: Mapped[str]
    top_ups: Mapped[int]
    top_ups_minor: Mapped[int]
    added: Mapped[int]
    taken_by: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    received_at_ms: Mapped[int]


class TillCount(Base):
    """What somebody counted of a driver's cash.

    Attributes:
        vehicle, shift: of whose till; absent when the carrier counts a day's cash as a whole.
        service_day: on which it was taken.
    """

    __tablename__ = "till_count"
    __table_args__ = (
        UniqueConstraint("counted_by", "reference"),
        CheckConstraint("counted_minor >= 0", name="counted_not_negative"),
        Index(None, "city", "service_day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    counted_by: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    carrier: Mapped[str]
    vehicle: Mapped[str | None]
    shift: Mapped[int | None]
    service_day: Mapped[str]
    counted_minor: Mapped[int]
    received_at_ms: Mapped[int]


class Remittance(Base):
    """Money that has come to the bank from who had taken it from riders: a provider, an aggregator, an agent, a carrier's tills.

    Attributes:
        party_kind: `qr_provider`, `sms_aggregator`, `agent` or `carrier`.
        party: its code.
        reference: the bank's.
        service_day: for which it was paid; absent when nobody says so, and then it pays the oldest debt.
        amount_minor: as it came to the bank.
        commission_minor: kept by the party, as was agreed.
        entry_key: of what was booked.
    """

    __tablename__ = "remittance"
    __table_args__ = (
        UniqueConstraint("city", "party_kind", "party", "reference"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index(None, "city", "banked_day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    party_kind: Mapped[str]
    party: Mapped[str]
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
    service_day: Mapped[str | None]
    banked_day: Mapped[str]
    amount_minor: Mapped[int]
    commission_minor: Mapped[int]
    entry_key: Mapped[str]
    recorded_by: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    received_at_ms: Mapped[int]
