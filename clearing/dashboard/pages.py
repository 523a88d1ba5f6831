"""The pages: a city's day so far, its exceptions, its closed days, its cashless share. Each hands on what the services say."""

from __future__ import annotations

from datetime import date, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from clearing.access.permission import must_reach, open_to, require
from clearing.access.roles import Caller
from clearing.dashboard import break_pages, charge_pages, money_pages, payment_pages, ride_pages
from clearing.dashboard.accounts import entry_rows
from clearing.dashboard.place import AskedDay, Form, Reader, find_place
from clearing.dashboard.rendering import language_of, render
from clearing.endpoint import ClockOf, DatabaseOf, Day, NotFoundError, Number
from clearing.ingest.exceptions import (
    NOTE_CHARACTERS_MAX,
    REMEDIES,
    Asked,
    conflicts_of,
    count_open,
    find_exception,
    list_exceptions,
    resolve,
)
from clearing.ingest.service import today_counts
from clearing.network.service_day import service_day
from clearing.pricing.shares import DEFINITION_REVENUE, DEFINITION_TRIPS, share_of
from clearing.settlement.service import carrier_names, diff_closes, list_closes, show_close
from clearing.settlement.waiting import waiting_days
from clearing.statistics.service import cashless_shares, last_day_with_rides, medium_totals
from protocol.decision_names import DECISION_NAMES

router = APIRouter(default_response_class=HTMLResponse)
for part in (ride_pages, break_pages, money_pages, charge_pages, payment_pages):
    router.include_router(part.router)

REFRESH_S = 30
_PERIOD = timedelta(days=29)
_EXCEPTIONS_SHOWN = 100
# Reasons beside which the contradicting records are shown.
_CONTRADICTED = frozenset({"fork", "clone_suspected"})

Version = Annotated[int | None, Query(ge=1, le=1_000_000)]
_static = StaticFiles(directory=Path(__file__).parent / "static")


@router.get("/")
def today_page(
    request: Request,
    caller: Reader,
    database: DatabaseOf,
    clock: ClockOf,
    city: str | None = None,
    day: AskedDay = None,
) -> HTMLResponse:
    now_ms = clock.now_ms()
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        today = service_day(place.zone, now_ms // 1000)
        shown = day or last_day_with_rides(session, place.code, today) or today
        media = medium_totals(session, place.code, shown)
        return render(
            request,
            "today.html",
            section="today",
            place=place,
            today=today,
            day=shown,
            fallen_back=day is None and shown != today,
            now_ms=now_ms,
            refresh_s=REFRESH_S,
            counts=today_counts(session, place.code, shown, now_ms),
            decision_names=DECISION_NAMES,
            media=media,
            share=share_of(media),
            close=show_close(session, place.code, shown),
        )


@router.get("/closes")
def closes_page(
    request: Request, caller: Reader, database: DatabaseOf, clock: ClockOf, city: str | None = None
) -> HTMLResponse:
    """Closed days, and before them those that wait for a close with what speaks against it."""
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        closes = list_closes(session, place.code)
        waiting = waiting_days(session, place.code, clock.now_ms())
    may_close = caller.may("close.run", place.code)
    return render(
        request, "closes.html", section="closes", place=place, closes=closes, waiting=waiting, may_close=may_close
    )


@router.get("/closes/{city}/{day}")
def close_page(
    request: Request,
    caller: Reader,
    database: DatabaseOf,
    clock: ClockOf,
    city: str,
    day: Day,
    version: Version = None,
) -> HTMLResponse:
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        close = show_close(session, city, day, version, clock.now_ms())
        newest = show_close(session, city, day)
        if close is None or newest is None:
            raise NotFoundError(f"{day} is not closed in {city}", "close it first")
        names = carrier_names(session, city, language_of(request))
        changes = diff_closes(session, city, day, close.version - 1, close.version) if close.version > 1 else []
    return render(
        request,
        "close.html",
        section="closes",
        place=place,
        close=close,
        newest_version=newest.version,
        share=share_of(close.totals.media),
        carriers=close.totals.carriers(names),
        entries=[entry_rows(entry, names) for entry in close.entries],
        changes=[change.in_words(language_of(request)) for change in changes],
    )


@router.get("/share")
def share_page(
    request: Request,
    caller: Reader,
    database: DatabaseOf,
    clock: ClockOf,
    city: str | None = None,
    first_day: Annotated[AskedDay, Query(alias="from")] = None,
    last_day: Annotated[AskedDay, Query(alias="to")] = None,
) -> HTMLResponse:
    """The 30 days up to the last one with rides, or a period."""
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        today = service_day(place.zone, clock.now_ms() // 1000)
        last = last_day or last_day_with_rides(session, place.code, today) or today
        first = first_day or (date.fromisoformat(last) - _PERIOD).isoformat()
        shares = cashless_shares(session, place.code, first, last)
    return render(
        request,
        "share.html",
        section="share",
        place=place,
        first=first,
        last=last,
        shares=shares,
        definition_trips=DEFINITION_TRIPS,
        definition_revenue=DEFINITION_REVENUE,
    )


@router.get("/exceptions")
def exceptions_page(
    request: Request,
    caller: Annotated[Caller, Depends(require("exception.read"))],
    database: DatabaseOf,
    city: str | None = None,
    day: AskedDay = None,
    reason: str = "",
    state: Literal["open", "resolved", "all"] = "open",
) -> HTMLResponse:
    """What a person should look at, with what to do; whoever may resolve it finds a form beside it."""
    is_resolved = {"open": False, "resolved": True, "all": None}[state]
    with database.reading() as session:
        place = find_place(request, session, caller, city)
        found = list_exceptions(session, Asked(place.code, day, reason or None, is_resolved, limit=_EXCEPTIONS_SHOWN))
        chains = {(row.device_id, row.epoch) for row, _ in found if row.reason in _CONTRADICTED}
        conflicts = {chain: conflicts_of(session, *chain) for chain in sorted(chains)}
        open_count = count_open(session, place.code)
    return render(
        request,
        "exceptions.html",
        section="exceptions",
        place=place,
        day=day or "",
        reason=reason,
        state=state,
        reasons=sorted(REMEDIES),
        exceptions=found,
        conflicts=conflicts,
        open_count=open_count,
        shown_max=_EXCEPTIONS_SHOWN,
        note_max=NOTE_CHARACTERS_MAX,
        may_resolve=caller.may("exception.resolve", place.code),
    )


@router.post("/exceptions/{number}")
def resolve_on_page(
    number: Number,
    caller: Annotated[Caller, Depends(require("exception.resolve"))],
    form: Form,
    database: DatabaseOf,
    clock: ClockOf,
) -> RedirectResponse:
    """Resolve an exception and show those that are left of its city."""
    with database.writing() as session:
        row = find_exception(session, number)
        must_reach(caller, "exception.resolve", row.city)
        resolve(session, caller, clock.now_ms(), number, form.get("note", ""))
    return RedirectResponse(f"/exceptions?city={quote(row.city)}", HTTPStatus.SEE_OTHER)


@router.get("/static/{path:path}", dependencies=[Depends(open_to("the same for everybody, and public"))])
async def read_static(request: Request, path: str) -> Response:
    """Scripts, styles and pictures of the pages, as files; a browser asks each time whether they have changed."""
    answer = await _static.get_response(path, request.scope)
    answer.headers["cache-control"] = "no-cache"
    return answer
