"""Validators that cannot sign (profile 3): everything goes by one shared key, which lies in the database encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from clearing.fleet.enrolment import ANY_AUDIENCE
from clearing.fleet.key_file import KeysError
from clearing.fleet.keys import Aes, KeyStore, open_keys
from clearing.fleet.models import ValidatorKey
from clearing.fleet.sealed import open_sealed
from clearing.ingest.models import TapRow
from clearing.network.models import City
from protocol import cbor, enrolment
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_BAD_SIG,
    STATUS_OK,
    STATUS_REVOKED,
    STATUS_WRONG_AUDIENCE,
    WANTED_DENY_LIST,
    WANTED_FARE_TABLE,
    WANTED_KEY_BUNDLE,
    Ack,
    decode_ack,
    decode_error,
)
from protocol.batch import Batch, encode_batch
from protocol.cose import (
    TYP_ACK,
    TYP_BATCH,
    TYP_ENROLLED,
    TYP_ENROLMENT,
    TYP_FARE_TABLE,
    TYP_KEY_BUNDLE,
    TYP_LIST,
    TYP_LIST_DELTA,
    TYP_RETIREMENT,
    TYP_ROTATION,
    sign1,
)
from protocol.cose_mac import MacKey, first_key, mac0, verify_mac0
from protocol.enrolment import decode_key_bundle
from protocol.fare_table import decode_fare_table
from protocol.key_bundle import decode_wrapped_bundle
from protocol.keywrap import unwrap
from protocol.list_delta import decode_delta
from protocol.medium_list import decode_list
from protocol.rotation import Retirement, Rotation, encode_retirement, encode_rotation
from tests.builders import CITY, Device, Office, make_token

if TYPE_CHECKING:
    from pathlib import Path


class SharedDevice(Device):
    """A validator of profile 3.

    Attributes:
        shared: the key that it shares with the service.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.shared = MacKey(bytes(32))

    def request_enrolment(self, code: str) -> bytes:
        invitation = enrolment.parse_invitation(code)
        self.shared = first_key(invitation.secret, self.id)
        return self.ask_with(code, self.shared)

    def ask_with(self, code: str, key: MacKey) -> bytes:
        invitation = enrolment.parse_invitation(code)
        proof = invitation.proof(self.id, cbor.encode(key.cose_key))
        request = enrolment.EnrolmentRequest(self.id, invitation.code_id, key.cose_key, 3, proof)
        return mac0(enrolment.encode_request(request), TYP_ENROLMENT, ANY_AUDIENCE, key)

    def read_enrolled(self, answer: bytes, code: str) -> None:
        audience = enrolment.decode_enrolled(cbor.decode(answer)[2]).audience
        self.enrolled = enrolment.decode_enrolled(verify_mac0(answer, TYP_ENROLLED, audience, self.shared))
        invitation = enrolment.parse_invitation(code)
        self.bundle = decode_key_bundle(unwrap(Aes(), invitation.key_encryption_key(), self.enrolled.wrapped_keys))
        self.audience = audience
        self.begin_epoch(self.enrolled.epoch)

    def sign(self, batch: Batch, audience: str | None = None, typ: str = TYP_BATCH) -> bytes:
        return mac0(encode_batch(batch), typ, audience or self.audience, self.shared)

    def read_ack(self, answer: bytes) -> Ack:
        return decode_ack(verify_mac0(answer, TYP_ACK, self.audience, self.shared))


@pytest.fixture
def weak(office: Office) -> SharedDevice:
    """A validator of profile 3 in bus A-103, enrolled."""
    device = SharedDevice(seed=3)
    office.enrol(device, vehicle="A-103")
    return device


def _enrolment_refused(office: Office, message: bytes) -> int:
    answer = office.client.post("/v1/enrolments", content=message)
    assert answer.status_code >= 400
    return decode_error(answer.content).status


# Enrolment.


