"""The table of fares: one row is one cleared ride, whether it came by a validator or by SMS."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class Fare(Base):
    """A ride with its price.

    Attributes:
        source: `tap`, or a channel such as `sms`.
        source_key: what makes it one ride: `device/epoch/sequence` or `aggregator/reference`.
        device_id, epoch, sequence: of the tap; absent for a channel.
        medium: text name, such as `transport_card`.
        scheduled_minor: price by the tariff of the service day.
        charged_minor: what the rider is charged: never more than scheduled.
        cash_minor: what an adult would have paid in cash that day; absent where cash is not taken.
        correction_minor: charged on the bus beyond the tariff, owed back to the rider.
        rule: why, as a name of `clearing.pricing.reasons`.
        riders: how many the medium paid for.
        subsidy_minor: what the payer of the rider's concession owes for the ride.
        journey_key: `source/source_key` of the ride that opened the journey; absent where this one did.
        explanation_json: why it has this price, canonical JSON (`clearing.pricing.derivation`).
    """

    __tablename__ = "fare"
    __table_args__ = (
        UniqueConstraint("source", "source_key"),
        Index(None, "city", "service_day", "medium"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    source_key: Mapped[str]
    device_id: Mapped[bytes | None]
    epoch: Mapped[int | None]
    sequence: Mapped[int | None]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    service_day: Mapped[str]
    carrier: Mapped[str]
    vehicle: Mapped[str]
    line: Mapped[int | None]
    medium: Mapped[str]
    category: Mapped[int]
    token: Mapped[bytes | None]
    ridden_at_s: Mapped[int]
    scheduled_minor: Mapped[int]
    charged_minor: Mapped[int]
    cash_minor: Mapped[int | None]
    correction_minor: Mapped[int]
    rule: Mapped[str] = mapped_column(default="tariff", server_default="tariff")
    riders: Mapped[int] = mapped_column(default=1, server_default="1")
    subsidy_minor: Mapped[int] = mapped_column(default=0, server_default="0")
    journey_key: Mapped[str | None]
    explanation_json: Mapped[str]


class CardProof(Base):
    """Whether a transport card has signed a ride: `proven`, `wrong` or `missing`. Its key is that of the ride's tap."""

    __tablename__ = "card_proof"

    device_id: Mapped[bytes] = mapped_column(ForeignKey("validator.device_id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    verdict: Mapped[str]
    checked_at_ms: Mapped[int]
