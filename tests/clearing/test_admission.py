"""Who is let in, and who is told when to come back: nothing is stored then, nothing is lost, and no rush follows a rush."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clearing.fleet.switches import Switches
from clearing.ingest.admission import LIMITS, Admission, Limits, share_of_spread
from clearing.ingest.models import RawBatch, TapRow
from clearing.ingest.receiver import Receiver
from protocol.ack import (
    STATUS_BUSY,
    STATUS_DUP,
    STATUS_MAINTENANCE,
    STATUS_OK,
    STATUS_RATE,
    STATUS_UPGRADE,
    WANTED_BUNDLE,
    decode_error,
)
from protocol.cose import TYP_RETIREMENT, TYP_ROTATION, sign1
from protocol.cose_sign import sign_all
from protocol.rotation import Retirement, Rotation, encode_retirement, encode_rotation
from tests.builders import Device, Office

if TYPE_CHECKING:
    from protocol.batch import Batch
    from tests.clearing.command import Command

_OPEN = Switches()


def _batch(seed: int = 1, records: int = 0, **changes: Any) -> Batch:  # noqa: ANN401 - a batch has fields of many types
    device = Device(seed)
    return device.batch([device.record() for _ in range(records)], 1, device.head, **changes)


def _retry(
    admission: Admission, batch: Batch, waiting: int = 0, switches: Switches = _OPEN, now_ms: int = 0
) -> int | None:
    refusal = admission.refusal(batch, switches, waiting, now_ms)
    return None if refusal is None else refusal.retry_after_s


# One validator.


def test_one_validator_may_send_a_burst_and_then_so_much_a_second() -> None:
    admission = Admission(Limits(burst_batches=3, batches_per_s=2))
    sent = [_batch(nonce=number.to_bytes(8, "big")) for number in range(8)]
    assert [_retry(admission, batch) for batch in sent[:3]] == [None] * 3
    refused = admission.refusal(sent[3], _OPEN, 0, 0)
    assert refused is not None
    assert (refused.status, refused.retry_after_s) == (STATUS_RATE, 1)
    assert _retry(admission, sent[3], now_ms=499) == 1
    assert _retry(admission, sent[3], now_ms=500) is None
    assert _retry(admission, _batch(seed=2), now_ms=500) is None, "another one has its own share"
    assert [_retry(admission, batch, now_ms=60_000) for batch in sent[4:8]] == [None, None, None, 1]


def test_what_comes_again_is_not_counted() -> None:
    admission = Admission(Limits(burst_batches=2))
    heard = _batch(nonce=b"recorded")
    assert [_retry(admission, heard) for _ in range(50)] == [None] * 50
    assert _retry(admission, _batch(nonce=b"its next")) is None


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    admission = Admission(Limits(burst_batches=2))
    assert _retry(admission, _batch(nonce=b"12345678"), now_ms=5_000) is None
    assert _retry(admission, _batch(nonce=b"23456789"), now_ms=0) is None


def test_only_so_many_validators_are_remembered() -> None:
    admission = Admission(Limits(burst_batches=1, validators_max=10))
    for seed in range(30):
        assert _retry(admission, _batch(seed)) is None
    assert _retry(admission, _batch(0, nonce=b"23456789")) is None, "it was forgotten: it has a new share"
    assert _retry(admission, _batch(29, nonce=b"23456789")) is not None


# The whole fleet.


def test_a_full_service_lets_in_whoever_cannot_wait() -> None:
    admission, waiting = Admission(), LIMITS.waiting_busy + 1
    assert _retry(admission, _batch(), waiting) is not None
    assert _retry(admission, _batch(flash=(9_000, 1, 0, 0)), waiting) is not None
    assert _retry(admission, _batch(flash=(LIMITS.urgent_slots_free - 1, 1, 0, 0)), waiting) is None
    assert _retry(admission, _batch(records=LIMITS.urgent_records), waiting) is None
    assert _retry(admission, _batch(records=LIMITS.urgent_records - 1), waiting) is not None
    assert _retry(admission, _batch(nonce=b"12345678"), LIMITS.waiting_busy) is None


def test_a_slow_service_is_full_sooner() -> None:
    admission = Admission()
    assert _retry(admission, _batch(nonce=b"12345678"), 20) is None
    for _ in range(100):
        admission.note_work(2_000)
    refusal = admission.refusal(_batch(nonce=b"23456789"), _OPEN, 20, 0)
    assert refusal is not None
    assert refusal.status == STATUS_BUSY
    assert _retry(admission, _batch(nonce=b"34567890"), 1) is None
    for _ in range(100):
        admission.note_work(5)
    assert _retry(admission, _batch(nonce=b"45678901"), 20) is None


def test_a_fleet_that_comes_back_is_spread_evenly_and_each_time_the_same() -> None:
    fleet = range(2_000)
    waits = [_retry(Admission(), _batch(seed), LIMITS.waiting_max - 1) or 0 for seed in fleet]
    assert waits == [_retry(Admission(), _batch(seed), LIMITS.waiting_max - 1) or 0 for seed in fleet]
    assert min(waits) >= LIMITS.retry_s
    assert max(waits) <= LIMITS.retry_s + LIMITS.spread_s_max
    by_minute = [sum(60 * minute <= wait - LIMITS.retry_s < 60 * minute + 60 for wait in waits) for minute in range(9)]
    assert all(150 < count < 260 for count in by_minute), by_minute


def test_a_share_lies_within_its_width() -> None:
    shares = {share_of_spread(number.to_bytes(16, "big"), 5) for number in range(200)}
    assert shares == set(range(5))
    assert share_of_spread(bytes(16), 0) == 0


# The answers.


def test_a_busy_service_answers_with_a_signed_ack_and_stores_nothing(office: Office, device: Device) -> None:
    receiver = Receiver(office.database, office.keys, office.clock)
    message = device.message([device.record()])
    receiver.waiting = LIMITS.waiting_max - 1
    ack = device.read_ack(receiver.receive(message).body)
    assert (ack.status, ack.sequence, office.count(TapRow)) == (STATUS_BUSY, 0, 0)
    assert ack.retry_after_s
    receiver.waiting = 0
    assert device.read_ack(receiver.receive(message).body).status == STATUS_OK
    receiver.waiting = LIMITS.waiting_max - 1
    assert device.read_ack(receiver.receive(device.message([])).body).sequence == 1, "what was durable before still is"


def test_a_hasty_validator_is_told_so_by_a_signed_ack(office: Office, device: Device) -> None:
    receiver = Receiver(office.database, office.keys, office.clock, Limits(burst_batches=2))
    messages = [device.message([device.record()]) for _ in range(3)]
    acks = [device.read_ack(receiver.receive(message).body) for message in messages]
    assert [ack.status for ack in acks] == [STATUS_OK, STATUS_OK, STATUS_RATE]
    assert (acks[2].sequence, acks[2].retry_after_s) == (2, 1)
    office.clock.at_ms += 1_000
    assert device.read_ack(receiver.receive(messages[2]).body).sequence == 3


def test_a_closed_service_stores_nothing_and_opens_again(office: Office, device: Device, command: Command) -> None:
    message = device.message([device.record()])
    assert command.json("admission", "maintenance", "on") == {"maintenance": True, "firmware_min": 0}
    ack = office.send(device, message)
    assert (ack.status, ack.sequence) == (STATUS_MAINTENANCE, 0)
    assert ack.retry_after_s is not None
    assert ack.retry_after_s >= LIMITS.maintenance_retry_s
    assert (office.count(TapRow), office.count(RawBatch)) == (0, 0)
    assert command.run("admission", "maintenance", "off")[1] == "maintenance: off; oldest firmware: any\n"
    assert office.send(device, message).status == STATUS_OK
    assert office.send(device, message).status == STATUS_DUP


def test_a_closed_service_takes_no_key_no_farewell_and_nobody_new(office: Office, device: Device) -> None:
    code = office.invite("A-102")
    office.client.put("/v1/admission", json={"maintenance": True})
    new = Device(seed=7)
    rotation = encode_rotation(Rotation(device.id, 1, new.signer.public_key(), b"rotation"))
    message = sign_all(rotation, TYP_ROTATION, device.audience, [device.signer, new.signer])
    ack = device.read_ack(office.client.post("/v1/rotations", content=message).content)
    assert (ack.status, bool(ack.retry_after_s)) == (STATUS_MAINTENANCE, True)
    word = encode_retirement(Retirement(device.id, 1, 0, device.head, b"farewell"))
    message = sign1(word, TYP_RETIREMENT, device.audience, device.signer)
    ack = device.read_ack(office.client.post("/v1/retirements", content=message).content)
    assert (ack.status, bool(ack.retry_after_s)) == (STATUS_MAINTENANCE, True)
    refused = office.client.post("/v1/enrolments", content=new.request_enrolment(code))
    assert (refused.status_code, decode_error(refused.content).status) == (503, STATUS_MAINTENANCE)
    office.client.put("/v1/admission", json={"maintenance": False})
    answer = office.client.post("/v1/enrolments", content=new.request_enrolment(code))
    assert answer.status_code == 200, "the code was not used up"
    assert office.validator(device).status == "active"


def test_an_old_firmware_is_asked_to_upgrade_first(office: Office, device: Device, command: Command) -> None:
    assert command.json("admission", "firmware-min", "2")["firmware_min"] == 2
    message = device.message([device.record()])
    ack = office.send(device, message)
    assert (ack.status, ack.sequence, ack.wanted) == (STATUS_UPGRADE, 0, {WANTED_BUNDLE: 2})
    assert ack.retry_after_s == LIMITS.upgrade_retry_s
    assert office.count(TapRow) == 0
    batch = device.batch([], 1, Device(seed=1).head, firmware=2)
    assert office.send(device, device.sign(batch)).status == STATUS_OK
    office.client.put("/v1/admission", json={"firmware_min": 0})
    assert office.send(device, message).status == STATUS_OK


@pytest.mark.parametrize(
    "asked", [{"firmware_min": -1}, {"firmware_min": 1 << 32}, {"maintenance": "maybe"}, {"unknown": 1}]
)
def test_a_switch_is_turned_no_further_than_it_goes(office: Office, asked: dict[str, object]) -> None:
    assert office.client.put("/v1/admission", json=asked).status_code == 422
    assert office.client.get("/v1/admission").json() == {"maintenance": False, "firmware_min": 0}


def test_who_turned_a_switch_is_in_the_log(office: Office, command: Command) -> None:
    command.run("admission", "maintenance", "on")
    assert command.json("admission", "show") == {"maintenance": True, "firmware_min": 0}
    assert command.run("admission", "firmware-min", "-1")[0] in {1, 2}
    record = office.client.get("/v1/audit").json()["records"][-1]
    assert (record["action"], record["subject"], record["principal_id"]) == ("admission.write", "maintenance", "local")
