"""HTTP of settlement: close a day, look at a close."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.endpoint import ClockOf, DatabaseOf, NotFoundError
from clearing.settlement.export import as_dict
from clearing.settlement.service import run_close, show_close

router = APIRouter(prefix="/v1")
_DAY = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"


class CloseAsked(BaseModel):
    """Which day to close."""

    city: str = Field(max_length=64)
    day: str = Field(pattern=_DAY)


@router.post("/closes", status_code=201)
def close_day(
    asked: CloseAsked, caller: Annotated[Caller, Depends(require("close.run"))], database: DatabaseOf, clock: ClockOf
) -> dict[str, Any]:
    must_reach(caller, "close.run", asked.city)
    with database.writing() as session:
        close = run_close(session, asked.city, asked.day, caller.principal_id, clock.now_ms())
    return as_dict(close)


@router.get("/closes/{city}/{day}")
def read_close(
    _caller: Annotated[Caller, Depends(require("close.read"))],
    database: DatabaseOf,
    city: str,
    day: Annotated[str, PathParameter(pattern=_DAY)],
    version: int | None = None,
) -> dict[str, Any]:
    with database.reading() as session:
        close = show_close(session, city, day, version)
    if close is None:
        raise NotFoundError(f"{day} is not closed in {city}", "close it first")
    return as_dict(close)
