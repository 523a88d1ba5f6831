"""HTTP of settlement: close a day, look at a close."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.endpoint import ClockOf, DatabaseOf, Day
from clearing.settlement.export import as_dict
from clearing.settlement.service import VERSION_MAX, close_of, run_close

router = APIRouter(prefix="/v1")


class CloseAsked(BaseModel):
    """Which day to close."""

    city: str = Field(max_length=64)
    day: Day


@router.post("/closes", status_code=201)
def close_day(
    asked: CloseAsked,
    request: Request,
    caller: Annotated[Caller, Depends(require("close.run"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    must_reach(caller, "close.run", asked.city)
    with database.writing() as session:
        keys = request.app.state.keys
        close = run_close(session, asked.city, asked.day, caller.principal_id, clock.now_ms(), keys)
    return as_dict(close)


@router.get("/closes/{city}/{day}")
def read_close(
    _caller: Annotated[Caller, Depends(require("close.read"))],
    database: DatabaseOf,
    city: str,
    day: Day,
    version: Annotated[int | None, Query(ge=1, le=VERSION_MAX)] = None,
) -> dict[str, Any]:
    with database.reading() as session:
        return as_dict(close_of(session, city, day, version))
