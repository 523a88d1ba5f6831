"""A small synthetic network of one city, and the day its buses drive on it.

Lines and vehicles are those of the city package that the clearing service has loaded; stops and times are made here: every
line is a street of stops, driven to and fro, partly through a tunnel. No chance is drawn: a timetable is a timetable.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

STOPS_PER_LINE = 14
_BETWEEN_STOPS_MS = 180_000
_LAYOVER_MS = 360_000
_TUNNEL_STOPS = range(5, 8)
_LINES_WITH_TUNNEL_EVERY = 2


@dataclass(frozen=True)
class Vehicle:
    """A bus of the city package.

    Attributes:
        code: written on it, and sent in an SMS by who pays so.
        line: number of the line it serves today.
    """

    code: str
    line: int


@dataclass(frozen=True)
class StopVisit:
    """A bus stands at a stop with open doors.

    Attributes:
        at_ms: unix time, milliseconds.
        trip: counts the runs of this vehicle today, from 1.
        stop: number of the stop: line · 100 + position on the line, the same in both directions.
        covered: False where a tunnel takes the network away until the next stop.
    """

    at_ms: int
    vehicle: str
    line: int
    trip: int
    stop: int
    covered: bool


def day_start_ms(day: date, zone: str) -> int:
    """Return midnight of that day in the city's zone, as unix milliseconds."""
    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp() * 1000)


def timetable(vehicles: Iterable[Vehicle], day: date, zone: str, hours: tuple[int, int]) -> list[StopVisit]:
    """Return all stop visits of a day between two hours of local time, in their order."""
    start = day_start_ms(day, zone)
    begin, end = (start + int(timedelta(hours=hour).total_seconds() * 1000) for hour in hours)
    seen: dict[int, int] = {}
    visits: list[StopVisit] = []
    for vehicle in vehicles:
        position = seen[vehicle.line] = seen.get(vehicle.line, -1) + 1
        visits.extend(_runs(vehicle, begin + position * 16 * 60_000, end))
    return sorted(visits, key=lambda visit: (visit.at_ms, visit.vehicle))


def _runs(vehicle: Vehicle, at_ms: int, end_ms: int) -> Iterator[StopVisit]:
    trip = 0
    has_tunnel = vehicle.line % _LINES_WITH_TUNNEL_EVERY == 0
    while at_ms < end_ms:
        trip += 1
        positions = range(STOPS_PER_LINE) if trip % 2 else range(STOPS_PER_LINE - 1, -1, -1)
        for position in positions:
            covered = not (has_tunnel and position in _TUNNEL_STOPS)
            yield StopVisit(at_ms, vehicle.code, vehicle.line, trip, vehicle.line * 100 + position, covered)
            at_ms += _BETWEEN_STOPS_MS
        at_ms += _LAYOVER_MS
