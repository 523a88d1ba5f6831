"""HTTP of settlement: close a day, look at closes and prove them; adjustments and payouts by two persons; statements."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.endpoint import ClockOf, DatabaseOf, Day, Number
from clearing.fleet.keys import KeyStore
from clearing.network.service import city_of, parties_of
from clearing.settlement.adjustments import (
    AMOUNT_MINOR_MAX,
    LEGS_MAX,
    TEXT_MAX,
    AdjustmentAsked,
    decide_adjustment,
    list_adjustments,
    request_adjustment,
)
from clearing.settlement.closing import run_close
from clearing.settlement.export import (
    adjustment_as_dict,
    as_dict,
    change_as_dict,
    payout_as_dict,
    proof_as_dict,
    statement_as_dict,
)
from clearing.settlement.one_c import one_c_file
from clearing.settlement.pain001 import pain001
from clearing.settlement.payment_order import orders_of
from clearing.settlement.payouts import decide_payout, list_payouts, propose_payouts
from clearing.settlement.service import (
    VERSION_MAX,
    check_books,
    close_of,
    diff_closes,
    document_of_close,
    prove_in_close,
)
from clearing.settlement.statement_files import statement_file
from clearing.settlement.statements import statement_of
from clearing.settlement.waiting import waiting_days

router = APIRouter(prefix="/v1")
Version = Annotated[int, Query(ge=1, le=VERSION_MAX)]
AnyVersion = Annotated[int | None, Query(ge=1, le=VERSION_MAX)]
Language = Literal["kk", "ru", "en"]
_NUMBERS_MAX = 200
_MEDIA_TYPES = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}


class Asked(BaseModel):
    """What a body may hold and nothing else; a number is no text."""

    model_config = ConfigDict(extra="forbid", strict=True)


class CloseAsked(BaseModel):
    """Which day to close."""

    city: str = Field(max_length=64)
    day: Day


class AdjustmentBody(Asked):
    """A correction of a day; amounts in tiyn by account, debit positive."""

    city: str = Field(max_length=64)
    day: Day
    reference: str = Field(max_length=64)
    kind: Literal["correction", "refund", "late"] = "correction"
    reason: str = Field(max_length=TEXT_MAX)
    legs: dict[
        Annotated[str, Field(max_length=200)], Annotated[int, Field(ge=-AMOUNT_MINOR_MAX, le=AMOUNT_MINOR_MAX)]
    ] = Field(default_factory=dict, max_length=LEGS_MAX)
    currency: str | None = Field(default=None, max_length=3)


class PayoutsAsked(Asked):
    """Up to which service day carriers shall be paid."""

    city: str = Field(max_length=64)
    last_day: Day


class Decision(Asked):
    approve: bool


def _keys(request: Request) -> KeyStore:
    return cast("KeyStore", request.app.state.keys)


KeysOf = Annotated[KeyStore, Depends(_keys)]


@router.post("/closes", status_code=201)
def close_day(
    asked: CloseAsked,
    caller: Annotated[Caller, Depends(require("close.run"))],
    database: DatabaseOf,
    clock: ClockOf,
    keys: KeysOf,
) -> dict[str, Any]:
    must_reach(caller, "close.run", asked.city)
    with database.writing() as session:
        close = run_close(session, asked.city, asked.day, caller.principal_id, clock.now_ms(), keys)
    return as_dict(close)


@router.get("/closes/waiting")
def read_waiting(
    _caller: Annotated[Caller, Depends(require("close.read"))], database: DatabaseOf, clock: ClockOf, city: str
) -> dict[str, Any]:
    """Days that are over and wait for a close, or for another one, with what speaks against it."""
    with database.reading() as session:
        return {"city": city, "days": [asdict(each) for each in waiting_days(session, city, clock.now_ms())]}


@router.get("/closes/{city}/{day}")
def read_close(
    _caller: Annotated[Caller, Depends(require("close.read"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: str,
    day: Day,
    version: AnyVersion = None,
) -> dict[str, Any]:
    with database.reading() as session:
        return as_dict(close_of(session, city, day, version, clock.now_ms()))


@router.get("/closes/{city}/{day}/document")
def read_document(
    _caller: Annotated[Caller, Depends(require("close.read"))],
    database: DatabaseOf,
    city: str,
    day: Day,
    version: AnyVersion = None,
) -> Response:
    """The bytes that the close's SHA-256 is over."""
    with database.reading() as session:
        return Response(document_of_close(session, city, day, version).encode(), media_type="application/json")


@router.get("/closes/{city}/{day}/difference")
def read_difference(
    _caller: Annotated[Caller, Depends(require("close.read"))],
    database: DatabaseOf,
    city: str,
    day: Day,
    before: Version,
    after: Version,
    language: Language = "en",
) -> dict[str, Any]:
    with database.reading() as session:
        changes = diff_closes(session, city, day, before, after)
    return {"before": before, "after": after, "changes": [change_as_dict(change, language) for change in changes]}


