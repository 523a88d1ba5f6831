"""A copied validator is noticed, loses nothing that is ours, gets no new secrets, and comes back by two persons only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clearing.access.roles import Scope
from clearing.access.service import issue_token
from clearing.fleet.keys import Es256Signer
from clearing.ingest.clones import (
    NONCES_KEPT,
    PACE_MS,
    PACE_RIDES,
    note_nonce,
    suspicion_about_order,
    suspicion_about_pace,
)
from clearing.ingest.models import RawBatch, TapConflict, TapRow
from clearing.ingest.run import place_records
from protocol.ack import (
    STATUS_BUSY,
    STATUS_DUP,
    STATUS_FORK,
    STATUS_OK,
    STATUS_OK_FLAGGED,
    STATUS_REVOKED,
    decode_error,
)
from protocol.cose import TYP_ROTATION
from protocol.cose_sign import sign_all
from protocol.rotation import Rotation, encode_rotation
from protocol.tap import KIND_BOOT, KIND_LOST_RANGE
from tests.builders import NOW_MS, Device, Office

if TYPE_CHECKING:
    import httpx

    from tests.clearing.command import Command


def _second_person(office: Office) -> dict[str, str]:
    with office.database.writing() as session:
        return {"authorization": f"Bearer {issue_token(session, 'second', 'person', [Scope('approver')], NOW_MS)}"}


def _details(office: Office) -> list[str]:
    found = office.client.get("/v1/exceptions", params={"city": "almaty", "reason": "clone_suspected"}).json()
    return [each["detail"] for each in found["exceptions"]]


# What is noticed.


def test_both_histories_going_on_is_a_copy(office: Office, device: Device) -> None:
    twin = device.copy()
    office.send(device, device.message([device.record()]))
    assert office.send(twin, twin.message([twin.record(fare_minor=1)])).status == STATUS_FORK
    assert office.reasons() == ["fork"]
    ack = office.send(device, device.message([device.record()]))
    assert (ack.status, ack.sequence) == (STATUS_OK_FLAGGED, 2)
    assert office.reasons() == ["clone_suspected", "fork"]
    assert office.validator(device).quarantined_at_ms == NOW_MS


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"boot": 1, "uptime_ms": 5_000}, "start 1 after start 2"),
        ({"boot": 2, "uptime_ms": 999}, "999 ms after its start follow on 1000 ms"),
    ],
)
def test_a_start_or_uptime_that_goes_back_is_a_copy(
    office: Office, device: Device, fields: dict[str, Any], words: str
) -> None:
    office.send(device, device.message([device.record(boot=2, uptime_ms=1_000)]))
    ack = office.send(device, device.message([device.record(**fields)]))
    assert (ack.status, ack.sequence) == (STATUS_OK_FLAGGED, 2), "it is stored: it may be money"
    assert words in _details(office)[0]
    assert office.validator(device).status == "quarantined"


def test_a_nonce_that_stands_in_two_messages_is_a_copy(office: Office, device: Device) -> None:
    batch = device.batch([device.record()], 1, device.head, nonce=b"12345678")
    device.head = batch.head_after
    office.send(device, device.sign(batch))
    again = device.batch([device.record()], 2, device.head, nonce=b"12345678")
    ack = office.send(device, device.sign(again))
    assert (ack.status, ack.sequence) == (STATUS_OK, 2)
    assert "one nonce" in _details(office)[0]
    assert office.count(RawBatch) == 2
    assert office.validator(device).status == "quarantined"


def test_more_rides_than_a_reader_can_take_are_a_copy(office: Office, device: Device) -> None:
    records = [device.record(uptime_ms=1_000 + 10 * number) for number in range(PACE_RIDES)]
    assert office.send(device, device.message(records)).status == STATUS_OK_FLAGGED
    assert "no device takes so many" in _details(office)[0]


# What is not.


def test_an_honest_day_is_not_suspected(office: Office, device: Device) -> None:
    genesis = device.head
    first = [device.record(kind=KIND_BOOT, boot=1, uptime_ms=0, medium=None, fare_minor=None, decision=None)]
    first += [device.record(boot=1, uptime_ms=500 * number) for number in range(40)]
    first.append(device.record(boot=1, uptime_ms=500 * 39))  # a driver's two keys in one millisecond
    second = [device.record(boot=2, uptime_ms=10), device.record(boot=4, uptime_ms=5)]
    message = device.message(first)
    office.send(device, message)
    office.send(device, device.message(second))
    office.send(device, message)
    office.send(device, device.sign(device.batch(first[:5], 1, genesis)))
    assert (office.validator(device).status, office.reasons()) == ("active", [])


def test_a_loss_between_says_nothing_about_time(office: Office, device: Device) -> None:
    head = device.head
    records = [device.record(boot=3, uptime_ms=9_000)]
    lost = {"boot": 0, "uptime_ms": 0, "medium": None, "fare_minor": None, "decision": None, "reference": [2, 9]}
    records.append(device.record(kind=KIND_LOST_RANGE, **lost))
    device.next_sequence = 10
    records.append(device.record(boot=3, uptime_ms=9_500))
    office.send(device, device.sign(device.batch(records, 1, head)))
    assert office.reasons() == ["lost_range"]


def test_a_message_that_comes_again_is_no_copy(office: Office, device: Device) -> None:
    message = device.message([device.record()])
    for _ in range(3):
        office.send(device, message)
        office.send(device, device.message([]))
    assert office.send(device, message).status == STATUS_DUP
    assert office.validator(device).status == "active"


def test_another_epoch_begins_without_a_past(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record(boot=9, uptime_ms=9)]))
    office.enrol(device)
    assert office.send(device, device.message([device.record(boot=1, uptime_ms=1)])).status == STATUS_OK
    assert office.validator(device).status == "active"


# The rules by themselves.


def test_nonces_are_remembered_for_a_while() -> None:
    kept: bytes | None = None
    for number in range(NONCES_KEPT + 5):
        kept, is_reused = note_nonce(kept, number.to_bytes(8, "big"), bytes([number]) * 32)
        assert not is_reused
    assert kept is not None
    assert len(kept) == 16 * NONCES_KEPT
    newest = (NONCES_KEPT + 4).to_bytes(8, "big")
    assert note_nonce(kept, newest, bytes([NONCES_KEPT + 4]) * 32) == (kept, False)
    assert note_nonce(kept, newest, bytes(32))[1]
    assert not note_nonce(kept, bytes(8), b"x" * 32)[1], "the first one is forgotten"


@pytest.mark.parametrize(("span_ms", "is_suspicious"), [(PACE_MS - 1, True), (PACE_MS, False)])
def test_the_pace_has_a_limit(span_ms: int, is_suspicious: bool) -> None:
    device = Device(seed=1)
    times = [0] * (PACE_RIDES - 1) + [span_ms]
    placed = place_records(device.batch([device.record(uptime_ms=each) for each in times], 1, device.head)).placed
    assert (suspicion_about_pace(placed) is not None) is is_suspicious
    assert suspicion_about_pace(placed[1:]) is None
    assert suspicion_about_order(None, placed) is None


# What a suspect may still do, and how it comes back.


@pytest.fixture
def suspect(office: Office, device: Device) -> Device:
    twin = device.copy()
    office.send(device, device.message([device.record()]))
    office.send(twin, twin.message([twin.record(fare_minor=1)]))
    return device


def _release(office: Office, device: Device, **headers: str) -> httpx.Response:
    return office.client.post(f"/v1/validators/{device.id.hex()}/release", headers=headers)


def _approve(office: Office, number: int) -> None:
    path = f"/v1/approvals/{number}/decision"
    assert office.client.post(path, json={"approve": True}, headers=_second_person(office)).status_code == 200


def test_a_suspects_chain_goes_on_being_stored_and_acknowledged(office: Office, suspect: Device) -> None:
    for sequence in (2, 3):
        ack = office.send(suspect, suspect.message([suspect.record()]))
        assert (ack.sequence, ack.head) == (sequence, suspect.head)
    assert (office.count(TapRow), office.count(TapConflict)) == (3, 1)


def test_a_suspect_cannot_change_its_key(office: Office, suspect: Device) -> None:
    new = Es256Signer(bytes(31) + b"\x07")
    payload = encode_rotation(Rotation(suspect.id, 1, new.public_key(), b"rotation"))
    message = sign_all(payload, TYP_ROTATION, suspect.audience, [suspect.signer, new])
    ack = suspect.read_ack(office.client.post("/v1/rotations", content=message).content)
    assert ack.status == STATUS_BUSY
    assert ack.retry_after_s
    assert office.send(suspect, suspect.message([])).sequence == 1


def test_a_suspect_is_enrolled_again_after_two_persons_have_released_it(office: Office, suspect: Device) -> None:
    code = office.invite()
    refused = office.client.post("/v1/enrolments", content=suspect.request_enrolment(code))
    assert decode_error(refused.content).status == STATUS_REVOKED
    asked = _release(office, suspect)
    assert asked.status_code == 202
    assert _release(office, suspect).json()["waits_for_approval"] == asked.json()["waits_for_approval"]
    assert office.validator(suspect).status == "quarantined"
    _approve(office, asked.json()["waits_for_approval"])
    released = _release(office, suspect)
    assert (released.status_code, released.json()["quarantined_at_ms"]) == (200, None)
    assert office.send_refused(suspect.message([suspect.record()])).status == STATUS_REVOKED, "a new epoch is required"
    answer = office.client.post("/v1/enrolments", content=suspect.request_enrolment(code))
    suspect.read_enrolled(answer.content, code)
    assert suspect.epoch == 2
    assert office.send(suspect, suspect.message([suspect.record()])).status == STATUS_OK
    assert office.validator(suspect).status == "active"


def test_a_revocation_is_no_way_around_the_second_person(office: Office, suspect: Device) -> None:
    office.client.post(f"/v1/validators/{suspect.id.hex()}/revocation")
    code = office.invite()
    refused = office.client.post("/v1/enrolments", content=suspect.request_enrolment(code))
    assert decode_error(refused.content).status == STATUS_REVOKED
    _approve(office, _release(office, suspect).json()["waits_for_approval"])
    assert _release(office, suspect).status_code == 200


def test_an_approval_is_for_one_validator(office: Office, suspect: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    assert _release(office, other).status_code == 409
    twin = other.copy()
    office.send(other, other.message([other.record()]))
    office.send(twin, twin.message([twin.record(fare_minor=1)]))
    _approve(office, _release(office, suspect).json()["waits_for_approval"])
    assert _release(office, other).status_code == 202


def test_the_command_asks_and_does(office: Office, command: Command, suspect: Device) -> None:
    device = suspect.id.hex()
    code, _, errors = command.run("validator", "release", device)
    assert code == 1
    assert "second person" in errors
    _approve(office, 1)
    assert command.json("validator", "release", device)["quarantined_at_ms"] is None
    assert command.run("validator", "release", device)[0] == 5
    assert command.run("validator", "release", "00" * 16)[0] == 3
    assert office.client.get("/v1/audit").json()["faults"] == []
