"""Tables of the channels: what does not come from a validator. The sender's reference makes each message count once.

`body_sha256` is over what was asked: the same reference with another body is a conflict, not a repetition.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class SmsPayment(Base):
    """A text message to a vehicle's code, and the answer that was given, and is given when it comes again.

    Attributes:
        aggregator: id of the principal that sent it.
        status: `paid`, or `rejected` when the code is unknown; only `paid` is a ride.
        token: keyed token of the telephone number, which is not stored.
        ticket: short code that the rider shows an inspector.
    """

    __tablename__ = "sms_payment"
    __table_args__ = (UniqueConstraint("aggregator", "reference"), Index(None, "city", "service_day"))

    id: Mapped[int] = mapped_column(primary_key=True)
    aggregator: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    reference: Mapped[str]
    body_sha256: Mapped[bytes]
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
