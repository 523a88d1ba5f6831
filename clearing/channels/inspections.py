"""What an inspector can do: say that an inspection begins, check a ticket code; and who paid only when the inspector had come.

An inspection begins when an inspector says so, or holds their card before a validator. Whoever pays in that vehicle in the half
hour that follows had perhaps ridden without paying: the payment counts, and is flagged. Taps come late, so a flag is worked out
when it is asked for and never stored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.channels.models import Inspection, QrPayment, SmsPayment
from clearing.channels.paid_rides import PAID, QR, SMS
from clearing.channels.qr_payments import provider_terms
from clearing.channels.senders import principal_name
from clearing.channels.service import digest, refuse_future, same_or_conflict, sms_terms
from clearing.channels.sms_text import same_code, typed_ticket
from clearing.endpoint import NotFoundError
from clearing.ingest.models import TapRow
from clearing.network.service import city_of, find_vehicle
from clearing.network.service_day import day_end_s, day_start_s, service_day
from protocol.tap import KIND_INSPECTION

INSPECTION_S = 1800


@dataclass(frozen=True)
class InspectionOpened:
    """An inspector begins to look at who has paid in a vehicle."""

    reference: str
    city: str
    vehicle: str
    opened_at_s: int


@dataclass(frozen=True)
class TicketCheck:
    """What a ticket code says of a rider in a vehicle.

    Attributes:
        verdict: `valid`, `unknown`, `other_vehicle`, `over` (its time has passed), `refunded`, or `after_inspection`: it was
            paid, but only when the inspector had come.
    """

    verdict: str
    source: str | None = None
    vehicle: str | None = None
    paid_at_s: int | None = None
    valid_until_s: int | None = None


@dataclass(frozen=True)
class LatePayer:
    """A ride that was paid after an inspection had begun in its vehicle."""

    source: str
    source_key: str
    vehicle: str
    paid_at_s: int
    inspected_at_s: int
    fare_minor: int


def open_inspection(session: Session, caller: Caller, now_ms: int, opened: InspectionOpened) -> Inspection:
    """Take it that an inspection begins; a repetition changes nothing.

    Raises:
        NotFoundError: there is no such vehicle.
        ConflictError: the reference was used for another one.
    """
    must_reach(caller, "inspection.run", opened.city)
    body = digest(city=opened.city, vehicle=opened.vehicle, opened_at_s=opened.opened_at_s)
    repeated = session.scalar(
        select(Inspection).where(Inspection.inspector == caller.principal_id, Inspection.reference == opened.reference)
    )
    if repeated is not None:
        return same_or_conflict(repeated, body)
    refuse_future(opened.opened_at_s, now_ms, "opened_at_s")
    if find_vehicle(session, opened.city, opened.vehicle) is None:
        raise NotFoundError(f"there is no vehicle {opened.vehicle}", "send the code painted on it")
    inspection = Inspection(
        inspector=caller.principal_id,
        reference=opened.reference,
        body_sha256=body,
        city=opened.city,
        vehicle=opened.vehicle,
        opened_at_s=opened.opened_at_s,
        received_at_ms=now_ms,
    )
    session.add(inspection)
    session.flush()
    return inspection


def check_ticket(session: Session, city: str, vehicle: str, code: str, now_s: int) -> TicketCheck:
    """Whether the holder of a ticket code has paid for a ride in this vehicle, and when."""
    typed = typed_ticket(code)
    text = select(SmsPayment).where(SmsPayment.city == city, SmsPayment.ticket == typed)
    scan = select(QrPayment).where(QrPayment.city == city, QrPayment.ticket == typed)
    payment = session.scalar(text.order_by(SmsPayment.id).limit(1)) or session.scalar(
        scan.order_by(QrPayment.id).limit(1)
    )
    return TicketCheck("unknown") if payment is None else _check(session, payment, vehicle, now_s)


def _check(session: Session, payment: SmsPayment | QrPayment, vehicle: str, now_s: int) -> TicketCheck:
    if isinstance(payment, SmsPayment):
        source = SMS
        name = principal_name(session, payment.aggregator)
        valid_s = sms_terms(session, payment.city, name, payment.service_day).ticket_s
    else:
        source = QR
        name = principal_name(session, payment.provider)
        valid_s = provider_terms(session, payment.city, name, payment.service_day).ticket_s
    until_s = payment.paid_at_s + valid_s
    openings = _openings(session, payment.city, payment.paid_at_s - INSPECTION_S, payment.paid_at_s)
    verdict = "valid"
    if payment.status == "refunded":
        verdict = "refunded"
    elif not same_code(payment.vehicle or "", vehicle):
        verdict = "other_vehicle"
    elif now_s > until_s:
        verdict = "over"
    elif _opening_before(openings.get(payment.vehicle or "", ()), payment.paid_at_s) is not None:
        verdict = "after_inspection"
    return TicketCheck(verdict, source, payment.vehicle, payment.paid_at_s, until_s)


def paid_after_inspection(session: Session, city: str, day: str) -> list[LatePayer]:
    """Who paid on a service day only when an inspection had begun, in the order of payments."""
    zone = city_of(session, city).zone
    openings = _openings(session, city, day_start_s(zone, day) - INSPECTION_S, day_end_s(zone, day))
    texts = select(SmsPayment).where(SmsPayment.city == city, SmsPayment.service_day == day, SmsPayment.status == PAID)
    scans = select(QrPayment).where(QrPayment.city == city, QrPayment.service_day == day, QrPayment.status == PAID)
    found = []
    for payment in session.scalars(texts.where(SmsPayment.vehicle.in_(openings))):
        found += _late_payer(openings, SMS, payment.aggregator, payment)
    for scan in session.scalars(scans.where(QrPayment.vehicle.in_(openings))):
        found += _late_payer(openings, QR, scan.provider, scan)
    return sorted(found, key=lambda each: (each.paid_at_s, each.source, each.source_key))


def _late_payer(
    openings: Mapping[str, Sequence[int]], source: str, sender: str, payment: SmsPayment | QrPayment
) -> list[LatePayer]:
    vehicle = payment.vehicle or ""
    opened_s = _opening_before(openings.get(vehicle, ()), payment.paid_at_s)
    if opened_s is None:
        return []
    key = f"{sender}/{payment.reference}"
    return [LatePayer(source, key, vehicle, payment.paid_at_s, opened_s, payment.fare_minor)]


def _opening_before(openings: Sequence[int], at_s: int) -> int | None:
    """When the inspection began in which a moment lies."""
    index = bisect_right(openings, at_s)
    return openings[index - 1] if index and at_s - openings[index - 1] <= INSPECTION_S else None


def _openings(session: Session, city: str, from_s: int, until_s: int) -> Mapping[str, Sequence[int]]:
    """When inspections began, by vehicle, in order."""
    said = select(Inspection.vehicle, Inspection.opened_at_s).where(
        Inspection.city == city, Inspection.opened_at_s.between(from_s, until_s)
    )
    zone = city_of(session, city).zone
    days = (service_day(zone, from_s), service_day(zone, until_s))
    tapped = select(TapRow.vehicle, TapRow.tapped_at_s).where(
        TapRow.city == city,
        TapRow.service_day.between(*days),
        TapRow.kind == KIND_INSPECTION,
        TapRow.tapped_at_s.between(from_s, until_s),
    )
    found: dict[str, list[int]] = {}
    for query in (said, tapped):
        for vehicle, at_s in session.execute(query):
            found.setdefault(vehicle, []).append(at_s)
    return {vehicle: sorted(moments) for vehicle, moments in found.items()}
