"""A validator changes its key: with both keys, losing nothing, and nobody can do it in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clearing.fleet.keys import Es256Signer
from clearing.network.models import City
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_BAD_SIG,
    STATUS_DUP,
    STATUS_EPOCH,
    STATUS_KID_UNKNOWN,
    STATUS_OK,
    STATUS_REVOKED,
    STATUS_TOO_LARGE,
    STATUS_WRONG_AUDIENCE,
    Ack,
    decode_error,
)
from protocol.cose import TYP_BATCH, TYP_ROTATION, sign1
from protocol.cose_sign import sign_all
from protocol.rotation import Rotation, encode_rotation
from tests.builders import Device, Office

if TYPE_CHECKING:
    from collections.abc import Sequence

_NONCE = b"rotation"


def _key(number: int) -> Es256Signer:
    return Es256Signer(bytes(31) + bytes([number]))


def _ask(
    device: Device, new: Es256Signer, signers: Sequence[Es256Signer] = (), audience: str = "", epoch: int = 0
) -> tuple[Rotation, bytes]:
    rotation = Rotation(device.id, epoch or device.epoch, new.public_key(), _NONCE)
    signed = sign_all(
        encode_rotation(rotation), TYP_ROTATION, audience or device.audience, signers or [device.signer, new]
    )
    return rotation, signed


def _send(office: Office, device: Device, message: bytes) -> Ack:
    answer = office.client.post("/v1/rotations", content=message)
    assert answer.status_code == 200, decode_error(answer.content).status
    return device.read_ack(answer.content)


def _refused(office: Office, message: bytes) -> int:
    answer = office.client.post("/v1/rotations", content=message)
    assert answer.status_code >= 400
    return decode_error(answer.content).status


def test_a_validator_goes_on_with_its_new_key(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    rotation, message = _ask(device, _key(7))
    ack = _send(office, device, message)
    assert rotation.is_done_by(ack)
    assert (ack.sequence, ack.head) == (1, device.head)
    device.signer = _key(7)
    assert office.send(device, device.message([device.record()])).sequence == 2
    assert office.validator(device).epoch == 1


def test_the_old_key_is_taken_until_the_first_batch_by_the_new_one(office: Office, device: Device) -> None:
    old = device.signer
    _send(office, device, _ask(device, _key(7))[1])
    before = device.message([device.record()])
    assert office.send(device, before).status == STATUS_OK
    device.signer = _key(7)
    assert office.send(device, device.message([])).status == STATUS_OK
    device.signer = old
    assert office.send_refused(device.message([])).status == STATUS_REVOKED
    assert office.send_refused(before).status == STATUS_REVOKED, "not even what it said before"


def test_the_very_same_rotation_gets_the_same_answer_even_when_it_is_long_done(office: Office, device: Device) -> None:
    rotation, message = _ask(device, _key(7))
    first, again = (_send(office, device, message) for _ in range(2))
    assert (first.status, first.sequence, first.head) == (again.status, again.sequence, again.head)
    device.signer = _key(7)
    office.send(device, device.message([device.record()]))
    late = _send(office, device, message)
    assert rotation.is_done_by(late)
    assert late.sequence == 1


def test_a_rotation_that_was_never_used_gives_way_to_the_next(office: Office, device: Device) -> None:
    _send(office, device, _ask(device, _key(7))[1])
    assert _send(office, device, _ask(device, _key(8))[1]).status == STATUS_OK
    device.signer = _key(7)
    assert office.send_refused(device.message([])).status == STATUS_REVOKED
    device.signer = _key(8)
    assert office.send(device, device.message([])).status == STATUS_OK


def test_rotation_after_rotation_leaves_one_key(office: Office, device: Device) -> None:
    for number in range(2, 6):
        _send(office, device, _ask(device, _key(number))[1])
        device.signer = _key(number)
    office.send(device, device.message([device.record()]))
    for number in range(2, 5):
        device.signer = _key(number)
        assert office.send_refused(device.message([])).status == STATUS_REVOKED


def test_one_key_is_not_enough(office: Office, device: Device) -> None:
    thief, new = _key(9), _key(7)
    for signers in ([device.signer, thief], [thief, new]):
        assert _refused(office, _ask(device, new, signers)[1]) in {STATUS_BAD_COSE, STATUS_KID_UNKNOWN}
    for stand_in in (device.signer, new):
        forger = _key(9)
        forger.kid = stand_in.kid
        signers = [forger if each is stand_in else each for each in (device.signer, new)]
        assert _refused(office, _ask(device, new, signers)[1]) == STATUS_BAD_SIG
    assert office.send(device, device.message([])).status == STATUS_OK


def test_a_key_that_is_somebodys_is_not_taken(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    ack = _send(office, device, _ask(device, other.signer)[1])
    assert ack.status == STATUS_BAD_CBOR
    assert office.send(other, other.message([])).status == STATUS_OK
    used = device.signer
    _send(office, device, _ask(device, _key(7))[1])
    device.signer = _key(7)
    office.send(device, device.message([]))
    assert _send(office, device, _ask(device, used)[1]).status == STATUS_BAD_CBOR, "not its own old one either"


def test_another_epoch_changes_nothing(office: Office, device: Device) -> None:
    ack = _send(office, device, _ask(device, _key(7), epoch=2)[1])
    assert (ack.status, ack.epoch) == (STATUS_EPOCH, 1)
    device.signer = _key(7)
    assert office.send_refused(device.message([])).status == STATUS_KID_UNKNOWN


def test_nobody_rotates_in_anothers_name(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    rotation = Rotation(device.id, 1, _key(7).public_key(), _NONCE)
    message = sign_all(encode_rotation(rotation), TYP_ROTATION, device.audience, [other.signer, _key(7)])
    assert _refused(office, message) == STATUS_KID_UNKNOWN


def test_a_rotation_for_another_city_is_refused(office: Office, device: Device) -> None:
    with office.database.writing() as session:
        session.add(
            City(code="astana", number=2, names_json="{}", zone="Asia/Almaty", currency="KZT", package_sha256="")
        )
    assert _refused(office, _ask(device, _key(7), audience="astana")[1]) == STATUS_WRONG_AUDIENCE


def test_a_revoked_validator_cannot_get_a_new_key(office: Office, device: Device) -> None:
    _, message = _ask(device, _key(7))
    office.client.post(f"/v1/validators/{device.id.hex()}/revocation")
    assert _refused(office, message) == STATUS_REVOKED
    with_answer = _ask(device, _key(8))[1]
    assert _refused(office, with_answer) == STATUS_REVOKED


def test_a_rotation_answered_before_a_revocation_is_no_way_back(office: Office, device: Device) -> None:
    _, message = _ask(device, _key(7))
    _send(office, device, message)
    office.client.post(f"/v1/validators/{device.id.hex()}/revocation")
    assert _refused(office, message) == STATUS_REVOKED
    device.signer = _key(7)
    assert office.send_refused(device.message([])).status == STATUS_REVOKED


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", STATUS_BAD_COSE), (b"\xff" * 100, STATUS_BAD_COSE), (bytes(40_000), STATUS_TOO_LARGE)],
)
def test_garbage_is_no_rotation(office: Office, content: bytes, status: int) -> None:
    assert _refused(office, content) == status


def test_other_messages_are_no_rotation_and_the_other_way_round(office: Office, device: Device) -> None:
    assert _refused(office, device.message([])) == STATUS_BAD_COSE
    rotation, message = _ask(device, _key(7))
    assert office.send_refused(message).status == STATUS_BAD_COSE
    alone = sign1(encode_rotation(rotation), TYP_ROTATION, device.audience, device.signer)
    assert _refused(office, alone) == STATUS_BAD_COSE
    assert (
        _refused(office, sign_all(b"\xa0", TYP_ROTATION, device.audience, [device.signer, _key(7)])) == STATUS_BAD_CBOR
    )
    batch = sign1(encode_rotation(rotation), TYP_BATCH, device.audience, device.signer)
    assert office.send(device, batch).status == STATUS_BAD_CBOR


def test_a_batch_sent_before_and_after_a_rotation_is_stored_once(office: Office, device: Device) -> None:
    genesis = device.head
    records = [device.record(), device.record()]
    batch = device.batch(records, 1, genesis)
    office.send(device, device.sign(batch))
    _send(office, device, _ask(device, _key(7))[1])
    device.signer = _key(7)
    assert office.send(device, device.sign(batch)).status == STATUS_DUP
