"""Pages of bank cards: what became of a day's charges, what riders owe, one charge with its rides. A card is nowhere in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.acquiring.views import charges_of_day, day_totals, debts, history_of
from clearing.dashboard.place import AskedDay, find_place
from clearing.dashboard.rendering import language_of, render
from clearing.endpoint import ClockOf, DatabaseOf, NotFoundError
from clearing.network.service_day import service_day
from clearing.settlement.service import carrier_names
from clearing.statistics.service import last_day_with_rides

router = APIRouter(default_response_class=HTMLResponse)
ChargeReader = Annotated[Caller, Depends(require("charge.read"))]
_SHOWN = 100


@router.get("/charges")
def charges_page(
    request: Request,
    caller: ChargeReader,
    database: DatabaseOf,
    clock: ClockOf,
    city: str | None = None,
    day: AskedDay = None,
) -> HTMLResponse:
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        today = service_day(place.zone, clock.now_ms() // 1000)
        shown = day or last_day_with_rides(session, place.code, today) or today
        return render(
            request,
            "charges.html",
            section="charges",
            place=place,
            day=shown,
            totals=day_totals(session, place.code, shown),
            charges=charges_of_day(session, place.code, shown, limit=_SHOWN),
            debts=debts(session, place.code, limit=_SHOWN),
            shown_max=_SHOWN,
        )


@router.get("/charges/{reference}")
def charge_page(request: Request, caller: ChargeReader, database: DatabaseOf, reference: str) -> HTMLResponse:
    with database.reading() as session:
        history = history_of(session, reference)
        if not caller.may("charge.read", history.charge.city):
            raise NotFoundError("there is no such charge", "look it up on the page of its day")
        place = find_place(request, session, caller, history.charge.city)
        names = carrier_names(session, place.code, language_of(request))
    return render(
        request,
        "charge.html",
        section="charges",
        place=place,
        charge=history.charge,
        history=history,
        carriers=names,
    )
