"""The service day: a ride after midnight still belongs to the evening before. Pure.

A service day begins at 03:00 local time of the city's zone and is named by the date of its beginning. Zones change
(Almaty went from UTC+6 to UTC+5 on 1 March 2024), so a day is derived from the zone's name, never from an offset.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_BOUNDARY = time(3)


def service_day(zone: str, unix_s: int) -> str:
    """ISO date of the service day that holds a moment."""
    local = datetime.fromtimestamp(unix_s, UTC).astimezone(ZoneInfo(zone))
    day = local.date() if local.time() >= _BOUNDARY else local.date() - timedelta(days=1)
    return day.isoformat()


def day_start_s(zone: str, day: str) -> int:
    """Unix seconds of the beginning of a service day."""
    return int(datetime.combine(date.fromisoformat(day), _BOUNDARY, ZoneInfo(zone)).timestamp())


def day_end_s(zone: str, day: str) -> int:
    """Unix seconds of the beginning of the next service day."""
    return day_start_s(zone, (date.fromisoformat(day) + timedelta(days=1)).isoformat())
