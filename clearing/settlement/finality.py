"""When a closed day is final. Pure.

A day is closed provisionally from 03:00 of the next morning, local time; what comes late makes further versions. So many days
after its end (`close.final_after_days` of the city package) it is final: what comes then waits until two persons let it in by an
adjustment, and a correction by two persons changes nothing of the day but itself.
"""

from __future__ import annotations

from datetime import date, timedelta

from clearing.network.service_day import day_end_s

PROVISIONAL = "provisional"
FINAL = "final"


def final_at_s(zone: str, day: str, final_after_days: int) -> int:
    """Unix seconds from which a service day is final."""
    return day_end_s(zone, (date.fromisoformat(day) + timedelta(days=final_after_days)).isoformat())


def state_of(zone: str, day: str, final_after_days: int, now_ms: int) -> str:
    """What a closed day is at this moment: `provisional` or `final`."""
    return FINAL if now_ms >= final_at_s(zone, day, final_after_days) * 1000 else PROVISIONAL
