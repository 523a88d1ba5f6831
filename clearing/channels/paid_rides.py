"""Rides that were paid by a channel, all of them in one shape: what pricing asks of the channels.

A payment for a screen code whose receipt was given out is left out: the validator that was shown the receipt has the ride.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.channels.models import QrPayment, SmsPayment
from clearing.media.models import ScreenReceipt

PAID = "paid"
SMS = "sms"
QR = "qr"


@dataclass(frozen=True)
class PaidRide:
    """A ride that was paid by a channel.

    Attributes:
        source: `sms` or `qr`.
        source_key: `PRINCIPAL/REFERENCE`; with the source it makes it one ride.
        token: keyed token of the payer.
        medium: by whose price it goes: `sms`, `qr` (a vehicle's label) or `qr_screen`.
        fare_minor: what was taken.
    """

    source: str
    source_key: str
    token: bytes
    vehicle: str
    carrier: str
    line: int | None
    medium: str
    fare_minor: int
    paid_at_s: int


def paid_rides(session: Session, city: str, day: str) -> list[PaidRide]:
    """What channels were paid for on a service day, in the order of (source, source key)."""
    texts = session.scalars(
        select(SmsPayment).where(SmsPayment.city == city, SmsPayment.service_day == day, SmsPayment.status == PAID)
    )
    rides = [_ride(SMS, f"{each.aggregator}/{each.reference}", SMS, each) for each in texts]
    has_receipt = (
        select(ScreenReceipt.id)
        .where(ScreenReceipt.issuer == QrPayment.provider, ScreenReceipt.reference == QrPayment.reference)
        .exists()
    )
    scans = session.scalars(
        select(QrPayment).where(
            QrPayment.city == city, QrPayment.service_day == day, QrPayment.status == PAID, ~has_receipt
        )
    )
    rides += [_ride(QR, f"{each.provider}/{each.reference}", each.medium, each) for each in scans]
    return sorted(rides, key=lambda ride: (ride.source, ride.source_key))


def _ride(source: str, source_key: str, medium: str, payment: SmsPayment | QrPayment) -> PaidRide:
    assert payment.vehicle is not None
    assert payment.carrier is not None
    return PaidRide(
        source,
        source_key,
        payment.token,
        payment.vehicle,
        payment.carrier,
        payment.line,
        medium,
        payment.fare_minor,
        payment.paid_at_s,
    )
