"""Pages of rides: those of a day, and one of them: why it costs what it costs, what vouches for it, where it is booked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from clearing.dashboard.place import AskedDay, Reader, find_place
from clearing.dashboard.rendering import language_of, render
from clearing.endpoint import ClockOf, DatabaseOf, NotFoundError
from clearing.ingest.seals import Seal, seal_of
from clearing.ledger.entries import Entry
from clearing.ledger.service import entries_by_prefix
from clearing.network.service_day import service_day
from clearing.pricing.service import list_fares
from clearing.pricing.why import Why, why
from clearing.settlement.service import carrier_names
from clearing.statistics.service import last_day_with_rides

router = APIRouter(default_response_class=HTMLResponse)

_SHOWN = 100


@router.get("/rides")
def rides_page(
    request: Request,
    caller: Reader,
    database: DatabaseOf,
    clock: ClockOf,
    city: str | None = None,
    day: AskedDay = None,
    vehicle: Annotated[str, Query(max_length=32)] = "",
    after: Annotated[str, Query(max_length=200)] = "",
) -> HTMLResponse:
    """A page of a closed day's rides, in the order of their keys."""
    source, _, source_key = after.partition("/")
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        today = service_day(place.zone, clock.now_ms() // 1000)
        shown = day or last_day_with_rides(session, place.code, today) or today
        fares = list_fares(
            session, place.code, shown, (source, source_key), _SHOWN + 1, vehicle.strip().upper() or None
        )
    more = fares[_SHOWN - 1] if len(fares) > _SHOWN else None
    return render(
        request,
        "rides.html",
        section="rides",
        place=place,
        day=shown,
        vehicle=vehicle,
        fares=fares[:_SHOWN],
        next_after="" if more is None else f"{more.source}/{more.source_key}",
    )


@router.get("/rides/{key:path}")
def ride_page(request: Request, caller: Reader, database: DatabaseOf, key: str) -> HTMLResponse:
    with database.reading() as session:
        ride = why(session, key, language_of(request))
        if not caller.may("page.read", ride.city):
            # Who may not look at the city is not told that there is such a ride.
            raise NotFoundError("there is no such ride", "look it up on the page of its day")
        place = find_place(request, session, caller, ride.city)
        names = carrier_names(session, ride.city, language_of(request))
        return render(
            request,
            "ride.html",
            section="rides",
            place=place,
            ride=ride,
            carriers=names,
            seal=_seal(session, ride),
            entries=_entries(session, ride),
        )


def _seal(session: Session, ride: Why) -> Seal | None:
    source, _, source_key = ride.key.partition("/")
    if source != "tap":
        return None
    device, epoch, sequence = source_key.split("/")
    return seal_of(session, bytes.fromhex(device), int(epoch), int(sequence))


def _entries(session: Session, ride: Why) -> list[Entry]:
    """The entries of all versions of its day that book rides like this one: carrier and medium."""
    booked = entries_by_prefix(session, f"close/{ride.city}/{ride.day}/")
    subject = [ride.carrier, ride.medium]
    return [entry for entry in booked if entry.entry_key.split("/")[4:] == subject]
