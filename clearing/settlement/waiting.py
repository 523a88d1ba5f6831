"""Days that wait for a close, never closed or changed since, and what speaks against closing them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.channels.models import QrPayment, SmsPayment
from clearing.fleet.models import Validator
from clearing.fleet.service import GONE
from clearing.ingest.exceptions import count_open
from clearing.ingest.models import TapRow
from clearing.ingest.settling import dirty_days
from clearing.ingest.suspicion import MONEY_KINDS
from clearing.network.service import city_of
from clearing.network.service_day import day_end_s, service_day
from clearing.settlement.models import Close

_BACK_DAYS = 45


@dataclass(frozen=True)
class WaitingDay:
    """A service day that is over and should be closed, or closed once more.

    Attributes:
        version: the newest it has; 0 when it was never closed.
        late: records of money that came after that.
        is_moved: taps have moved from it or to it, or an earlier day has changed what its rides cost.
        validators_behind: validators in service that have sent nothing since the day ended: their taps may be missing.
        exceptions: cases of the day that nobody has resolved.
    """

    day: str
    version: int
    late: int
    is_moved: bool
    validators_behind: int
    exceptions: int

    @property
    def is_ready(self) -> bool:
        """Whether nothing speaks against closing it now."""
        return not self.validators_behind and not self.exceptions


def waiting_days(session: Session, city: str, now_ms: int) -> list[WaitingDay]:
    """Days of the last weeks that are over and wait for a close, oldest first."""
    zone = city_of(session, city).zone
    first = (date.fromisoformat(service_day(zone, now_ms // 1000)) - timedelta(days=_BACK_DAYS)).isoformat()
    closed = {
        day: (version, closed_at_ms)
        for day, version, closed_at_ms in session.execute(
            select(Close.service_day, func.max(Close.version), func.max(Close.closed_at_ms))
            .where(Close.city == city, Close.service_day >= first)
            .group_by(Close.service_day)
        )
    }
    moved = dirty_days(session, city)
    days = sorted({*_days_with_money(session, city, first), *moved})
    found = []
    for day in days:
        ended_ms = day_end_s(zone, day) * 1000
        version, closed_at_ms = closed.get(day, (0, 0))
        late = _late(session, city, day, closed_at_ms) if version else 0
        if ended_ms <= now_ms and (not version or late or day in moved):
            behind = _behind(session, city, ended_ms)
            found.append(WaitingDay(day, version, late, day in moved, behind, count_open(session, city, day)))
    return found


def _days_with_money(session: Session, city: str, first: str) -> set[str]:
    taps = select(TapRow.service_day).where(TapRow.kind.in_(MONEY_KINDS), TapRow.city == city)
    days = set(session.scalars(taps.where(TapRow.service_day >= first).distinct()))
    for table in (SmsPayment, QrPayment):
        paid = select(table.service_day).where(table.city == city, table.service_day >= first)
        days |= set(session.scalars(paid.distinct()))
    return days


def _late(session: Session, city: str, day: str, closed_at_ms: int) -> int:
    late = select(func.count()).select_from(TapRow).where(TapRow.city == city, TapRow.service_day == day)
    return session.scalar(late.where(TapRow.kind.in_(MONEY_KINDS), TapRow.received_at_ms > closed_at_ms)) or 0


def _behind(session: Session, city: str, ended_ms: int) -> int:
    silent = select(func.count()).select_from(Validator).where(Validator.city == city, Validator.status.not_in(GONE))
    return session.scalar(silent.where(func.coalesce(Validator.last_seen_ms, 0) < ended_ms)) or 0
