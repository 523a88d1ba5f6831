from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from clearing.channels.models import SmsPayment, TopUp
from clearing.channels.sms_text import paid_reply, rejected_reply, ticket_code, vehicle_code
from clearing.ingest.settling import dirty_days
from clearing.media.tokens import phone_token
from clearing.network.parties import Agent, SmsAggregator
from tests.builders import CITY, DAY, NOW_S, Office, make_token
from tests.clearing.senders import agree, make_sender, party

_MSISDN = "77011234567"


def _sms(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"reference": "R-1", "msisdn": _MSISDN, "text": "A-101", "sent_at_s": NOW_S} | changes


def test_an_sms_pays_a_ride_in_the_vehicle_it_names(office: Office) -> None:
    answer = office.client.post("/v1/sms", json=_sms()).json()
    assert (answer["reference"], answer["status"], answer["fare_minor"]) == ("R-1", "paid", 10_000)
    assert "A-101" in answer["reply"]
    assert answer["ticket"] in answer["reply"]
    with office.database.reading() as session:
        payment = session.scalars(select(SmsPayment)).one()
    assert (payment.city, payment.carrier, payment.vehicle, payment.line) == ("almaty", "alatau", "A-101", 1)
    assert payment.service_day == DAY
    assert payment.token == phone_token(office.keys, "+7 (701) 123-45-67")


def test_a_repeated_sms_is_answered_the_same_and_charged_once(office: Office) -> None:
    first = office.client.post("/v1/sms", json=_sms())
    office.clock.at_ms += 3_600_000
    assert office.client.post("/v1/sms", json=_sms()).json() == first.json()
    assert office.count(SmsPayment) == 1


def test_a_reference_used_for_another_sms_is_a_conflict(office: Office) -> None:
    office.client.post("/v1/sms", json=_sms())
    answer = office.client.post("/v1/sms", json=_sms(text="A-102"))
    assert answer.status_code == 409
    assert answer.json()["error"]["remedy"]
    assert office.count(SmsPayment) == 1


def test_two_aggregators_may_use_one_reference(office: Office) -> None:
    office.client.post("/v1/sms", json=_sms())
    status, answer = make_sender(office, "kcell", "aggregator").post("/v1/sms", _sms())
    assert (status, answer["status"]) == (200, "duplicate")
    assert office.count(SmsPayment) == 2


def test_an_impatient_riders_second_message_is_not_charged(office: Office) -> None:
    first = office.client.post("/v1/sms", json=_sms()).json()
    again = office.client.post("/v1/sms", json=_sms(reference="R-2", sent_at_s=NOW_S - 60)).json()
    assert (again["status"], again["fare_minor"], again["ticket"]) == ("duplicate", 0, first["ticket"])
    later = office.client.post("/v1/sms", json=_sms(reference="R-3", sent_at_s=NOW_S - 600)).json()
    other = office.client.post("/v1/sms", json=_sms(reference="R-4", text="A-102")).json()
    assert (later["status"], other["status"]) == ("paid", "paid")


def test_the_database_itself_charges_one_message_once(office: Office) -> None:
    office.client.post("/v1/sms", json=_sms())
    with office.database.reading() as session:
        payment = session.scalars(select(SmsPayment)).one()
    fields = {each.key: getattr(payment, each.key) for each in SmsPayment.__table__.columns if each.key != "id"}
    with pytest.raises(DBAPIError), office.database.writing() as session:
        session.add(SmsPayment(**fields | {"reference": "R-2"}))


@pytest.mark.parametrize(
    ("late", "late_s", "status"),
    [("accept", 901, "paid"), ("reject", 901, "expired"), ("reject", 899, "paid"), ("accept", 86_401, "expired")],
)
def test_a_late_message_is_charged_or_not_as_the_package_says(
    office: Office, late: str, late_s: int, status: str
) -> None:
    agree(office, sms_aggregator=(party(SmsAggregator, "tele2", short_number="1234", late=late),))
    answer = office.client.post("/v1/sms", json=_sms(sent_at_s=NOW_S - late_s)).json()
    assert answer["status"] == status
    assert (answer["fare_minor"] > 0) == (status == "paid")
    assert len(answer["reply"]) <= 70


def test_a_message_from_the_future_is_refused(office: Office) -> None:
    assert office.client.post("/v1/sms", json=_sms(sent_at_s=NOW_S + 301)).status_code == 422
    assert office.client.post("/v1/sms", json=_sms(sent_at_s=NOW_S + 299)).status_code == 200


def test_a_message_that_comes_after_its_day_lets_the_day_be_closed_once_more(office: Office) -> None:
    office.client.post("/v1/sms", json=_sms(sent_at_s=NOW_S - 43_200))
    with office.database.reading() as session:
        assert dirty_days(session, CITY) == {"2024-05-14": 1}


