"""Cash: what somebody counted of a driver's till. Held against taps and bank in `clearing.reconciliation.cash`."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.channels.models import TillCount
from clearing.channels.service import digest, same_or_conflict
from clearing.endpoint import InvalidError, NotFoundError
from clearing.ledger.chart import counted_account, till_account
from clearing.ledger.entries import entry_of
from clearing.ledger.service import book_all
from clearing.network.models import Carrier
from clearing.network.service import city_of, find_vehicle
from clearing.network.service_day import service_day


@dataclass(frozen=True)
class TillCounted:
    """Cash of a service day as somebody counted it: of a vehicle's till, of a driver's shift, or of a carrier as a whole."""

    reference: str
    city: str
    carrier: str
    day: str
    counted_minor: int
    vehicle: str | None = None
    shift: int | None = None


def count_till(session: Session, caller: Caller, now_ms: int, counted: TillCounted) -> TillCount:
    """Take a count and book it; a repetition changes nothing. What is missing stays in the till's account, and is a break.

    Raises:
        NotFoundError: there is no such carrier, or the vehicle is not its own.
        InvalidError: the day has not begun.
        ConflictError: the reference was used for another count.
    """
    must_reach(caller, "cash.count", counted.city)
    city = city_of(session, counted.city)
    body = digest(**vars(counted))
    repeated = session.scalar(
        select(TillCount).where(TillCount.counted_by == caller.principal_id, TillCount.reference == counted.reference)
    )
    if repeated is not None:
        return same_or_conflict(repeated, body)
    if session.get(Carrier, (counted.city, counted.carrier)) is None:
        raise NotFoundError(f"there is no carrier {counted.carrier}", "send its code from the city package")
    vehicle = None if counted.vehicle is None else find_vehicle(session, counted.city, counted.vehicle)
    if counted.vehicle is not None and (vehicle is None or vehicle.carrier != counted.carrier):
        raise NotFoundError(f"{counted.carrier} has no vehicle {counted.vehicle}", "send the code painted on it")
    if counted.day > service_day(city.zone, now_ms // 1000):
        raise InvalidError(f"the service day {counted.day} has not begun", "send the day on which the cash was taken")
    count = TillCount(
        counted_by=caller.principal_id,
        reference=counted.reference,
        body_sha256=body,
        city=counted.city,
        carrier=counted.carrier,
        vehicle=counted.vehicle,
        shift=counted.shift,
        service_day=counted.day,
        counted_minor=counted.counted_minor,
        received_at_ms=now_ms,
    )
    session.add(count)
    session.flush()
    _book(session, count, now_ms)
    detail = {"carrier": count.carrier, "day": count.service_day, "counted_minor": count.counted_minor}
    record_audit(session, caller.principal_id, now_ms, "cash.count", str(count.id), detail)
    return count


def _book(session: Session, count: TillCount, now_ms: int) -> None:
    city, carrier, day = count.city, count.carrier, count.service_day
    legs = {counted_account(city, carrier): count.counted_minor, till_account(city, carrier): -count.counted_minor}
    entry = entry_of(f"till/{city}/{day}/{count.id}", city, day, f"{day}: cash of {carrier} counted", legs)
    book_all(session, [] if entry is None else [entry], now_ms)
