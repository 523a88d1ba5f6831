from __future__ import annotations

from typing import TYPE_CHECKING

from clearing.app import BODY_BYTES_MAX

if TYPE_CHECKING:
    from tests.builders import Office


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