def test_an_agent_may_take_what_was_agreed(office: Office) -> None:
    agree(office, agent=(party(Agent, "kiosk", top_up_minimum_minor=100, top_up_maximum_minor=200),))
    sender = make_sender(office, "kiosk", "agent", signed=False)
    order = {"token": make_token(1).hex(), "at_s": NOW_S}
    for number, (amount_minor, status) in enumerate(((99, 422), (100, 200), (200, 200), (201, 422))):
        body = order | {"reference": f"T-{number}", "amount_minor": amount_minor}
        assert sender.post("/v1/top-ups", body)[0] == status


def test_an_sms_without_a_known_vehicle_costs_nothing(office: Office) -> None:
    for number, message in enumerate(("A-999", "hello", "")):
        answer = office.client.post("/v1/sms", json=_sms(reference=f"R-{number}", text=message)).json()
        assert (answer["status"], answer["fare_minor"], answer["ticket"]) == ("rejected", 0, None)


def test_the_telephone_number_is_stored_nowhere(office: Office) -> None:
    office.client.post("/v1/sms", json=_sms())
    office.client.post("/v1/sms", json=_sms(reference="R-2", text=_MSISDN))
    with office.database.reading() as session:
        row = session.execute(text("SELECT * FROM sms_payment WHERE reference = 'R-1'")).one()
    assert all(_MSISDN not in str(value) and _MSISDN.encode() not in bytes(str(value), "utf-8") for value in row)


@pytest.mark.parametrize("changes", [{"msisdn": "12"}, {"msisdn": "secret-text"}, {"sent_at_s": -1}, {"extra": 1}])
def test_a_malformed_sms_is_refused_without_repeating_it(office: Office, changes: dict[str, Any]) -> None:
    answer = office.client.post("/v1/sms", json=_sms(**changes))
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid"
    assert "secret-text" not in answer.text


def test_a_late_sms_belongs_to_the_day_on_which_it_was_sent(office: Office) -> None:
    office.client.post("/v1/sms", json=_sms(sent_at_s=NOW_S - 6 * 3600))
    with office.database.reading() as session:
        assert session.scalars(select(SmsPayment.service_day)).one() == "2024-05-14"


def test_a_top_up_counts_once(office: Office) -> None:
    order = {"reference": "T-1", "token": make_token(1).hex(), "amount_minor": 500_000, "at_s": NOW_S}
    answers = [office.client.post("/v1/top-ups", json=order).json() for _ in range(2)]
    assert answers[0] == answers[1] == {"reference": "T-1", "status": "accepted", "amount_minor": 500_000}
    assert office.count(TopUp) == 1
    assert office.client.post("/v1/top-ups", json=order | {"amount_minor": 1}).status_code == 409


@pytest.mark.parametrize("amount_minor", [0, -5, 10**12])
def test_a_top_up_of_nothing_or_too_much_is_refused(office: Office, amount_minor: int) -> None:
    order = {"reference": "T-1", "token": make_token(1).hex(), "amount_minor": amount_minor, "at_s": NOW_S}
    assert office.client.post("/v1/top-ups", json=order).status_code == 422


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("A-101", "A-101"),
        (" a101 ", "A-101"),
        ("а 101", "A-101"),
        ("A - 101", "A-101"),
        ("авекмнорстх", None),
        ("Кст 7", "KCT-7"),
        ("ж-101", None),
        ("A-1234567", None),
        ("A-١٠١", None),
        ("101", None),
        ("A-101 please", None),
        ("", None),
    ],
)
def test_a_vehicle_code_is_read_as_people_type_it(message: str, code: str | None) -> None:
    assert vehicle_code(message) == code


def test_a_reply_fits_one_sms() -> None:
    ticket = ticket_code(b"\xff" * 32)
    assert len(ticket) == 8
    assert len(paid_reply("ABC-123456", 1_000_000, ticket)) <= 70


def test_the_answer_to_a_wrong_code_fits_one_sms_whatever_was_written() -> None:
    for message in ("", "A-999", "  hello there, driver  ", "😀" * 160):
        reply = rejected_reply(message)
        assert len(reply.encode("utf-16-le")) // 2 <= 70
        assert "0 ₸" in reply


def test_ticket_codes_differ_and_cannot_be_misread() -> None:
    codes = {ticket_code(bytes([number]) * 32) for number in range(256)}
    assert len(codes) == 256
    assert not set("".join(codes)) & set("ILOU")
    assert ticket_code(bytes(32)) == "00000000"
    assert ticket_code(b"\xff" * 32) == "ZZZZZZZZ"
