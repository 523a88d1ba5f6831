"""HTTP of statistics: the cashless share by day."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.endpoint import DatabaseOf
from clearing.network.service import city_of
from clearing.pricing.shares import DEFINITION_REVENUE, DEFINITION_TRIPS
from clearing.statistics.service import DayShare, cashless_shares

router = APIRouter(prefix="/v1")
_DAY = r"^\d{4}-\d{2}-\d{2}$"


def share_as_dict(share: DayShare) -> dict[str, Any]:
    """A day's share, for JSON."""
    return {
        "day": share.day,
        "trips": share.trips,
        "trips_cashless": share.trips_cashless,
        "revenue_minor": share.revenue_minor,
        "revenue_cashless_minor": share.revenue_cashless_minor,
        "cashless_share_trips_percent": _number(share.share_trips_percent),
        "cashless_share_revenue_percent": _number(share.share_revenue_percent),
        "closed": share.closed,
    }


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


@router.get("/share")
def read_share(
    _caller: Annotated[Caller, Depends(require("share.read"))],
    database: DatabaseOf,
    city: str,
    first_day: Annotated[str, Query(alias="from", pattern=_DAY)],
    last_day: Annotated[str, Query(alias="to", pattern=_DAY)],
) -> dict[str, Any]:
    with database.reading() as session:
        city_of(session, city)
        shares = cashless_shares(session, city, first_day, last_day)
    return {
        "definitions": [DEFINITION_TRIPS, DEFINITION_REVENUE],
        "days": [share_as_dict(share) for share in shares],
    }
