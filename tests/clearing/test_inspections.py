"""Inspectors: ticket codes, and who paid only when they came."""

from __future__ import annotations

from typing import Any

import pytest

from clearing.channels.inspections import INSPECTION_S
from clearing.channels.models import Inspection
from protocol.tap import KIND_INSPECTION, MEDIUM_TRANSPORT_CARD
from tests.builders import CITY, DAY, NOW_S, Device, Office, make_token
from tests.clearing.senders import make_sender
from tests.clearing.small_day import send
from tests.clearing.test_qr_payments import pay


def inspect(office: Office, vehicle: str = "A-101", at_s: int = NOW_S, **changes: Any) -> int:  # noqa: ANN401 - JSON
    body = {"reference": "I-1", "city": CITY, "vehicle": vehicle, "opened_at_s": at_s} | changes
    return office.client.post("/v1/inspections", json=body).status_code


def late_payers(office: Office) -> list[tuple[str, str]]:
    found = office.client.get("/v1/late-payers", params={"city": CITY, "day": DAY}).json()["late_payers"]
    return [(each["source"], each["source_key"].split("/")[1]) for each in found]


def check(office: Office, code: str, vehicle: str = "A-101") -> Any:  # noqa: ANN401 - JSON
    answer = office.client.get("/v1/ticket-checks", params={"city": CITY, "vehicle": vehicle, "code": code})
    assert answer.status_code == 200, answer.text
    return answer.json()


def text(office: Office, reference: str, at_s: int, vehicle: str = "A-101") -> str:
    message = {"reference": reference, "msisdn": f"7701123{at_s % 10000:04d}", "text": vehicle, "sent_at_s": at_s}
    return str(office.client.post("/v1/sms", json=message).json()["ticket"])


def test_payments_after_an_inspection_began_are_flagged_and_count(office: Office) -> None:
    text(office, "S-1", NOW_S - 700)
    assert inspect(office, at_s=NOW_S - 600) == 201
    text(office, "S-2", NOW_S - 500)
    text(office, "S-3", NOW_S - 400, vehicle="A-102")
    assert pay(office)["status"] == "paid"
    assert late_payers(office) == [("sms", "S-2"), ("qr", "Q-1")]


def test_an_inspection_lasts_half_an_hour(office: Office) -> None:
    inspect(office, at_s=NOW_S - INSPECTION_S)
    text(office, "S-1", NOW_S)
    assert late_payers(office) == [("sms", "S-1")]
    text(office, "S-2", NOW_S + 200)
    assert late_payers(office) == [("sms", "S-1")]


def test_an_inspectors_card_opens_an_inspection_even_when_its_tap_comes_late(office: Office, device: Device) -> None:
    text(office, "S-1", NOW_S + 60)
    assert late_payers(office) == []
    tap = device.record(
        kind=KIND_INSPECTION,
        medium=MEDIUM_TRANSPORT_CARD,
        token=make_token(3),
        token_key_version=1,
        fare_minor=None,
        tapped_at_s=NOW_S,
    )
    send(office, device, [tap])
    assert late_payers(office) == [("sms", "S-1")]


def test_an_inspection_is_opened_once(office: Office) -> None:
    assert [inspect(office), inspect(office), inspect(office, "A-102")] == [201, 201, 409]
    assert inspect(office, reference="I-2", vehicle="A-999") == 404
    assert inspect(office, reference="I-3", at_s=NOW_S + 301) == 422
    assert office.count(Inspection) == 1


def test_a_ticket_code_says_who_has_paid(office: Office) -> None:
    ticket = text(office, "S-1", NOW_S)
    valid = check(office, ticket)
    assert (valid["verdict"], valid["paid_at_s"], valid["valid_until_s"]) == ("valid", NOW_S, NOW_S + 5400)
    assert check(office, f" {ticket.lower().replace('0', 'o').replace('1', 'l')} ")["verdict"] == "valid"
    assert check(office, ticket, "A-102")["verdict"] == "other_vehicle"
    assert check(office, "ZZZZZZZZ")["verdict"] == "unknown"
    office.clock.at_ms += 5_401_000
    assert check(office, ticket)["verdict"] == "over"


def test_a_ticket_that_was_paid_when_the_inspector_came_says_so(office: Office) -> None:
    inspect(office, at_s=NOW_S - 60)
    assert check(office, pay(office)["ticket"])["verdict"] == "after_inspection"


def test_a_ticket_that_was_given_back_is_none(office: Office) -> None:
    ticket = pay(office)["ticket"]
    assert check(office, ticket)["verdict"] == "valid"
    body = {"reference": "F-1", "payment": "Q-1", "at_s": NOW_S}
    assert office.client.post("/v1/qr-refunds", json=body).status_code == 200
    assert check(office, ticket)["verdict"] == "refunded"


@pytest.mark.parametrize(("role", "status"), [("inspector", 200), ("agent", 403)])
def test_who_is_no_inspector_checks_no_tickets(office: Office, role: str, status: int) -> None:
    sender = make_sender(office, "somebody", role, signed=False)
    assert sender.get("/v1/ticket-checks", city=CITY, vehicle="A-101", code="X")[0] == status