def test_a_validator_that_cannot_sign_enrols_and_is_shown_as_such(office: Office, weak: SharedDevice) -> None:
    assert weak.enrolled is not None
    assert weak.enrolled.key_set is None, "there are no key sets for it"
    assert weak.bundle is not None
    assert weak.bundle.token_key == office.keys.token_key
    assert office.validator(weak).profile == 3
    shown = office.client.get("/v1/validators").json()["validators"]
    assert [each["profile"] for each in shown] == [3]


def test_a_lost_answer_is_given_again_to_who_has_the_secret(office: Office) -> None:
    device, code = SharedDevice(seed=3), office.invite()
    message = device.request_enrolment(code)
    for _ in range(2):
        device.read_enrolled(office.client.post("/v1/enrolments", content=message).content, code)
    changed = bytearray(message)
    changed[-1] ^= 1
    assert _enrolment_refused(office, bytes(changed)) == STATUS_BAD_SIG
    assert device.epoch == 1


def test_another_key_than_that_of_the_invitation_is_refused(office: Office) -> None:
    device, code = SharedDevice(seed=3), office.invite()
    assert _enrolment_refused(office, device.ask_with(code, MacKey(b"k" * 32))) == STATUS_BAD_SIG
    assert office.client.post("/v1/enrolments", content=device.request_enrolment(code)).status_code == 200


def test_profile_and_envelope_go_together(office: Office) -> None:
    device, code = SharedDevice(seed=3), office.invite()
    invitation = enrolment.parse_invitation(code)
    shared = first_key(invitation.secret, device.id)
    for key, profile, is_tagged in ((shared.cose_key, 3, False), (device.signer.public_key(), 2, True)):
        proof = invitation.proof(device.id, cbor.encode(key))
        request = enrolment.EnrolmentRequest(device.id, invitation.code_id, key, profile, proof)
        payload = enrolment.encode_request(request)
        message = (
            mac0(payload, TYP_ENROLMENT, ANY_AUDIENCE, shared)
            if is_tagged
            else sign1(payload, TYP_ENROLMENT, ANY_AUDIENCE, device.signer)
        )
        assert _enrolment_refused(office, message) == STATUS_BAD_COSE


def test_the_shared_key_lies_in_the_database_encrypted(office: Office, weak: SharedDevice, tmp_path: Path) -> None:
    secret = weak.shared.export()
    with office.database.reading() as session:
        row = session.scalars(select(ValidatorKey)).one()
        for table in ("validator_key", "invitation", "audit_record", "validator"):
            for found in session.execute(text(f"SELECT * FROM {table}")):  # noqa: S608 - names of our own
                assert all(secret not in value for value in found if isinstance(value, bytes))
                assert all(secret.hex() not in value for value in found if isinstance(value, str))

    assert row.sealed is not None
    assert open_sealed(office.keys, weak.id, row.sealed).kid == weak.shared.kid
    with pytest.raises(KeysError):
        open_sealed(office.keys, bytes(16), row.sealed)
    stranger: KeyStore = open_keys(tmp_path / "keys.json")
    with pytest.raises(KeysError):
        open_sealed(stranger, weak.id, row.sealed)


# Batches, and who may send what.


def test_batches_are_stored_and_answered_with_a_tag(office: Office, weak: SharedDevice) -> None:
    ack = office.send(weak, weak.message([weak.record() for _ in range(3)]))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_OK, 3, weak.head)
    assert ack.wanted is not None
    assert set(ack.wanted) == {WANTED_FARE_TABLE, WANTED_DENY_LIST, WANTED_KEY_BUNDLE}
    assert office.count(TapRow) == 3


