"""Pages of money: the books as a trial balance, what parties are owed and told, payouts that two persons decide."""

from __future__ import annotations

from datetime import date, timedelta
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.channels.standing import list_dues
from clearing.dashboard.accounts import account_name
from clearing.dashboard.place import AskedDay, Form, find_place
from clearing.dashboard.rendering import language_of, render
from clearing.endpoint import ClockOf, DatabaseOf, Day, InvalidError, Number
from clearing.ledger.service import turnovers
from clearing.network.service_day import service_day
from clearing.settlement.closing import run_close
from clearing.settlement.payouts import PROPOSED, decide_payout, list_payouts, propose_payouts
from clearing.settlement.service import carrier_names
from clearing.settlement.statements import parties_with_statements

router = APIRouter(default_response_class=HTMLResponse)

_MONTH = timedelta(days=29)
_PAYOUTS_SHOWN = 100


def _period(first: str | None, last: str | None, today: str) -> tuple[str, str]:
    """The period that was asked for, or the thirty days up to yesterday."""
    end = last or (date.fromisoformat(today) - timedelta(days=1)).isoformat()
    return first or (date.fromisoformat(end) - _MONTH).isoformat(), end


@router.get("/balance")
def balance_page(
    request: Request,
    caller: Annotated[Caller, Depends(require("ledger.read"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: str | None = None,
    first_day: Annotated[AskedDay, Query(alias="from")] = None,
    last_day: Annotated[AskedDay, Query(alias="to")] = None,
) -> HTMLResponse:
    """The trial balance: opening, turnover and closing of every account, and their sums, which are equal or shown not to be."""
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        first, last = _period(first_day, last_day, service_day(place.zone, clock.now_ms() // 1000))
        rows = turnovers(session, place.code, first, last)
        names = carrier_names(session, place.code, language_of(request))
    return render(
        request,
        "balance.html",
        section="balance",
        place=place,
        first=first,
        last=last,
        rows=[(account_name(row.account, names), row) for row in rows],
        sums={
            "opening": sum(row.opening_minor for row in rows),
            "debit": sum(row.debit_minor for row in rows),
            "credit": sum(row.credit_minor for row in rows),
            "closing": sum(row.closing_minor for row in rows),
        },
    )


@router.get("/parties")
def parties_page(
    request: Request,
    caller: Annotated[Caller, Depends(require("statement.read"))],
    database: DatabaseOf,
    clock: ClockOf,
    city: str | None = None,
    first_day: Annotated[AskedDay, Query(alias="from")] = None,
    last_day: Annotated[AskedDay, Query(alias="to")] = None,
) -> HTMLResponse:
    """Everybody who is owed or owes: statements to take away, what is due, payouts."""
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        today = service_day(place.zone, clock.now_ms() // 1000)
        first, last = _period(first_day, last_day, today)
        may_see_payouts = caller.may("payout.read", place.code)
        payouts = list_payouts(session, place.code) if may_see_payouts else []
        return render(
            request,
            "parties.html",
            section="parties",
            place=place,
            first=first,
            last=last,
            today=today,
            parties=parties_with_statements(session, place.code),
            dues=[each for each in list_dues(session, place.code) if each.dues] if may_see_payouts else [],
            payouts=list(reversed(payouts))[:_PAYOUTS_SHOWN],
            may_propose=caller.may("payout.propose", place.code),
            may_approve=caller.may("payout.approve", place.code),
            proposed=PROPOSED,
        )


@router.post("/payouts")
def propose_on_page(
    caller: Annotated[Caller, Depends(require("payout.propose"))], form: Form, database: DatabaseOf, clock: ClockOf
) -> RedirectResponse:
    """Propose to pay everybody what is unpaid up to a service day."""
    city = form.get("city", "")
    try:
        last_day = date.fromisoformat(form.get("last_day", "")).isoformat()
    except ValueError as error:
        raise InvalidError("the last day is no day", "write it as 2024-05-15") from error
    must_reach(caller, "payout.propose", city)
    with database.writing() as session:
        propose_payouts(session, caller, clock.now_ms(), city, last_day)
    return RedirectResponse(f"/parties?city={quote(city)}#payouts", HTTPStatus.SEE_OTHER)


@router.post("/payouts/{number}")
def decide_on_page(
    number: Number,
    caller: Annotated[Caller, Depends(require("payout.approve"))],
    form: Form,
    database: DatabaseOf,
    clock: ClockOf,
) -> RedirectResponse:
    """Approve or reject a payout that somebody else proposed."""
    decision = form.get("decision")
    if decision not in {"approve", "reject"}:
        raise InvalidError("a payout is approved or rejected", "use the buttons of the page")
    with database.writing() as session:
        payout = decide_payout(session, caller, clock.now_ms(), number, decision == "approve")
    return RedirectResponse(f"/parties?city={quote(payout.city)}#payouts", HTTPStatus.SEE_OTHER)


@router.post("/closes/{city}/{day}")
def close_on_page(
    request: Request,
    city: str,
    day: Day,
    caller: Annotated[Caller, Depends(require("close.run"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> RedirectResponse:
    """Close a day, or close it once more."""
    with database.writing() as session:
        run_close(session, city, day, caller.principal_id, clock.now_ms(), request.app.state.keys)
    return RedirectResponse(f"/closes/{quote(city)}/{day}", HTTPStatus.SEE_OTHER)
