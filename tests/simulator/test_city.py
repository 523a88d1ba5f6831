from __future__ import annotations

from datetime import date

from simulator.city import STOPS_PER_LINE, Vehicle, day_start_ms, timetable

_ZONE = "Asia/Almaty"
_DAY = date(2024, 5, 15)
_HOUR_MS = 3_600_000
_VEHICLES = [Vehicle("A-1", 1), Vehicle("A-2", 1), Vehicle("B-1", 2)]


def test_a_day_begins_at_midnight_of_the_citys_zone() -> None:
    assert day_start_ms(_DAY, _ZONE) == 1_715_713_200_000  # 2024-05-14 19:00 UTC
    assert day_start_ms(date(2024, 2, 29), _ZONE) == 1_709_143_200_000  # still UTC+6
    assert day_start_ms(date(2024, 3, 2), _ZONE) - day_start_ms(date(2024, 3, 1), _ZONE) == 24 * _HOUR_MS
    # The clocks were put back by an hour in the night to 1 March.
    assert day_start_ms(date(2024, 3, 1), _ZONE) - day_start_ms(date(2024, 2, 29), _ZONE) == 25 * _HOUR_MS


def test_a_timetable_is_in_order_and_begins_no_trip_after_hours() -> None:
    visits = timetable(_VEHICLES, _DAY, _ZONE, (7, 9))
    start_ms = day_start_ms(_DAY, _ZONE)
    assert visits == sorted(visits, key=lambda visit: (visit.at_ms, visit.vehicle))
    assert visits[0].at_ms == start_ms + 7 * _HOUR_MS
    first_of_trip = {(visit.vehicle, visit.trip): visit for visit in reversed(visits)}
    assert max(visit.at_ms for visit in first_of_trip.values()) < start_ms + 9 * _HOUR_MS
    assert {visit.vehicle for visit in visits} == {"A-1", "A-2", "B-1"}


def test_a_vehicle_serves_every_stop_of_its_line_to_and_fro() -> None:
    visits = [visit for visit in timetable(_VEHICLES, _DAY, _ZONE, (7, 9)) if visit.vehicle == "B-1"]
    there = [visit.stop for visit in visits if visit.trip == 1]
    back = [visit.stop for visit in visits if visit.trip == 2]
    assert there == [200 + place for place in range(STOPS_PER_LINE)]
    assert back == there[::-1]


def test_vehicles_of_a_line_do_not_drive_in_a_pack() -> None:
    visits = timetable(_VEHICLES, _DAY, _ZONE, (7, 9))
    starts = [min(visit.at_ms for visit in visits if visit.vehicle == code) for code in ("A-1", "A-2")]
    assert starts[1] - starts[0] == 16 * 60_000


def test_every_second_line_goes_through_a_tunnel() -> None:
    visits = timetable(_VEHICLES, _DAY, _ZONE, (7, 9))
    assert {visit.line for visit in visits if not visit.covered} == {2}
    assert {visit.stop for visit in visits if not visit.covered} == {205, 206, 207}


def test_a_timetable_is_a_timetable() -> None:
    assert timetable(_VEHICLES, _DAY, _ZONE, (6, 22)) == timetable(_VEHICLES, _DAY, _ZONE, (6, 22))
