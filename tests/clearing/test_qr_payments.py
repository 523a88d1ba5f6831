"""QR payments are bound to vehicle, minute and plate; what does not fit is refused; each counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from clearing.channels.models import QrPayment, QrRefund
from clearing.channels.paid_rides import paid_rides
from clearing.ingest.settling import dirty_days
from clearing.media.models import ScreenReceipt
from clearing.network.models import Vehicle
from clearing.network.parties import QrProvider
from protocol.qr import nonce
from protocol.qr.ticket import day_key
from protocol.qr.vehicle_label import label_check, show_label
from tests.builders import CITY, DAY, NOW_S, Device, Office
from tests.clearing.senders import agree, make_sender, party

if TYPE_CHECKING:
    from simulator.counterparties.party import Sender

_MINUTE = NOW_S // 60


def label(office: Office, vehicle: str = "A-101", city: str = CITY) -> str:
    """The link on a vehicle's label."""
    return show_label(city, vehicle, label_check(office.keys.qr_master, city, vehicle))


def screen(office: Office, device: Device, minute: int = _MINUTE, vehicle: str = "A-101") -> str:
    """The code on a validator's screen."""
    secret = nonce.vehicle_secret(office.keys.qr_master, CITY, vehicle)
    key = nonce.screen_key(day_key(office.keys.qr_master, minute // 1440), secret, device.id)
    return nonce.show_screen(key, device.id, 1, minute)


def notice(office: Office, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "reference": "Q-1",
        "city": CITY,
        "code": label(office),
        "plate": "A-101",
        "payer": "wallet-77",
        "amount_minor": 10_000,
        "currency": "KZT",
        "paid_at_s": NOW_S,
    } | changes


def pay(office: Office, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    answer = office.client.post("/v1/qr-payments", json=notice(office, **changes))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.fixture
def provider(office: Office) -> Sender:
    return make_sender(office, "wallet", "provider")


def test_a_payment_for_a_label_is_a_ride_in_its_vehicle(office: Office, provider: Sender) -> None:
    status, answer = provider.post("/v1/qr-payments", notice(office))
    assert (status, answer["status"], answer["vehicle"], answer["fare_minor"]) == (200, "paid", "A-101", 10_000)
    assert len(answer["ticket"]) == 8
    with office.database.reading() as session:
        (ride,) = paid_rides(session, CITY, DAY)
    assert (ride.source, ride.medium, ride.vehicle, ride.carrier, ride.line) == ("qr", "qr", "A-101", "alatau", 1)
    assert ride.source_key.endswith("/Q-1")


def test_a_payment_for_a_screen_is_of_its_validator_and_minute(office: Office, device: Device) -> None:
    assert pay(office, code=screen(office, device))["status"] == "paid"
    with office.database.reading() as session:
        (ride,) = paid_rides(session, CITY, DAY)
        (row,) = session.query(QrPayment)
    assert (ride.medium, row.device_id, row.minute) == ("qr_screen", device.id, _MINUTE)


def test_it_is_signed_or_refused(office: Office) -> None:
    status, answer = make_sender(office, "wallet", "provider", signed=False).post("/v1/qr-payments", notice(office))
    assert (status, answer["error"]["code"]) == (401, "signature")


def test_a_payment_counts_once(office: Office, provider: Sender) -> None:
    first = provider.post("/v1/qr-payments", notice(office))
    office.clock.at_ms += 3_600_000
    assert provider.post("/v1/qr-payments", notice(office)) == first
    assert provider.post("/v1/qr-payments", notice(office, plate="A-102"))[0] == 409
    again = provider.post("/v1/qr-payments", notice(office, reference="Q-2"))[1]
    assert (again["status"], again["fare_minor"]) == ("refused", 0)
    assert "Q-1" in again["reason"]
    friend = provider.post("/v1/qr-payments", notice(office, reference="Q-3", paid_at_s=NOW_S + 1))[1]
    assert friend["status"] == "paid"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"plate": "A-102"}, "was shown A-102"),
        ({"amount_minor": 9_999}, "costs 10000"),
        ({"amount_minor": 10_001}, "costs 10000"),
        ({"code": "JOLAQY://ALMATY/A-101/AAAAAA"}, "fake sticker"),
        ({"code": "JOLAQY://ALMATY/A-999/AAAAAA"}, "fake sticker"),
        ({"code": "JOLAQY://ASTANA/A-101/AAAAAA"}, "fake sticker"),
        ({"code": "https://pay.example/A-101"}, "neither"),
        ({"code": "JQ2:ABC"}, "not a code of a validator's screen"),
        ({"paid_at_s": NOW_S - 86_401}, "too long after"),
    ],
)
def test_what_does_not_fit_is_refused_and_is_no_ride(office: Office, changes: dict[str, Any], reason: str) -> None:
    answer = pay(office, **changes)
    assert (answer["status"], answer["fare_minor"], answer["ticket"]) == ("refused", 0, None)
    assert reason in answer["reason"]
    with office.database.reading() as session:
        assert paid_rides(session, CITY, DAY) == []


def test_a_screen_code_of_another_minute_bus_or_maker_is_refused(office: Office, device: Device) -> None:
    for number, (code, reason) in enumerate(
        (
            (screen(office, device, _MINUTE - 3), "another moment"),
            (screen(office, device, _MINUTE + 2), "another moment"),
            (screen(office, device, vehicle="A-102"), "not made by"),
            (screen(office, Device(seed=9)), "no validator in service"),
        )
    ):
        assert reason in pay(office, code=code, reference=f"Q-{number}")["reason"]
    assert pay(office, code=screen(office, device, _MINUTE - 2), reference="Q-9")["status"] == "paid"


