from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from clearing.fleet.enrolment import INVITATION_LASTS_MS
from clearing.fleet.keys import Es256Signer
from clearing.fleet.models import Invitation, Validator
from protocol import cbor, enrolment
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_BAD_SIG,
    STATUS_KEY_EXPIRED,
    STATUS_KID_UNKNOWN,
    STATUS_REVOKED,
    decode_error,
)
from protocol.compat import hmac_sha256
from protocol.cose import TYP_ENROLMENT, sign1
from tests.builders import NOW_S, Device, Office

if TYPE_CHECKING:
    from httpx import Response

_AUDIENCE = ""


def _ask(office: Office, message: bytes) -> Response:
    return office.client.post("/v1/enrolments", content=message, headers={"content-type": "application/cose"})


def _refusal(office: Office, message: bytes) -> int:
    answer = _ask(office, message)
    assert answer.status_code >= 400
    return decode_error(answer.content).status


def test_an_enrolled_validator_knows_what_it_must(office: Office, device: Device) -> None:
    enrolled, bundle = device.enrolled, device.bundle
    assert enrolled is not None
    assert bundle is not None
    assert (enrolled.audience, enrolled.city, enrolled.line, enrolled.vehicle) == ("almaty", 1, 1, "A-101")
    assert (enrolled.epoch, enrolled.server_time_s) == (1, NOW_S)
    assert bundle.token_key == office.keys.token_key
    assert bundle.transit_read == office.keys.transit_read_master
    assert bundle.token_key_version == 1
    today = NOW_S // 86_400
    assert set(bundle.qr_day_keys) == {today, today + 1, today + 2}
    assert bundle.qr_day_keys[today] == hmac_sha256(office.keys.qr_master, b"day" + today.to_bytes(4, "big"))
    listed = office.client.get("/v1/validators").json()["validators"]
    assert [(each["device"], each["status"], each["vehicle"]) for each in listed] == [
        (device.id.hex(), "active", "A-101")
    ]


def test_the_secret_of_a_used_code_is_destroyed(office: Office, device: Device) -> None:
    with office.database.reading() as session:
        invitation = session.scalars(select(Invitation)).one()
    assert invitation.secret is None
    assert invitation.device_id == device.id


def test_a_lost_answer_is_given_again_to_the_same_device_only(office: Office) -> None:
    device, code = Device(seed=1), office.invite()
    first = _ask(office, device.request_enrolment(code))
    again = _ask(office, device.request_enrolment(code))
    assert first.content == again.content
    device.read_enrolled(again.content, code)
    assert device.epoch == 1
    assert _refusal(office, Device(seed=2).request_enrolment(code)) == STATUS_REVOKED


def test_a_device_that_enrols_again_begins_a_new_epoch_and_its_old_key_ends(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    old_key = device.signer
    device.signer = Es256Signer(bytes(31) + b"\x07")
    office.enrol(device, vehicle="A-102")
    assert device.epoch == 2
    assert office.send(device, device.message([device.record()])).sequence == 1
    device.signer = old_key
    assert office.send_refused(device.message([device.record()])).status == STATUS_REVOKED
    with office.database.reading() as session:
        assert session.get_one(Validator, device.id).vehicle == "A-102"


def test_a_revoked_validator_comes_back_by_a_new_invitation(office: Office, device: Device) -> None:
    office.client.post(f"/v1/validators/{device.id.hex()}/revocation")
    office.enrol(device)
    assert office.send(device, device.message([device.record()])).epoch == 2


def test_an_expired_code_is_refused(office: Office) -> None:
    code = office.invite()
    office.clock.at_ms += INVITATION_LASTS_MS
    assert _refusal(office, Device(seed=1).request_enrolment(code)) == STATUS_KEY_EXPIRED


def test_an_unknown_code_is_refused(office: Office) -> None:
    code = enrolment.print_invitation(enrolment.Invitation(bytes(8), bytes(16), office.keys.ack.kid))
    assert _refusal(office, Device(seed=1).request_enrolment(code)) == STATUS_KID_UNKNOWN


def test_a_guessed_secret_is_refused_and_does_not_use_the_code_up(office: Office) -> None:
    device, code = Device(seed=1), office.invite()
    true = enrolment.parse_invitation(code)
    guessed = enrolment.print_invitation(enrolment.Invitation(true.code_id, bytes(16), true.ack_kid))
    assert _refusal(office, device.request_enrolment(guessed)) == STATUS_BAD_SIG
    assert _ask(office, device.request_enrolment(code)).status_code == 200


def test_a_key_that_is_not_the_senders_own_is_refused(office: Office) -> None:
    device, other = Device(seed=1), Device(seed=2)
    invitation = enrolment.parse_invitation(office.invite())
    key = other.signer.public_key()
    proof = invitation.proof(device.id, cbor.encode(key))
    request = enrolment.EnrolmentRequest(device.id, invitation.code_id, key, 2, proof)
    device.signer.kid = other.signer.kid
    message = sign1(enrolment.encode_request(request), TYP_ENROLMENT, _AUDIENCE, device.signer)
    assert _refusal(office, message) == STATUS_BAD_SIG


def test_a_key_of_another_device_cannot_be_registered_again(office: Office, device: Device) -> None:
    thief = Device(seed=5)
    thief.signer = device.signer
    assert _refusal(office, thief.request_enrolment(office.invite())) == STATUS_KID_UNKNOWN


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 50, b"\xff" * 40_000])
def test_garbage_is_no_enrolment(office: Office, garbage: bytes) -> None:
    assert _ask(office, garbage).status_code in {400, 413}


def test_a_signed_payload_that_is_no_request_is_refused(office: Office) -> None:
    device = Device(seed=1)
    assert _refusal(office, sign1(b"\xa0", TYP_ENROLMENT, _AUDIENCE, device.signer)) == STATUS_BAD_CBOR
    assert _refusal(office, device.message([])) in {STATUS_BAD_CBOR, STATUS_BAD_COSE}


@pytest.mark.parametrize(("city", "vehicle"), [("almaty", "A-999"), ("nowhere", "A-101")])
def test_only_a_known_vehicle_is_invited(office: Office, city: str, vehicle: str) -> None:
    answer = office.client.post("/v1/validators/invitations", json={"city": city, "vehicle": vehicle})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_revoking_a_validator_nobody_knows_is_answered_plainly(office: Office) -> None:
    assert office.client.post(f"/v1/validators/{'00' * 16}/revocation").status_code == 404
    assert office.client.post("/v1/validators/xyz/revocation").status_code == 422
