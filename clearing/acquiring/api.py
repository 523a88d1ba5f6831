"""HTTP of acquiring: what the acquirer tells, what riders pay, and what operators look at."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.acquiring.giving_back import Dispute, refund_charge, take_dispute
from clearing.acquiring.items import StatementItem, acquirer_items, settle
from clearing.acquiring.service import CardholderPayment, Notice, find_charge, take_notice, take_payment
from clearing.acquiring.views import charges_of_day, day_totals, debts, history_of, view_of
from clearing.endpoint import ClockOf, DatabaseOf, Day
from clearing.fleet.documents import DENY_LIST
from clearing.fleet.lists import sign_whole
from clearing.network.service import city_of

router = APIRouter(prefix="/v1/acquiring")

Reference = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
AmountMinor = Annotated[int, Field(gt=0, le=10_000_000_00)]
_SIGNED_MINOR_MAX = 10_000_000_00
_ITEMS_MAX = 1000
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Limit = Annotated[int, Query(ge=1, le=5000)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NoticeReceived(Body):
    """What became of an operation of ours; an account verification is over nothing."""

    reference: Reference
    operation: Reference
    status: Literal["done", "refused"]
    amount_minor: int = Field(ge=0, le=_SIGNED_MINOR_MAX)
    currency: Currency
    acquirer_reference: str = Field(default="", max_length=64, pattern=r"^[!-~]*$")
    code: str = Field(default="", max_length=64, pattern=r"^[!-~]*$")


class PaymentReceived(Body):
    """A cardholder has paid a debt on a page."""

    reference: Reference
    charge: Reference
    amount_minor: AmountMinor
    currency: Currency


class DisputeReceived(Body):
    """A chargeback, or how it ended."""

    reference: Reference
    operation: Reference
    amount_minor: AmountMinor
    currency: Currency
    status: Literal["open", "won", "lost"]


class RefundAsked(Body):
    """Money that a rider shall have back."""

    charge: Reference
    amount_minor: AmountMinor
    reason: str = Field(min_length=1, max_length=200)


class ItemSettled(Body):
    """One item of a statement that was paid out."""

    reference: Reference
    kind: Literal["capture", "payment", "refund", "chargeback"]
    amount_minor: int = Field(ge=-_SIGNED_MINOR_MAX, le=_SIGNED_MINOR_MAX)
    fee_minor: int = Field(default=0, ge=-_SIGNED_MINOR_MAX, le=_SIGNED_MINOR_MAX)
    currency: Currency
    settled_day: Day
    acquirer_reference: str = Field(default="", max_length=64, pattern=r"^[!-~]*$")


class Settlement(Body):
    """What was paid out, as far as it was matched."""

    city: str = Field(max_length=32)
    items: list[ItemSettled] = Field(min_length=1, max_length=_ITEMS_MAX)


@router.post("/notifications")
def receive_notice(
    told: NoticeReceived,
    request: Request,
    caller: Annotated[Caller, Depends(require("acquirer.notify"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        keys, now_ms = request.app.state.keys, clock.now_ms()
        verdict = take_notice(session, keys, caller, now_ms, Notice(**told.model_dump()))
    return {"reference": told.reference, "verdict": verdict}


@router.post("/payments")
def receive_payment(
    told: PaymentReceived,
    request: Request,
    caller: Annotated[Caller, Depends(require("debt.pay"))],
    database: DatabaseOf,
    clock: ClockOf,
    afterwards: BackgroundTasks,
) -> dict[str, Any]:
    with database.writing() as session:
        keys, now_ms, payment = request.app.state.keys, clock.now_ms(), CardholderPayment(**told.model_dump())
        charge = view_of(take_payment(session, keys, caller, now_ms, payment, "debt.pay"))
    # Once the answer is sent: nobody waits for it.
    afterwards.add_task(sign_whole, database, keys, DENY_LIST, charge.city)
    return {"reference": told.reference, "charge": charge.reference, "state": charge.state}


@router.post("/chargebacks")
def receive_dispute(
    told: DisputeReceived,
    caller: Annotated[Caller, Depends(require("chargeback.receive"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        dispute = Dispute(**told.model_dump())
        charge = view_of(take_dispute(session, caller, clock.now_ms(), dispute, "chargeback.receive"))
    return {
        "reference": told.reference,
        "charge": charge.reference,
        "disputed_minor": charge.disputed_minor,
        "lost_minor": charge.lost_minor,
    }


@router.post("/refunds")
def refund(
    asked: RefundAsked,
    caller: Annotated[Caller, Depends(require("charge.refund"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> JSONResponse:
    """Give a rider money back; 202 while a second person has not approved exactly this, then the same again does it."""
    with database.writing() as session:
        charge, waiting = refund_charge(session, caller, clock.now_ms(), asked.charge, asked.amount_minor, asked.reason)
        shown = asdict(view_of(charge))
    if waiting is not None:
        return JSONResponse({"approval": waiting.id, "charge": shown["reference"]}, 202)
    return JSONResponse(shown)


@router.post("/settlements")
def receive_settlement(
    told: Settlement,
    caller: Annotated[Caller, Depends(require("acquiring.settle"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    must_reach(caller, "acquiring.settle", told.city)
    with database.writing() as session:
        items = [StatementItem(**item.model_dump()) for item in told.items]
        verdicts = settle(session, caller, clock.now_ms(), told.city, items)
    return {
        "items": [
            {"reference": item.reference, "kind": item.kind, "verdict": verdict}
            for item, verdict in zip(items, verdicts, strict=True)
        ]
    }


ChargeReader = Annotated[Caller, Depends(require("charge.read"))]


@router.get("/charges")
def read_charges(
    _caller: ChargeReader,
    database: DatabaseOf,
    city: str,
    day: Day,
    after: Annotated[str, Query(max_length=64)] = "",
    limit: Limit = 1000,
) -> dict[str, Any]:
    """One page of a day's charges, and the day by state; the next page begins after `next_after`, null at the end."""
    with database.reading() as session:
        city_of(session, city)
        charges = charges_of_day(session, city, day, after, limit)
        totals = day_totals(session, city, day)
    return {
        "charges": [asdict(charge) for charge in charges],
        "totals": [asdict(total) for total in totals],
        "next_after": charges[-1].reference if len(charges) == limit else None,
    }


