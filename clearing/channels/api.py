"""HTTP of the channels: the webhook of an SMS aggregator, top-ups by agents."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.channels.service import SmsMessage, TopUpOrder, take_sms, take_top_up
from clearing.endpoint import ClockOf, DatabaseOf

router = APIRouter(prefix="/v1")

_UNIX_S_MAX = 0xFFFFFFFF
_AMOUNT_MINOR_MAX = 10_000_000_00


class SmsReceived(BaseModel):
    """A text message to a vehicle's code."""

    model_config = ConfigDict(extra="forbid")

    reference: str = Field(min_length=1, max_length=64)
    msisdn: str = Field(min_length=1, max_length=24)
    text: str = Field(max_length=160)
    sent_at_s: int = Field(ge=0, le=_UNIX_S_MAX)
    city: str | None = Field(default=None, max_length=32)


class TopUpReceived(BaseModel):
    """Money taken for a medium; `on_bus` says that a validator shall load it onto the card, as whoever took it could not."""

    model_config = ConfigDict(extra="forbid")

    reference: str = Field(min_length=1, max_length=64)
    token: str = Field(max_length=32)
    amount_minor: int = Field(gt=0, le=_AMOUNT_MINOR_MAX)
    at_s: int = Field(ge=0, le=_UNIX_S_MAX)
    city: str | None = Field(default=None, max_length=32)
    on_bus: bool = False


@router.post("/sms")
def receive_sms(
    message: SmsReceived,
    request: Request,
    caller: Annotated[Caller, Depends(require("sms.receive"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        payment = take_sms(session, request.app.state.keys, caller, clock.now_ms(), SmsMessage(**message.model_dump()))
    return {
        "reference": payment.reference,
        "status": payment.status,
        "fare_minor": payment.fare_minor,
        "ticket": payment.ticket,
        "reply": payment.reply,
    }


@router.post("/top-ups")
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
