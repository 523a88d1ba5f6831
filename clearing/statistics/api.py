"""HTTP of statistics: the cashless share by day."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.endpoint import DatabaseOf, Day, InvalidError
from clearing.money import as_number
from clearing.network.service import city_of
from clearing.pricing.shares import DEFINITION_REVENUE, DEFINITION_TRIPS
from clearing.statistics.service import DayShare, cashless_shares

router = APIRouter(prefix="/v1")


def share_as_dict(share: DayShare) -> dict[str, Any]:
    """A day's share, for JSON."""
    return {
        "day": share.day,
        "trips": share.trips,
        "trips_cashless": share.trips_cashless,
        "revenue_minor": share.revenue_minor,
        "revenue_cashless_minor": share.revenue_cashless_minor,
        "cashless_share_trips_percent": as_number(share.share_trips_percent),
        "cashless_share_revenue_percent": as_number(share.share_revenue_percent),
        "closed": share.closed,
    }


@router.get("/share")
def read_share(
    _caller: Annotated[Caller, Depends(require("share.read"))],
    database: DatabaseOf,
    city: str,
    first_day: Annotated[Day, Query(alias="from")],
    last_day: Annotated[Day, Query(alias="to")],
) -> dict[str, Any]:
    if first_day > last_day:
        raise InvalidError("the period ends before it begins", "swap `from` and `to`")
    with database.reading() as session:
        city_of(session, city)
        shares = cashless_shares(session, city, first_day, last_day)
    return {
        "definitions": [DEFINITION_TRIPS, DEFINITION_REVENUE],
        "days": [share_as_dict(share) for share in shares],
    }
