"""HTTP of codes: tickets for riders' apps, receipts for screen codes, labels. What goes out is for the rider alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.endpoint import ClockOf, DatabaseOf, NotFoundError
from clearing.media.codes import ScreenPayment, TicketOrder, find_labelled, give_receipt, issue_ticket, phone_keys
from clearing.media.labels import label_svg, make_label
from clearing.network.service import find_vehicle
from protocol.qr.vehicle_label import VehicleLabel

router = APIRouter(prefix="/v1")

_UNIX_S_MAX = 0xFFFFFFFF
Word = Annotated[str, Path(max_length=32)]


class TicketSold(BaseModel):
    """A ticket that somebody has sold."""

    model_config = ConfigDict(extra="forbid")

    reference: str = Field(min_length=1, max_length=64)
    city: str = Field(max_length=32)
    category: int = Field(ge=1, le=5)
    expires_s: int = Field(ge=0, le=_UNIX_S_MAX)


class ScreenPaid(BaseModel):
    """A fare that somebody has taken for a code on a validator's screen."""

    model_config = ConfigDict(extra="forbid")

    reference: str = Field(min_length=1, max_length=64)
    city: str = Field(max_length=32)
    code: str = Field(max_length=250)


@router.post("/tickets")
def sell_ticket(
    sold: TicketSold,
    request: Request,
    caller: Annotated[Caller, Depends(require("ticket.issue"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    """The ticket and its keys of three days; asked again later, it has the keys of then."""
    keys, now_ms = request.app.state.keys, clock.now_ms()
    with database.writing() as session:
        ticket = issue_ticket(session, keys, caller, now_ms, TicketOrder(**sold.model_dump()))
    return {
        "reference": ticket.reference,
        "ticket_id": ticket.ticket_id.hex(),
        "category": ticket.category,
        "expires_s": ticket.expires_s,
        "signature": ticket.signature.hex(),
        "keys": {str(day): key.hex() for day, key in phone_keys(keys, ticket, now_ms).items()},
    }


@router.post("/screen-receipts")
def receive_screen_payment(
    paid: ScreenPaid,
    request: Request,
    caller: Annotated[Caller, Depends(require("receipt.issue"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    payment = ScreenPayment(**paid.model_dump())
    with database.writing() as session:
        receipt = give_receipt(session, request.app.state.keys, caller, clock.now_ms(), payment)
    return {
        "reference": receipt.reference,
        "vehicle": receipt.vehicle,
        "fare_minor": receipt.fare_minor,
        "receipt": receipt.text,
        "valid_until_s": receipt.valid_until_s,
    }


@router.get("/labels/{city}/{vehicle}/{check}")
def read_label(
    city: Word,
    vehicle: Word,
    check: Word,
    request: Request,
    caller: Annotated[Caller, Depends(require("city.read"))],
    database: DatabaseOf,
) -> dict[str, Any]:
    """Which vehicle has this label, so that the rider can see it before paying."""
    with database.reading() as session:
        found = find_labelled(session, request.app.state.keys, caller, VehicleLabel(city.lower(), vehicle, check))
        return {"city": found.city, "vehicle": found.code, "line": found.line, "carrier": found.carrier}


@router.get("/labels/{city}/{vehicle}.svg")
def draw_label(
    city: Word,
    vehicle: Word,
    request: Request,
    caller: Annotated[Caller, Depends(require("label.print"))],
    database: DatabaseOf,
) -> Response:
    """The QR code of a vehicle's label as a drawing."""
    must_reach(caller, "label.print", city)
    with database.reading() as session:
        found = find_vehicle(session, city, vehicle)
    if found is None:
        raise NotFoundError(f"there is no vehicle {vehicle} in {city}", "look at the city package")
    return Response(label_svg(make_label(request.app.state.keys, found)), media_type="image/svg+xml")
