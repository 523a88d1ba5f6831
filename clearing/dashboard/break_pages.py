"""Pages of reconciliation: the differences that are not worked off, one of them with its history, and how many taps are lost."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.dashboard.place import Form, find_place
from clearing.dashboard.rendering import render
from clearing.endpoint import ClockOf, DatabaseOf, InvalidError, NotFoundError, Number
from clearing.reconciliation.breaks import (
    AT_RISK,
    NOTE_CHARACTERS_MAX,
    PAGE_MAX,
    STATES,
    Asked,
    assign,
    at_risk_minor,
    explain,
    list_breaks,
    resolve_by_adjustment,
    show_break,
)

router = APIRouter(default_response_class=HTMLResponse)
BreakReader = Annotated[Caller, Depends(require("break.read"))]


@router.get("/breaks")
def breaks_page(
    request: Request,
    caller: BreakReader,
    database: DatabaseOf,
    clock: ClockOf,
    city: str | None = None,
    state: Literal["at_risk", "open", "assigned", "explained", "adjusted", "vanished", "all"] = "at_risk",
) -> HTMLResponse:
    """Differences, the largest first."""
    states = {"at_risk": AT_RISK, "all": STATES}.get(state, (state,))
    now_ms = clock.now_ms()
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        found = [each for wanted in states for each in list_breaks(session, Asked(place.code, state=wanted), now_ms)]
        risk_minor = at_risk_minor(session, place.code)
    return render(
        request,
        "breaks.html",
        section="breaks",
        place=place,
        state=state,
        states=("at_risk", *STATES, "all"),
        breaks=sorted(found, key=lambda each: (-abs(each.amount_minor), each.number))[:PAGE_MAX],
        risk_minor=risk_minor,
    )


@router.get("/breaks/{number}")
def break_page(
    request: Request, caller: BreakReader, database: DatabaseOf, clock: ClockOf, number: Number
) -> HTMLResponse:
    with database.reading() as session:
        shown = show_break(session, number, clock.now_ms())
        if not caller.may("break.read", shown.city):
            raise NotFoundError(f"there is no break {number}", "look them up on the page of differences")
        place = find_place(request, session, caller, shown.city)
    return render(
        request,
        "break.html",
        section="breaks",
        place=place,
        shown=shown,
        may_work=caller.may("break.work", place.code) and shown.state in AT_RISK,
        note_max=NOTE_CHARACTERS_MAX,
    )


@router.post("/breaks/{number}")
def work_on_page(
    number: Number,
    caller: Annotated[Caller, Depends(require("break.work"))],
    form: Form,
    database: DatabaseOf,
    clock: ClockOf,
) -> RedirectResponse:
    """Take a difference over, explain it, or name the adjustment by which it was booked."""
    now_ms, note = clock.now_ms(), form.get("note", "")
    with database.writing() as session:
        match form.get("action"):
            case "assign":
                assign(session, caller, now_ms, number, form.get("to") or caller.name)
            case "explain":
                explain(session, caller, now_ms, number, note)
            case "adjust":
                resolve_by_adjustment(session, caller, now_ms, number, form.get("entry_key", ""), note)
            case _:
                raise InvalidError("a difference is taken over, explained or adjusted", "use the buttons of the page")
    return RedirectResponse(f"/breaks/{number}", HTTPStatus.SEE_OTHER)
