"""What a rider sees before paying by a code: which vehicle, route and number plate, so that a fake sticker is noticed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from clearing.access.permission import open_to
from clearing.channels.payment_page import payment_page
from clearing.dashboard.rendering import language_of, render
from clearing.endpoint import ClockOf, DatabaseOf

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/pay/{city}")
@router.get("/pay/{city}/{vehicle}")
def show_vehicle(
    request: Request,
    _gate: Annotated[None, Depends(open_to("riders look before they pay; it says what stands on the bus"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: str,
    vehicle: str | None = None,
    code: Annotated[str | None, Query(max_length=512)] = None,
) -> HTMLResponse:
    with database.reading() as session:
        shown = payment_page(session, request.app.state.keys, city, vehicle, code, clock.now_ms())
    return render(
        request,
        "pay.html",
        section="",
        place=None,
        shown=shown,
        route=shown.route.get(language_of(request), ""),
        carrier=shown.carrier.get(language_of(request), ""),
    )