@router.get("/charges/{reference}")
def read_charge(caller: ChargeReader, database: DatabaseOf, reference: str) -> dict[str, Any]:
    with database.reading() as session:
        history = history_of(session, reference)
    must_reach(caller, "charge.read", history.charge.city)
    return asdict(history)


@router.get("/debts")
def read_debts(
    _caller: ChargeReader,
    database: DatabaseOf,
    city: str,
    after: Annotated[str, Query(max_length=100)] = "",
    limit: Limit = 1000,
) -> dict[str, Any]:
    """One page of what riders owe, oldest first; the next page begins after `next_after`, null at the end."""
    with database.reading() as session:
        city_of(session, city)
        day, _, reference = after.partition("/")
        found = debts(session, city, (day, reference), limit)
    return {
        "debts": [asdict(debt) for debt in found],
        "next_after": f"{found[-1].service_day}/{found[-1].reference}" if len(found) == limit else None,
    }


@router.get("/debts/{reference}")
def read_debt(
    caller: Annotated[Caller, Depends(require("debt.pay"))], database: DatabaseOf, reference: str
) -> dict[str, Any]:
    """What a cardholder owes, for the page on which it is paid."""
    with database.reading() as session:
        charge = find_charge(session, reference)
        must_reach(caller, "debt.pay", charge.city)
        currency = city_of(session, charge.city).currency
    return {
        "charge": charge.reference,
        "service_day": charge.service_day,
        "rides": charge.rides,
        "owed_minor": charge.owed_minor,
        "currency": currency,
    }


@router.get("/items")
def read_items(_caller: ChargeReader, database: DatabaseOf, city: str, day_from: Day, day_to: Day) -> dict[str, Any]:
    """Everything that our books say about the charges of some service days, item by item."""
    with database.reading() as session:
        city_of(session, city)
        return {"items": [asdict(item) for item in acquirer_items(session, city, day_from, day_to)]}
