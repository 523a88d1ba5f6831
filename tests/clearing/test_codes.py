"""Codes that the service issues and meets again: tickets, receipts for screen codes, and one that passed twice."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from clearing.fleet.keys import OneKeyVerifier
from clearing.pricing.service import price_day
from protocol.ack import STATUS_OK, STATUS_OK_FLAGGED
from protocol.qr import nonce
from protocol.qr.ticket import DAY_S, check_ticket, day_key, read_ticket, show_ticket
from protocol.qr.ticket_signature import is_signed
from protocol.tap import KIND_SINGLE, MEDIUM_QR_SCREEN, MEDIUM_QR_TICKET
from protocol.tokens import LABEL_QR, LABEL_SCREEN, medium_token
from tests.builders import CITY, DAY, NOW_S, Device, Office, make_token

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP = NOW_S // 30


def _post(office: Office, path: str, status: int = 200, **body: Any) -> dict[str, Any]:  # noqa: ANN401
    answer = office.client.post(path, json={"city": CITY} | body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def _ticket(office: Office, reference: str = "T-1", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return _post(office, "/v1/tickets", reference=reference, **({"category": 1, "expires_s": NOW_S + DAY_S} | changes))


def _code_tap(device: Device, token: bytes, counter: int | None = STEP, at_s: int = NOW_S, **changes: Any) -> bytes:  # noqa: ANN401
    fields: dict[str, Any] = {
        "kind": KIND_SINGLE,
        "medium": MEDIUM_QR_TICKET,
        "fare_minor": 10_000,
        "token_key_version": 1,
    }
    fields |= {"token": token, "counter": counter, "tapped_at_s": at_s}
    return device.record(**(fields | changes))


def _reasons(office: Office) -> list[tuple[str, str, int]]:
    found = office.client.get("/v1/exceptions", params={"city": CITY}).json()["exceptions"]
    return sorted((each["reason"], each["vehicle"], each["sequence"]) for each in found)


def _rides(office: Office, day: str = DAY) -> int:
    with office.database.writing() as session:
        return price_day(session, CITY, day).rides


def _screen_code(office: Office, device: Device, minute: int = NOW_S // 60, vehicle: str = "A-101") -> str:
    return nonce.show_screen(_screen_key(office, device, minute, vehicle), device.id, 1, minute)


def _screen_key(office: Office, device: Device, minute: int, vehicle: str = "A-101") -> bytes:
    key = day_key(office.keys.qr_master, minute // 1440)
    return nonce.screen_key(key, nonce.vehicle_secret(office.keys.qr_master, CITY, vehicle), device.id)


# Tickets.


def test_a_ticket_is_issued_once_and_signed_and_its_phone_can_ride_by_it(office: Office) -> None:
    issued = _ticket(office)
    assert _ticket(office) == issued
    key = bytes.fromhex(issued["keys"][str(NOW_S // DAY_S)])
    ticket_id, signature = bytes.fromhex(issued["ticket_id"]), bytes.fromhex(issued["signature"])
    shown = read_ticket(show_ticket(ticket_id, 1, 1, issued["expires_s"], key, NOW_S, signature))
    signer = office.keys.documents
    assert is_signed(shown, CITY, OneKeyVerifier(signer.kid, signer.x, signer.y))
    assert not is_signed(shown, "astana", OneKeyVerifier(signer.kid, signer.x, signer.y))
    assert check_ticket(shown, {NOW_S // DAY_S: day_key(office.keys.qr_master, NOW_S // DAY_S)}, NOW_S) == 0
    assert _ticket(office, "T-2")["ticket_id"] != issued["ticket_id"]
    office.clock.at_ms += 2 * DAY_S * 1000
    assert str(NOW_S // DAY_S + 2) in _ticket(office)["keys"], "the same ticket has keys of later days"


def test_a_ticket_that_cannot_be_is_refused(office: Office) -> None:
    _ticket(office)
    assert (
        "used for something else"
        in _post(office, "/v1/tickets", 409, reference="T-1", category=2, expires_s=NOW_S + DAY_S)["error"]["message"]
    )
    _post(office, "/v1/tickets", 422, reference="T-3", category=1, expires_s=NOW_S)
    _post(office, "/v1/tickets", 422, reference="T-3", category=9, expires_s=NOW_S + DAY_S)
    _post(office, "/v1/tickets", 404, city="nowhere", reference="T-3", category=1, expires_s=NOW_S + DAY_S)


def test_a_ride_by_a_ticket_that_nobody_issued_is_shown_where_tickets_are_issued(
    office: Office, device: Device
) -> None:
    made_up = make_token(9)
    office.send(device, device.message([_code_tap(device, made_up)]))
    assert _reasons(office) == [], "this city has its tickets issued elsewhere"
    issued = bytes.fromhex(_ticket(office)["ticket_id"])
    token = medium_token(office.keys.token_key, LABEL_QR, issued)
    records = [_code_tap(device, token), _code_tap(device, made_up, STEP + 1)]
    assert office.send(device, device.message(records)).status == STATUS_OK_FLAGGED
    assert _reasons(office) == [("ticket_unknown", "A-101", 3)]


# One code, twice.


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_code_that_passed_on_several_buses_is_one_ride_whatever_came_first(
    office: Office, order: Sequence[int]
) -> None:
    devices = [office.enrol(Device(seed=n), f"A-10{n}") for n in (1, 2, 3)]
    token = make_token(4)
    taps = [_code_tap(device, token, at_s=NOW_S + index) for index, device in enumerate(devices)]
    for index in order:
        office.send(devices[index], devices[index].message([taps[index]]))
    assert _rides(office) == 1
    expected = [("code_twice", "A-102", 1), ("code_twice", "A-103", 1)]
    assert _reasons(office) == expected
    fares = office.client.get("/v1/fares", params={"city": CITY, "day": DAY}).json()["fares"]
    assert [(fare["vehicle"], fare["charged_minor"]) for fare in fares] == [("A-101", 10_000)]


def test_other_codes_and_other_tickets_are_rides_of_their_own(office: Office, device: Device) -> None:
    records = [_code_tap(device, make_token(number), STEP + step) for number in (1, 2) for step in (0, 1)]
    records += [_code_tap(device, make_token(3), counter) for counter in (7, 8)]
    assert office.send(device, device.message(records)).status == STATUS_OK
    assert _rides(office) == 6
    assert _reasons(office) == []


def test_a_technicians_tap_or_a_refusal_is_no_first_use(office: Office, device: Device) -> None:
    token = make_token(1)
    records = [_code_tap(device, token, reference=True), _code_tap(device, token, kind=4, decision=20)]
    office.send(device, device.message([*records, _code_tap(device, token)]))
    assert _rides(office) == 1
    assert _reasons(office) == []


def test_taps_without_the_number_of_their_code_are_no_two_uses_of_one(office: Office, device: Device) -> None:
    token = make_token(1)
    office.send(device, device.message([_code_tap(device, token, counter=None) for _ in range(2)]))
    assert (_rides(office), _reasons(office)) == (2, [])


def test_a_code_that_passed_on_both_sides_of_the_days_boundary_is_one_ride(office: Office) -> None:
    one, two = office.enrol(Device(seed=1), "A-101"), office.enrol(Device(seed=2), "A-102")
    boundary_s = 1_715_810_400  # 16 May 2024, 03:00 in Almaty
    office.clock.at_ms = (boundary_s + 600) * 1000
    step = boundary_s // 30
    for device, at_s in ((one, boundary_s - 1), (two, boundary_s + 1)):
        device.now_s = boundary_s + 600
        office.send(device, device.message([_code_tap(device, make_token(1), step, at_s)]))
    assert [_rides(office, day) for day in (DAY, "2024-05-16")] == [1, 0]
    assert _reasons(office) == [("code_twice", "A-102", 1)]


# Screen codes.


def test_a_paid_screen_code_has_a_receipt_that_its_validator_takes(office: Office, device: Device) -> None:
    code = _screen_code(office, device)
    given = _post(office, "/v1/screen-receipts", reference="P-1", code=code)
    assert (given["vehicle"], given["fare_minor"]) == ("A-101", 10_000)
    assert given["valid_until_s"] == (NOW_S // 60 + 4) * 60
    receipt = nonce.read_receipt(given["receipt"])
    key = _screen_key(office, device, NOW_S // 60)
    assert nonce.check_receipt(receipt, device.id, 1, {NOW_S // DAY_S: key}, NOW_S) == 0
    another = _post(office, "/v1/screen-receipts", reference="P-2", code=code)
    assert another["receipt"] != given["receipt"], "two riders may pay for one code"
    office.clock.at_ms += 3_600_000
    assert _post(office, "/v1/screen-receipts", reference="P-1", code=code) == given, "an answer that was lost"


def test_a_screen_code_that_is_none_is_refused_with_its_reason(office: Office, device: Device) -> None:
    minute = NOW_S // 60
    stranger = Device(seed=77)
    genuine = _screen_code(office, device)
    changed = genuine[:-1] + ("0" if genuine[-1] != "0" else "1")
    key = _screen_key(office, device, minute)
    for code, words in (
        ("JQ2:%%%", "not a code of a validator's screen"),
        (nonce.show_screen(key, device.id, 2, minute), "of another city"),
        (_screen_code(office, stranger), "of no validator in service"),
        (changed, "was not made by the validator"),
        (_screen_code(office, device, vehicle="A-102"), "was not made by the validator"),
        (_screen_code(office, device, minute - 3), "of another moment"),
        (_screen_code(office, device, minute + 2), "of another moment"),
    ):
        refused = _post(office, "/v1/screen-receipts", 422, reference="P-1", code=code)
        assert words in refused["error"]["message"]
    _post(office, "/v1/screen-receipts", reference="P-1", code=genuine)
    _post(office, "/v1/screen-receipts", 409, reference="P-1", code=_screen_code(office, device, minute - 1))
    office.client.post(f"/v1/validators/{device.id.hex()}/revocation", json={})
    refused = _post(office, "/v1/screen-receipts", 422, reference="P-9", code=genuine)
    assert "of no validator in service" in refused["error"]["message"]


def test_a_ride_by_a_receipt_is_cleared_once_and_one_without_a_payment_is_shown(office: Office, device: Device) -> None:
    given = _post(office, "/v1/screen-receipts", reference="P-1", code=_screen_code(office, device))
    receipt = nonce.read_receipt(given["receipt"])
    token = medium_token(office.keys.token_key, LABEL_SCREEN, receipt.payment)
    fields = {"medium": MEDIUM_QR_SCREEN, "counter": receipt.minute}
    assert office.send(device, device.message([_code_tap(device, token, **fields)])).status == STATUS_OK
    records = [_code_tap(device, make_token(5), **fields), _code_tap(device, token, **fields)]
    office.send(device, device.message(records))
    assert _reasons(office) == [("code_twice", "A-101", 3), ("receipt_unknown", "A-101", 2)]
    assert _rides(office) == 2
