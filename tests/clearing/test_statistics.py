from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from clearing.pricing.shares import MediumTotal
from clearing.statistics.service import (
    DayShare,
    cashless_shares,
    days_with_rides,
    last_day_with_rides,
    medium_totals,
)
from protocol.decisions import DECISION_DENIED
from tests.builders import CITY, DAY, NOW_S, Device, Office
from tests.clearing import small_day
from tests.clearing.small_day import NEXT_MORNING_MS, TOTALS

if TYPE_CHECKING:
    from clearing.database import Database

_BEFORE, _NEXT_DAY = "2024-05-14", "2024-05-16"
_DAY_S = 86_400


def _shares(database: Database, first_day: str = _BEFORE, last_day: str = _NEXT_DAY) -> list[DayShare]:
    with database.reading() as session:
        return cashless_shares(session, CITY, first_day, last_day)


def test_an_open_day_speaks_from_what_came_in_so_far(office: Office) -> None:
    small_day.play(office)
    assert _shares(office.database) == [
        DayShare(DAY, 7, 5, 90_000, 50_000, Decimal("71.43"), Decimal("55.56"), closed=False)
    ]
    with office.database.reading() as session:
        assert medium_totals(session, CITY, DAY) == TOTALS.media


def test_a_closed_day_speaks_from_its_newest_version_until_it_is_closed_again(office: Office) -> None:
    alatau, _ = small_day.play(office)
    small_day.close(office)
    small_day.send(office, alatau, [alatau.record() for _ in range(3)])
    (share,) = _shares(office.database)
    assert (share.trips, share.trips_cashless, share.closed) == (7, 5, True)
    with office.database.reading() as session:
        assert medium_totals(session, CITY, DAY) == TOTALS.media
    small_day.close(office)
    (share,) = _shares(office.database)
    assert (share.trips, share.trips_cashless, share.share_trips_percent) == (10, 5, Decimal(50))
    with office.database.reading() as session:
        assert MediumTotal("cash", 5, 100_000) in medium_totals(session, CITY, DAY)


def test_days_stand_in_order_and_those_without_rides_are_left_out(office: Office, device: Device) -> None:
    small_day.text_message(office, "S-1", NOW_S - _DAY_S)
    office.clock.at_ms = NEXT_MORNING_MS
    small_day.send(office, device, [device.record(tapped_at_s=NOW_S + _DAY_S)])
    small_day.send(office, device, [device.refusal(DECISION_DENIED)])
    assert [(share.day, share.trips, share.share_trips_percent) for share in _shares(office.database)] == [
        (_BEFORE, 1, Decimal(100)),
        (_NEXT_DAY, 1, Decimal(0)),
    ]
    assert [share.day for share in _shares(office.database, _NEXT_DAY, _NEXT_DAY)] == [_NEXT_DAY]
    assert _shares(office.database, "2024-05-17", "2024-06-30") == []
    with office.database.reading() as session:
        assert days_with_rides(session, CITY, _BEFORE, _NEXT_DAY) == [_BEFORE, DAY, _NEXT_DAY]
        assert days_with_rides(session, "atlantis", _BEFORE, _NEXT_DAY) == []


def test_a_closed_day_without_rides_has_no_share(office: Office) -> None:
    small_day.close(office)
    assert _shares(office.database) == []


def test_the_last_day_with_rides_may_be_one_of_text_messages_only(office: Office, device: Device) -> None:
    with office.database.reading() as session:
        assert last_day_with_rides(session, CITY, _NEXT_DAY) is None
    small_day.send(office, device, [device.record(tapped_at_s=NOW_S - _DAY_S)])
    small_day.text_message(office, "S-1")
    with office.database.reading() as session:
        assert last_day_with_rides(session, CITY, _NEXT_DAY) == DAY
        assert last_day_with_rides(session, CITY, _BEFORE) == _BEFORE
        assert last_day_with_rides(session, CITY, "2024-05-13") is None


def test_the_share_is_read_over_the_interface(office: Office) -> None:
    small_day.play(office)
    asked = {"city": CITY, "from": _BEFORE, "to": _NEXT_DAY}
    assert office.client.get("/v1/share", params=asked).json() == {
        "definitions": ["trips/1", "revenue/1"],
        "days": [
            {
                "day": DAY,
                "trips": 7,
                "trips_cashless": 5,
                "revenue_minor": 90_000,
                "revenue_cashless_minor": 50_000,
                "cashless_share_trips_percent": 71.43,
                "cashless_share_revenue_percent": 55.56,
                "closed": False,
            }
        ],
    }
    empty = office.client.get("/v1/share", params=asked | {"from": _NEXT_DAY})
    assert (empty.status_code, empty.json()["days"]) == (200, [])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_wrong_question_about_the_share_is_refused(office: Office) -> None:
    right: dict[str, Any] = {"city": CITY, "from": _BEFORE, "to": _NEXT_DAY}
    for changes in ({"from": "2024-02-30"}, {"to": "tomorrow"}, {"from": _NEXT_DAY, "to": _BEFORE}):
        answer = office.client.get("/v1/share", params=right | changes)
        assert answer.status_code == 422
        assert answer.json()["error"]["remedy"]
    assert office.client.get("/v1/share", params=right | {"city": "atlantis"}).status_code == 404
    del right["to"]
    assert office.client.get("/v1/share", params=right).status_code == 422
