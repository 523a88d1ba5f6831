from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clearing.app import BODY_BYTES_MAX
from clearing.database import Database
from clearing.network.service import lock_city
from clearing.settlement.models import Close
from tests.builders import CITY, DAY, Office
from tests.clearing import small_day
from tests.clearing.small_day import NEXT_MORNING_MS

if TYPE_CHECKING:
    from fastapi import FastAPI

    from clearing.settings import Settings


def test_a_body_beyond_the_limit_is_refused_by_its_stated_length(office: Office) -> None:
    answer = office.client.post("/v1/sms", content=bytes(BODY_BYTES_MAX + 1))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"


def test_a_body_beyond_the_limit_is_refused_as_it_comes(office: Office) -> None:
    chunks = (bytes(10_000) for _ in range(BODY_BYTES_MAX // 10_000 + 2))
    answer = office.client.post("/v1/sms", content=chunks, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 413}
    assert set(answer.json()["error"]) == {"code", "message", "remedy"}


def test_every_error_has_one_shape(office: Office) -> None:
    answers = [
        office.client.get("/nowhere"),
        office.client.put("/v1/sms"),
        office.client.post("/v1/sms", json={}),
        office.client.post("/v1/sms", content=b"{"),
        office.client.get("/v1/fare-tables/none"),
    ]
    assert [answer.status_code for answer in answers] == [404, 405, 422, 422, 422]
    for answer in answers:
        assert set(answer.json()["error"]) == {"code", "message", "remedy"}


def test_answers_are_not_guessed_at_or_framed(office: Office) -> None:
    headers = office.client.get("/healthz").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


def test_whoever_waits_too_long_for_the_database_is_told_to_come_again(
    app: FastAPI, office: Office, settings: Settings
) -> None:
    office.clock.at_ms = NEXT_MORNING_MS
    impatient = app.state.database = Database(settings.database_url, lock_timeout_ms=50)
    with office.database.writing() as session:
        lock_city(session, CITY)
        answer = office.client.post("/v1/closes", json={"city": CITY, "day": DAY})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert "again" in answer.json()["error"]["remedy"]
    assert office.count(Close) == 0
    assert office.client.post("/v1/closes", json={"city": CITY, "day": DAY}).status_code == 201
    impatient.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_payments_go_on_coming_in_while_a_day_is_being_closed(office: Office) -> None:
    """SQLite has one writer, and the others wait for their turn."""
    with office.database.writing() as session:
        lock_city(session, CITY)
        small_day.text_message(office, "S-1")
