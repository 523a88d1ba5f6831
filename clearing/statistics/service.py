"""What can be asked of statistics: the cashless share by day.

Closed days speak from their close, open ones from the taps so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.channels.models import SmsPayment
from clearing.ingest.models import TapRow
from clearing.pricing.service import preview_totals
from clearing.pricing.shares import MediumTotal, share_of
from clearing.settlement.models import Close
from clearing.settlement.totals import totals_from_json


@dataclass(frozen=True)
class DayShare:
    """The cashless share of one service day.

    Attributes:
        trips, trips_cashless: rides, and those not paid in cash.
        revenue_minor, revenue_cashless_minor: the same by charged fares.
        share_trips_percent, share_revenue_percent: definitions `trips/1` and `revenue/1`; absent where there is no whole.
        closed: False while the day may still change.
    """

    day: str
    trips: int
    trips_cashless: int
    revenue_minor: int
    revenue_cashless_minor: int
    share_trips_percent: Decimal | None
    share_revenue_percent: Decimal | None
    closed: bool


def medium_totals(session: Session, city: str, day: str) -> list[MediumTotal]:
    """Rides and fares of a day by medium: as closed, or as they would be priced now."""
    closed = _closed_totals(session, city, day, day)
    return closed[day] if day in closed else preview_totals(session, city, day)


def _closed_totals(session: Session, city: str, first_day: str, last_day: str) -> dict[str, list[MediumTotal]]:
    closes = session.scalars(
        select(Close)
        .where(Close.city == city, Close.service_day >= first_day, Close.service_day <= last_day)
        .order_by(Close.service_day, Close.version)
    )
    return {close.service_day: totals_from_json(close.totals_json).media for close in closes}


def days_with_rides(session: Session, city: str, first_day: str, last_day: str) -> list[str]:
    """Service days of a period on which something came in, in order."""
    taps = select(TapRow.service_day).where(
        TapRow.city == city, TapRow.service_day >= first_day, TapRow.service_day <= last_day
    )
    payments = select(SmsPayment.service_day).where(
        SmsPayment.city == city, SmsPayment.service_day >= first_day, SmsPayment.service_day <= last_day
    )
    return sorted({*session.scalars(taps.distinct()), *session.scalars(payments.distinct())})


def last_day_with_rides(session: Session, city: str, until_day: str) -> str | None:
    """The latest service day up to one on which something came in, or None."""
    found = [
        session.scalar(select(func.max(table.service_day)).where(table.city == city, table.service_day <= until_day))
        for table in (TapRow, SmsPayment)
    ]
    return max((day for day in found if day is not None), default=None)


def cashless_shares(session: Session, city: str, first_day: str, last_day: str) -> list[DayShare]:
    """The share of each day of a period on which there were rides."""
    closed = _closed_totals(session, city, first_day, last_day)
    shares = []
    for day in sorted({*closed, *days_with_rides(session, city, first_day, last_day)}):
        totals = closed[day] if day in closed else preview_totals(session, city, day)
        share = share_of(totals)
        if share.trips:
            shares.append(
                DayShare(
                    day,
                    share.trips,
                    share.trips_cashless,
                    share.revenue_minor,
                    share.revenue_cashless_minor,
                    share.trips_percent,
                    share.revenue_percent,
                    day in closed,
                )
            )
    return shares
