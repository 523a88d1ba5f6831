"""The hours whose rides by one card are one charge (`window` of the package's acquirer), and when its money is asked for. Pure.

A window begins at a local time and may span midnight. It belongs to the service day in which it begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from clearing.network.parties import Acquirer
from clearing.network.service_day import day_end_s, service_day

_MINUTES_OF_DAY = 1440


@dataclass(frozen=True)
class ChargeWindow:
    """One window.

    Attributes:
        start_s, end_s: unix seconds; the end is the next one's beginning.
        day: service day in which it begins.
        due_s: from then on the money is asked for: it is over, and so is the last service day whose rides it may hold.
    """

    start_s: int
    end_s: int
    day: str
    due_s: int


def window_of(acquirer: Acquirer, zone: str, at_s: int) -> ChargeWindow:
    """The window that holds a moment.

    Where clocks are put back, an hour that comes twice is in one window, which is then an hour longer.
    """
    local = datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    hours, minutes = map(int, acquirer.window.begins.split(":"))
    length = acquirer.window.hours * 60
    into = (local.hour * 60 + local.minute - hours * 60 - minutes) % _MINUTES_OF_DAY % length
    start = local.replace(second=0, microsecond=0) - timedelta(minutes=into)
    start_s, end_s = (_unix_s(moment, zone) for moment in (start, start + timedelta(minutes=length)))
    last_day_ends_s = day_end_s(zone, service_day(zone, end_s - 1))
    wait_s = acquirer.authorise_after_minutes * 60
    return ChargeWindow(start_s, end_s, service_day(zone, start_s), max(end_s, last_day_ends_s) + wait_s)


def _unix_s(local: datetime, zone: str) -> int:
    return int(local.replace(tzinfo=ZoneInfo(zone)).timestamp())
