"""Whether the service is well: `GET /healthz`, for whoever watches it."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from sqlalchemy import text

from clearing.access.permission import open_to
from clearing.endpoint import ClockOf, DatabaseOf

router = APIRouter()


@router.get("/healthz", dependencies=[Depends(open_to("says nothing but that the service answers"))])
def read_health(database: DatabaseOf, clock: ClockOf) -> dict[str, object]:
    with database.reading() as session:
        session.execute(text("SELECT 1"))
    return {"status": "ok", "time_ms": clock.now_ms()}
