"""What is wrong with a message has one clear outcome each, and nothing is lost by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clearing.ingest.admission import LIMITS
from clearing.ingest.models import RawBatch, TapConflict, TapRow
from clearing.ingest.receiver import RETRY_WHEN_BUSY_S
from clearing.network.models import City
from protocol import cbor
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_BAD_SIG,
    STATUS_BUSY,
    STATUS_EPOCH,
    STATUS_FORK,
    STATUS_GAP,
    STATUS_KID_UNKNOWN,
    STATUS_OK,
    STATUS_OK_FLAGGED,
    STATUS_REVOKED,
    STATUS_TOO_LARGE,
    STATUS_WRONG_AUDIENCE,
)
from protocol.batch import next_head
from protocol.cose import TYP_BATCH, sign1
from tests.builders import DAY, Device, Office

if TYPE_CHECKING:
    from fastapi import FastAPI


def test_a_gap_is_named_and_nothing_is_stored(office: Office, device: Device) -> None:
    lost = device.record()
    device.head = next_head(device.head, lost)
    ack = office.send(device, device.message([device.record()]))
    assert (ack.status, ack.sequence) == (STATUS_GAP, 0)
    assert office.count(TapRow) == 0


def test_a_gap_inside_a_batch_is_named_and_nothing_is_stored(office: Office, device: Device) -> None:
    head = device.head
    records = [device.record(sequence=1), device.record(sequence=3)]
    ack = office.send(device, device.sign(device.batch(records, 1, head)))
    assert (ack.status, ack.sequence) == (STATUS_GAP, 0)
    assert office.count(TapRow) == 0


def test_a_sequence_repeated_inside_a_batch_is_a_fork(office: Office, device: Device) -> None:
    head = device.head
    records = [device.record(sequence=1), device.record(sequence=1, fare_minor=1)]
    ack = office.send(device, device.sign(device.batch(records, 1, head)))
    assert (ack.status, ack.sequence) == (STATUS_FORK, 0)
    assert (office.count(TapRow), office.count(TapConflict)) == (0, 2)


def test_other_content_for_a_stored_sequence_is_a_fork_and_is_kept(office: Office, device: Device) -> None:
    genesis = device.head
    clone = device.copy()
    office.send(device, device.message([device.record(), device.record()]))
    forged = clone.batch([clone.record(fare_minor=1), clone.record(), clone.record()], 1, genesis)
    ack = office.send(device, clone.sign(forged))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_FORK, 2, device.head)
    assert (office.count(TapRow), office.count(TapConflict)) == (2, 2)
    assert office.validator(device).status == "quarantined"
    assert office.reasons() == ["fork"]
    # Said again it adds nothing, and the device with the right chain goes on.
    assert office.send(device, clone.sign(forged)).status == STATUS_FORK
    assert (office.count(TapConflict), office.reasons()) == (2, ["fork"])
    assert office.send(device, device.message([device.record()])).sequence == 3


def test_a_chain_that_does_not_join_is_a_fork(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    device.head = bytes(32)
    ack = office.send(device, device.message([device.record()]))
    assert (ack.status, ack.sequence) == (STATUS_FORK, 1)
    assert office.count(TapConflict) == 1


def test_a_wrong_head_after_is_a_fork(office: Office, device: Device) -> None:
    batch = device.batch([device.record()], 1, device.head, head_after=bytes(32))
    assert office.send(device, device.sign(batch)).status == STATUS_FORK


def test_a_changed_byte_anywhere_is_never_acknowledged_as_good(office: Office, device: Device) -> None:
    message = device.message([device.record(), device.record()])
    for index in range(0, len(message), 7):
        changed = bytearray(message)
        changed[index] ^= 0x40
        error = office.send_refused(bytes(changed))
        assert error.status in {STATUS_BAD_COSE, STATUS_BAD_SIG, STATUS_KID_UNKNOWN}
    assert office.count(TapRow) == 0
    assert office.send(device, message).status == STATUS_OK


def test_a_signature_of_another_key_is_refused(office: Office, device: Device) -> None:
    batch = device.batch([device.record()], 1, device.head)
    stranger = Device(seed=99)
    device.signer, kid = stranger.signer, device.signer.kid
    device.signer.kid = kid
    assert office.send_refused(device.sign(batch)).status == STATUS_BAD_SIG


def test_a_key_nobody_knows_is_refused(office: Office) -> None:
    stranger = Device(seed=99)
    assert office.send_refused(stranger.message([stranger.record()])).status == STATUS_KID_UNKNOWN


def test_a_key_cannot_speak_for_another_device(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    batch = device.batch([device.record()], 1, device.head)
    assert office.send_refused(other.sign(batch)).status == STATUS_KID_UNKNOWN
    assert office.count(TapRow) == 0


def test_a_batch_for_another_city_is_refused(office: Office, device: Device) -> None:
    batch = device.batch([device.record()], 1, device.head)
    assert office.send_refused(device.sign(batch, audience="nowhere")).status == STATUS_BAD_SIG
    with office.database.writing() as session:
        session.add(
            City(code="astana", number=2, names_json="{}", zone="Asia/Almaty", currency="KZT", package_sha256="")
        )
    assert office.send_refused(device.sign(batch, audience="astana")).status == STATUS_WRONG_AUDIENCE


def test_a_message_of_another_kind_is_no_batch(office: Office, device: Device) -> None:
    batch = device.batch([device.record()], 1, device.head)
    assert office.send_refused(device.sign(batch, typ="enrolment")).status == STATUS_BAD_COSE


@pytest.mark.parametrize("garbage", [b"", b"\x00", b"GET / HTTP/1.1", bytes(1000), b"\xff" * 32_768, b"\x84" * 100])
def test_garbage_is_refused(office: Office, garbage: bytes) -> None:
    assert office.send_refused(garbage).status == STATUS_BAD_COSE


def test_an_oversized_message_is_refused(office: Office) -> None:
    assert office.send_refused(bytes(32_769)).status == STATUS_TOO_LARGE
    assert office.send_refused(bytes(1_000_000)).status == STATUS_TOO_LARGE


def test_a_signed_payload_that_is_no_batch_gets_a_signed_answer(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    ack = office.send(device, sign1(cbor.encode({0: 1}), TYP_BATCH, device.audience, device.signer))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_BAD_CBOR, 1, device.head)


def test_a_revoked_validator_is_refused(office: Office, device: Device) -> None:
    message = device.message([device.record()])
    response = office.client.post(f"/v1/validators/{device.id.hex()}/revocation")
    assert response.json()["status"] == "revoked"
    assert office.send_refused(message).status == STATUS_REVOKED
    assert office.count(TapRow) == 0


def test_records_of_another_epoch_are_kept_as_evidence(office: Office, device: Device) -> None:
    device.begin_epoch(2)
    ack = office.send(device, device.message([device.record()]))
    assert (ack.status, ack.epoch, ack.sequence) == (STATUS_EPOCH, 1, 0)
    assert (office.count(TapRow), office.count(RawBatch), office.reasons()) == (0, 1, ["epoch"])


def test_an_unreadable_record_does_not_block_the_chain(office: Office, device: Device) -> None:
    good, head = device.record(), device.head
    device.next_sequence += 1
    batch = device.batch([good, b"\xff\xff", device.record()], 1, head)
    ack = office.send(device, device.sign(batch))
    assert (ack.status, ack.sequence, ack.head) == (STATUS_OK_FLAGGED, 3, batch.head_after)
    assert office.reasons() == ["unreadable"]
    with office.database.reading() as session:
        bad = session.get_one(TapRow, (device.id, 1, 2))
    assert (bad.kind, bad.record, bad.service_day) == (0, b"\xff\xff", DAY)


def test_a_rush_is_told_to_come_back_later(office: Office, device: Device, app: FastAPI) -> None:
    message = device.message([device.record()])
    app.state.receiver.waiting = LIMITS.waiting_max
    error = office.send_refused(message)
    assert (error.status, error.retry_after_s) == (STATUS_BUSY, RETRY_WHEN_BUSY_S)
    app.state.receiver.waiting = 0
    assert office.send(device, message).status == STATUS_OK