def test_how_long_a_screen_code_can_be_paid_is_the_citys_to_say(office: Office, device: Device) -> None:
    agree(office, qr_provider=(party(QrProvider, "wallet", nonce_s=300),))
    assert pay(office, code=screen(office, device, _MINUTE - 5))["status"] == "paid"


def test_a_late_payment_is_a_ride_or_not_as_the_package_says(office: Office) -> None:
    agree(office, qr_provider=(party(QrProvider, "wallet", late="reject", late_after_s=60),))
    assert pay(office, paid_at_s=NOW_S - 61)["status"] == "refused"
    assert pay(office, paid_at_s=NOW_S - 59, reference="Q-2")["status"] == "paid"


def test_a_plate_is_compared_as_people_read_it(office: Office) -> None:
    with office.database.writing() as session:
        session.get_one(Vehicle, (CITY, "A-101")).plate = "123 АВС 02"
    assert pay(office, plate="123abc02")["status"] == "paid"
    assert "was shown A-101" in pay(office, reference="Q-2", plate="A-101")["reason"]


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": 0},
        {"amount_minor": -1},
        {"currency": "USD"},
        {"paid_at_s": NOW_S + 301},
        {"extra": 1},
        {"reference": "a b"},
        {"code": ""},
    ],
)
def test_a_malformed_payment_is_not_taken(office: Office, changes: dict[str, Any]) -> None:
    assert office.client.post("/v1/qr-payments", json=notice(office, **changes)).status_code == 422
    assert office.count(QrPayment) == 0


def test_the_payer_is_stored_nowhere(office: Office) -> None:
    pay(office)
    with office.database.reading() as session:
        row = session.execute(text("SELECT * FROM qr_payment")).one()
    assert all("wallet-77" not in str(value) for value in row)


def test_a_refund_takes_the_ride_out_of_the_day_once(office: Office, provider: Sender) -> None:
    provider.post("/v1/qr-payments", notice(office))
    office.clock.at_ms += 86_400_000
    body = {"reference": "F-1", "payment": "Q-1", "at_s": NOW_S + 80_000}
    assert provider.post("/v1/qr-refunds", body) == (200, {"reference": "F-1", "payment": "Q-1", "status": "refunded"})
    assert provider.post("/v1/qr-refunds", body)[0] == 200
    assert provider.post("/v1/qr-refunds", body | {"at_s": NOW_S})[0] == 409
    assert provider.post("/v1/qr-refunds", body | {"reference": "F-2"})[0] == 409
    assert provider.post("/v1/qr-refunds", body | {"reference": "F-3", "payment": "Q-9"})[0] == 404
    assert office.count(QrRefund) == 1
    with office.database.reading() as session:
        assert paid_rides(session, CITY, DAY) == []
        assert dirty_days(session, CITY) == {DAY: 1}
    assert provider.post("/v1/qr-payments", notice(office))[1]["status"] == "refunded"


def test_another_provider_can_give_nothing_back(office: Office, provider: Sender) -> None:
    provider.post("/v1/qr-payments", notice(office))
    other = make_sender(office, "purse", "provider")
    assert other.post("/v1/qr-refunds", {"reference": "F-1", "payment": "Q-1", "at_s": NOW_S})[0] == 404


def test_a_payment_whose_receipt_was_given_out_is_the_validators_ride(office: Office, device: Device) -> None:
    code = screen(office, device)
    answer = office.client.post("/v1/screen-receipts", json={"reference": "Q-1", "city": CITY, "code": code})
    assert answer.status_code == 200
    assert pay(office, code=code)["status"] == "paid"
    assert office.count(ScreenReceipt) == 1
    with office.database.reading() as session:
        assert paid_rides(session, CITY, DAY) == []


def test_the_payment_page_names_vehicle_route_plate_and_price(office: Office) -> None:
    answer = office.client.get("/v1/pay/A-101", params={"city": CITY, "code": label(office)})
    page = answer.json()
    assert (page["vehicle"], page["plate"], page["line"], page["fare_minor"]) == ("A-101", "A-101", 1, 10_000)
    assert page["route"]["kk"] == "Саяхат – Алмалы"
    assert page["carrier"]["en"] == "Alatau Bus Depot"
    assert (page["is_genuine"], page["medium"]) == (True, "qr")


def test_the_payment_page_finds_a_fake_sticker(office: Office, device: Device) -> None:
    swapped = office.client.get("/v1/pay/A-102", params={"city": CITY, "code": label(office)})
    assert swapped.status_code == 409
    assert "A-101" in swapped.json()["error"]["message"]
    forged = office.client.get("/v1/pay/A-101", params={"city": CITY, "code": "JOLAQY://ALMATY/A-101/AAAAAA"})
    assert "fake sticker" in forged.json()["error"]["message"]
    shown = office.client.get("/v1/pay", params={"city": CITY, "code": screen(office, device)}).json()
    assert (shown["vehicle"], shown["medium"]) == ("A-101", "qr_screen")


def test_the_payment_page_is_for_everybody_and_says_when_nothing_is_there(office: Office) -> None:
    headers = {"x-forwarded-for": "203.0.113.9"}
    page = office.client.get("/v1/pay/A-101", params={"city": CITY}, headers=headers)
    assert (page.status_code, page.json()["is_genuine"]) == (200, None)
    assert office.client.get("/v1/pay/A-999", params={"city": CITY}).status_code == 404
    assert office.client.get("/v1/pay", params={"city": CITY}).status_code == 404
    assert office.client.get("/v1/pay/A-101", params={"city": "nowhere"}).status_code == 404