def test_a_tag_is_nothing_from_a_validator_that_signs_and_a_signature_from_one_that_cannot(
    office: Office, device: Device, weak: SharedDevice
) -> None:
    batch = device.batch([device.record()], 1, device.head)
    public = device.signer.x + device.signer.y
    for secret in (device.signer.x, public, bytes(32)):
        forged = MacKey(secret)
        forged.kid = device.signer.kid
        message = mac0(encode_batch(batch), TYP_BATCH, device.audience, forged)
        assert office.send_refused(message).status == STATUS_BAD_COSE
    device.signer.kid = weak.shared.kid
    weak_batch = weak.batch([weak.record()], 1, weak.head)
    signed = sign1(encode_batch(weak_batch), TYP_BATCH, weak.audience, device.signer)
    assert office.send_refused(signed).status == STATUS_BAD_COSE
    assert office.count(TapRow) == 0


def test_a_changed_byte_is_refused(office: Office, weak: SharedDevice) -> None:
    message = weak.message([weak.record()])
    for index in range(0, len(message), 9):
        changed = bytearray(message)
        changed[index] ^= 0x40
        assert office.send_refused(bytes(changed)).status != STATUS_OK
    assert office.send(weak, message).status == STATUS_OK


def test_a_batch_for_another_city_is_refused(office: Office, weak: SharedDevice) -> None:
    with office.database.writing() as session:
        session.add(
            City(code="astana", number=2, names_json="{}", zone="Asia/Almaty", currency="KZT", package_sha256="")
        )
    batch = weak.batch([weak.record()], 1, weak.head)
    assert office.send_refused(weak.sign(batch, audience="astana")).status == STATUS_WRONG_AUDIENCE


def test_a_payload_that_is_no_batch_is_answered_with_a_tag(office: Office, weak: SharedDevice) -> None:
    ack = office.send(weak, mac0(b"\xa0", TYP_BATCH, weak.audience, weak.shared))
    assert ack.status == STATUS_BAD_CBOR


def test_a_revoked_one_is_refused(office: Office, weak: SharedDevice) -> None:
    office.client.post(f"/v1/validators/{weak.id.hex()}/revocation")
    assert office.send_refused(weak.message([])).status == STATUS_REVOKED


# Rotation and retirement.


def _rotate(office: Office, weak: SharedDevice, following: MacKey, nonce: bytes = b"rotation") -> Ack:
    rotation = Rotation(weak.id, weak.epoch, following.cose_key, nonce)
    message = mac0(encode_rotation(rotation), TYP_ROTATION, weak.audience, weak.shared)
    return weak.read_ack(office.client.post("/v1/rotations", content=message).content)


def test_the_shared_key_changes_to_the_one_that_follows(office: Office, weak: SharedDevice) -> None:
    office.send(weak, weak.message([weak.record()]))
    old, following = weak.shared, weak.shared.next(b"rotation")
    for _ in range(2):
        ack = _rotate(office, weak, following)
        assert (ack.status, ack.sequence) == (STATUS_OK, 1)
    assert office.send(weak, weak.message([weak.record()])).sequence == 2, "the old one is still taken"
    weak.shared = following
    assert office.send(weak, weak.message([weak.record()])).sequence == 3
    weak.shared = old
    assert office.send_refused(weak.message([])).status == STATUS_REVOKED
    assert _rotate(office, weak, following).status == STATUS_OK, "the very same is answered as before"


def test_no_other_key_than_the_one_that_follows_is_taken(office: Office, device: Device, weak: SharedDevice) -> None:
    assert _rotate(office, weak, MacKey(b"k" * 32)).status == STATUS_BAD_CBOR
    rotation = Rotation(weak.id, weak.epoch, device.signer.public_key(), b"rotation")
    message = mac0(encode_rotation(rotation), TYP_ROTATION, weak.audience, weak.shared)
    assert weak.read_ack(office.client.post("/v1/rotations", content=message).content).status == STATUS_BAD_CBOR
    assert office.send(weak, weak.message([])).status == STATUS_OK


