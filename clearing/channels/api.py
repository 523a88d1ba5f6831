"""HTTP of the channels: SMS, QR payments, top-ups, inspections. What moves money without a rider has a module of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, open_to, require
from clearing.access.roles import Caller
from clearing.channels import money_api
from clearing.channels.inspections import InspectionOpened, check_ticket, open_inspection, paid_after_inspection
from clearing.channels.payment_page import payment_page
from clearing.channels.qr_payments import QrNotice, QrRefunded, take_qr_payment, take_qr_refund
from clearing.channels.senders import require_signed
from clearing.channels.service import SmsMessage, TopUpOrder, take_sms, take_top_up
from clearing.channels.signatures import KEY_HEADER, SIGNATURE_HEADER, TIME_HEADER, SignedRequest, read_request
from clearing.endpoint import ClockOf, DatabaseOf, Day

_channels = APIRouter(prefix="/v1")

_UNIX_S_MAX = 0xFFFFFFFF
_AMOUNT_MINOR_MAX = 10_000_000_00
_CODE_CHARACTERS_MAX = 250
Reference = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Moment = Annotated[int, Field(ge=0, le=_UNIX_S_MAX)]
AmountMinor = Annotated[int, Field(gt=0, le=_AMOUNT_MINOR_MAX)]
CityCode = Annotated[str, Field(max_length=32)]
VehicleCode = Annotated[str, Path(max_length=32)]


class SmsReceived(BaseModel):
    """A text message to a vehicle's code."""

    model_config = ConfigDict(extra="forbid")

    reference: str = Field(min_length=1, max_length=64)
    msisdn: str = Field(min_length=1, max_length=24)
    text: str = Field(max_length=160)
    sent_at_s: Moment
    city: CityCode | None = None


class QrReceived(BaseModel):
    """A payment that a provider has taken for a scanned code."""

    model_config = ConfigDict(extra="forbid")

    reference: Reference
    city: CityCode
    code: str = Field(min_length=1, max_length=_CODE_CHARACTERS_MAX)
    plate: str = Field(min_length=1, max_length=32)
    payer: str = Field(min_length=1, max_length=128)
    amount_minor: AmountMinor
    currency: str = Field(min_length=3, max_length=3)
    paid_at_s: Moment


class QrGivenBack(BaseModel):
    """A payment that a provider has given back, named by the provider's reference."""

    model_config = ConfigDict(extra="forbid")

    reference: Reference
    payment: Reference
    at_s: Moment


class TopUpReceived(BaseModel):
    """Money taken for a medium; `on_bus` says that a validator shall load it onto the card, as whoever took it could not."""

    model_config = ConfigDict(extra="forbid")

    reference: str = Field(min_length=1, max_length=64)
    token: str = Field(max_length=32)
    amount_minor: AmountMinor
    at_s: Moment
    city: CityCode | None = None
    on_bus: bool = False


class InspectionBegun(BaseModel):
    """An inspector begins to look at who has paid in a vehicle."""

    model_config = ConfigDict(extra="forbid")

    reference: Reference
    city: CityCode
    vehicle: str = Field(min_length=1, max_length=32)
    opened_at_s: Moment


async def _signed(request: Request) -> SignedRequest:
    """The request as its signature looks at it: with the body exactly as it came."""
    headers = (request.headers.get(name, "") for name in (KEY_HEADER, TIME_HEADER, SIGNATURE_HEADER))
    return read_request(request.method, request.url.path, await request.body(), *headers)


SignedOf = Annotated[SignedRequest, Depends(_signed)]