@router.get("/closes/{city}/{day}/proof")
def read_proof(
    _caller: Annotated[Caller, Depends(require("close.read"))],
    database: DatabaseOf,
    keys: KeysOf,
    city: str,
    day: Day,
    key: Annotated[str, Query(max_length=300)],
) -> dict[str, Any]:
    """That a tap (`DEVICE/EPOCH/SEQUENCE`) or what a channel brought (`sms/SENDER/REFERENCE`) is under the close's root."""
    with database.reading() as session:
        version, proof = prove_in_close(session, keys, city, day, key)
    return {"version": version} | proof_as_dict(proof)


@router.get("/ledger/check")
def check_everything(
    _caller: Annotated[Caller, Depends(require("ledger.read"))], database: DatabaseOf
) -> dict[str, list[str]]:
    """Every fault of the books, of all cities; an empty list means that they keep every rule."""
    with database.reading() as session:
        return {"faults": check_books(session)}


@router.get("/adjustments")
def read_adjustments(
    _caller: Annotated[Caller, Depends(require("adjustment.read"))],
    database: DatabaseOf,
    city: str,
    state: Literal["requested", "approved", "rejected"] | None = None,
) -> dict[str, Any]:
    with database.reading() as session:
        return {"adjustments": [adjustment_as_dict(view) for view in list_adjustments(session, city, state)]}


@router.post("/adjustments", status_code=201)
def ask_for_adjustment(
    body: AdjustmentBody,
    caller: Annotated[Caller, Depends(require("adjustment.request"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    asked = AdjustmentAsked(body.city, body.day, body.reference, body.kind, body.reason, body.legs, body.currency)
    with database.writing() as session:
        view = request_adjustment(session, caller, clock.now_ms(), asked)
    return adjustment_as_dict(view)


@router.post("/adjustments/{number}/decision")
def decide_on_adjustment(
    number: Number,
    decision: Decision,
    caller: Annotated[Caller, Depends(require("adjustment.approve"))],
    database: DatabaseOf,
    clock: ClockOf,
    keys: KeysOf,
) -> dict[str, Any]:
    with database.writing() as session:
        view = decide_adjustment(session, caller, clock.now_ms(), number, decision.approve, keys)
    return adjustment_as_dict(view)


@router.get("/payouts")
def read_payouts(
    _caller: Annotated[Caller, Depends(require("payout.read"))],
    database: DatabaseOf,
    city: str,
    state: Literal["proposed", "approved", "rejected"] | None = None,
) -> dict[str, Any]:
    with database.reading() as session:
        return {"payouts": [payout_as_dict(view) for view in list_payouts(session, city_of(session, city).code, state)]}


@router.post("/payouts", status_code=201)
def propose(
    asked: PayoutsAsked,
    caller: Annotated[Caller, Depends(require("payout.propose"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        proposed, left = propose_payouts(session, caller, clock.now_ms(), asked.city, asked.last_day)
    return {"payouts": [payout_as_dict(view) for view in proposed], "left_out": [asdict(each) for each in left]}


@router.post("/payouts/{number}/decision")
def decide_on_payout(
    number: Number,
    decision: Decision,
    caller: Annotated[Caller, Depends(require("payout.approve"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        view = decide_payout(session, caller, clock.now_ms(), number, decision.approve)
    return payout_as_dict(view)


@router.get("/payouts/{city}/file")
def read_payment_file(
    _caller: Annotated[Caller, Depends(require("payout.read"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: str,
    number: Annotated[list[int], Query(min_length=1, max_length=_NUMBERS_MAX)],
    format: Literal["pain.001", "1c", "1c-windows-1251"] = "pain.001",  # noqa: A002 - as it is called in the address
) -> Response:
    """Approved payouts as payment orders for the bank; the names that Windows-1251 has changed are in `x-jolaqy-changed`."""
    with database.reading() as session:
        currency = city_of(session, city).currency
        orders = orders_of(list_payouts(session, city, numbers=number), parties_of(session, city), currency)
    if not orders:
        return Response(status_code=204)
    if format == "pain.001":
        return Response(pain001(orders, clock.now_ms()), media_type="application/xml")
    content, changed = one_c_file(orders, clock.now_ms(), "utf-8" if format == "1c" else "windows-1251")
    return Response(content, media_type="text/plain", headers={"x-jolaqy-changed": str(len(changed))})


@router.get("/statements/{city}/{party}")
def read_statement(
    _caller: Annotated[Caller, Depends(require("statement.read"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: str,
    party: str,
    first_day: Day,
    last_day: Day,
    format: Literal["json", "pdf", "xlsx", "csv"] = "json",  # noqa: A002 - as it is called in the address
    language: Language = "ru",
) -> Any:  # noqa: ANN401 - JSON, or a file
    with database.reading() as session:
        statement = statement_of(session, city, party, first_day, last_day)
    if format == "json":
        return statement_as_dict(statement)
    content = statement_file(statement, format, language, clock.now_ms())
    return Response(content, media_type=_MEDIA_TYPES[format])