def test_a_tag_rotates_no_validator_that_signs(office: Office, device: Device) -> None:
    forged = MacKey(device.signer.x)
    forged.kid = device.signer.kid
    rotation = Rotation(device.id, 1, forged.next(b"rotation").cose_key, b"rotation")
    message = mac0(encode_rotation(rotation), TYP_ROTATION, device.audience, forged)
    answer = office.client.post("/v1/rotations", content=message)
    assert decode_error(answer.content).status == STATUS_BAD_COSE


def test_it_may_leave_when_everything_is_stored(office: Office, weak: SharedDevice) -> None:
    office.send(weak, weak.message([weak.record()]))
    word = Retirement(weak.id, 1, 1, weak.head, b"farewell")
    message = mac0(encode_retirement(word), TYP_RETIREMENT, weak.audience, weak.shared)
    for _ in range(2):
        assert word.may_erase_after(weak.read_ack(office.client.post("/v1/retirements", content=message).content))
    assert office.send_refused(weak.message([])).status == STATUS_REVOKED


# Documents.


def _document(office: Office, weak: SharedDevice, path: str, typ: str) -> bytes:
    answer = office.client.get(path, params={"kid": weak.shared.kid.hex()})
    assert answer.status_code == 200, answer.text
    return verify_mac0(answer.content, typ, weak.audience, weak.shared)


def test_documents_come_with_a_tag_and_say_the_same(office: Office, weak: SharedDevice) -> None:
    tokens = [make_token(1).hex()]
    listed = office.client.post("/v1/lists/deny", json={"city": CITY, "tokens": tokens}).json()["number"]
    wanted: dict[int, int] = office.send(weak, weak.message([])).wanted or {}
    table = _document(office, weak, f"/v1/fare-tables/{wanted[WANTED_FARE_TABLE]}", TYP_FARE_TABLE)
    assert decode_fare_table(table).number == wanted[WANTED_FARE_TABLE]
    assert decode_list(_document(office, weak, f"/v1/lists/deny/{listed}", TYP_LIST)).holds(make_token(1))
    change = _document(office, weak, f"/v1/lists/deny/{listed}/from/{listed - 1}", TYP_LIST_DELTA)
    assert decode_delta(change).to_number == listed


def test_a_key_bundle_opens_with_the_shared_key(office: Office, weak: SharedDevice) -> None:
    number = (office.send(weak, weak.message([])).wanted or {})[WANTED_KEY_BUNDLE]
    answer = office.client.get(f"/v1/key-bundles/{weak.id.hex()}/{number}")
    bundle = decode_wrapped_bundle(verify_mac0(answer.content, TYP_KEY_BUNDLE, weak.audience, weak.shared))
    assert bundle.ephemeral is None
    opened = decode_key_bundle(unwrap(Aes(), bundle.shared_key(weak.shared), bundle.wrapped))
    assert sorted(opened.qr_day_keys) == [number, number + 1, number + 2]


@pytest.mark.parametrize("kid", ["", "zz", "00" * 8, "00"])
def test_a_name_that_shares_no_key_gets_no_tag(office: Office, device: Device, kid: str) -> None:
    asked: dict[str, Any] = {"kid": kid or device.signer.kid.hex()}
    assert office.client.get("/v1/lists/deny/1", params=asked).status_code == 404


def test_a_document_of_another_city_gets_no_tag(office: Office, weak: SharedDevice) -> None:
    with office.database.writing() as session:
        session.add(
            City(code="astana", number=2, names_json="{}", zone="Asia/Almaty", currency="KZT", package_sha256="")
        )
    tokens = [make_token(1).hex()]
    number = office.client.post("/v1/lists/deny", json={"city": "astana", "tokens": tokens}).json()["number"]
    assert office.client.get(f"/v1/lists/deny/{number}").status_code == 200
    asked = {"kid": weak.shared.kid.hex()}
    assert office.client.get(f"/v1/lists/deny/{number}", params=asked).status_code == 404