@_channels.post("/sms")
def receive_sms(
    message: SmsReceived,
    request: Request,
    signed: SignedOf,
    caller: Annotated[Caller, Depends(require("sms.receive"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    keys, now_ms = request.app.state.keys, clock.now_ms()
    with database.writing() as session:
        require_signed(session, keys, caller, now_ms, signed)
        payment = take_sms(session, keys, caller, now_ms, SmsMessage(**message.model_dump()))
    return {
        "reference": payment.reference,
        "status": payment.status,
        "fare_minor": payment.fare_minor,
        "ticket": payment.ticket,
        "reply": payment.reply,
    }


@_channels.post("/qr-payments")
def receive_qr_payment(
    notice: QrReceived,
    request: Request,
    signed: SignedOf,
    caller: Annotated[Caller, Depends(require("qr.receive"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    """Answers `paid`, or `refused` with the reason: then the provider gives the money back."""
    keys, now_ms = request.app.state.keys, clock.now_ms()
    with database.writing() as session:
        require_signed(session, keys, caller, now_ms, signed)
        payment = take_qr_payment(session, keys, caller, now_ms, QrNotice(**notice.model_dump()))
    return {
        "reference": payment.reference,
        "status": payment.status,
        "reason": payment.reason,
        "vehicle": payment.vehicle,
        "fare_minor": payment.fare_minor,
        "ticket": payment.ticket,
    }


@_channels.post("/qr-refunds")
def receive_qr_refund(
    refunded: QrGivenBack,
    request: Request,
    signed: SignedOf,
    caller: Annotated[Caller, Depends(require("qr.receive"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    keys, now_ms = request.app.state.keys, clock.now_ms()
    with database.writing() as session:
        require_signed(session, keys, caller, now_ms, signed)
        payment = take_qr_refund(session, caller, now_ms, QrRefunded(**refunded.model_dump()))
    return {"reference": refunded.reference, "payment": payment.reference, "status": payment.status}


@_channels.get("/pay")
@_channels.get("/pay/{vehicle}")
def read_payment_page(
    request: Request,
    _gate: Annotated[None, Depends(open_to("riders look before they pay; it says what stands on the bus"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: Annotated[str, Query(max_length=32)],
    vehicle: VehicleCode | None = None,
    code: Annotated[str | None, Query(max_length=_CODE_CHARACTERS_MAX)] = None,
) -> dict[str, Any]:
    """Which vehicle, route and plate a code leads to, so that a rider notices a fake sticker, and what a ride costs."""
    with database.reading() as session:
        return asdict(payment_page(session, request.app.state.keys, city, vehicle, code, clock.now_ms()))


@_channels.post("/top-ups")
def receive_top_up(
    order: TopUpReceived,
    request: Request,
    caller: Annotated[Caller, Depends(require("top_up.receive"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        keys = request.app.state.keys
        top_up, status = take_top_up(session, keys, caller, clock.now_ms(), TopUpOrder(**order.model_dump()))
        return {"reference": top_up.reference, "status": status, "amount_minor": top_up.amount_minor}


@_channels.post("/inspections", status_code=201)
def begin_inspection(
    begun: InspectionBegun,
    caller: Annotated[Caller, Depends(require("inspection.run"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        inspection = open_inspection(session, caller, clock.now_ms(), InspectionOpened(**begun.model_dump()))
    return {"reference": inspection.reference, "vehicle": inspection.vehicle, "opened_at_s": inspection.opened_at_s}


@_channels.get("/ticket-checks")
def read_ticket_check(
    caller: Annotated[Caller, Depends(require("inspection.run"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: Annotated[str, Query(max_length=32)],
    vehicle: Annotated[str, Query(max_length=32)],
    code: Annotated[str, Query(max_length=32)],
) -> dict[str, Any]:
    """Whether who shows a ticket code in a vehicle has paid there, and when."""
    must_reach(caller, "inspection.run", city)
    with database.reading() as session:
        return asdict(check_ticket(session, city, vehicle, code, clock.now_ms() // 1000))


@_channels.get("/late-payers")
def read_late_payers(
    _caller: Annotated[Caller, Depends(require("channel.read"))], database: DatabaseOf, city: str, day: Day
) -> dict[str, Any]:
    """Payments of a day that were made only when an inspection had begun."""
    with database.reading() as session:
        return {"late_payers": [asdict(each) for each in paid_after_inspection(session, city, day)]}


router = APIRouter()
router.include_router(_channels)
router.include_router(money_api.router)
