"""A validator leaves: when everything is stored, and not before; then nothing more is taken from it."""

from __future__ import annotations

import pytest

from clearing.ingest.models import RawBatch
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_EPOCH,
    STATUS_FORK,
    STATUS_GAP,
    STATUS_KID_UNKNOWN,
    STATUS_OK,
    STATUS_REVOKED,
    Ack,
    decode_error,
)
from protocol.cose import TYP_RETIREMENT, sign1
from protocol.rotation import Retirement, encode_retirement
from tests.builders import Device, Office


def _word(device: Device, last: int | None = None, head: bytes | None = None, epoch: int = 1) -> Retirement:
    last_sequence = device.next_sequence - 1 if last is None else last
    return Retirement(device.id, epoch, last_sequence, head or device.head, b"farewell")


def _sign(device: Device, retirement: Retirement) -> bytes:
    return sign1(encode_retirement(retirement), TYP_RETIREMENT, device.audience, device.signer)


def _send(office: Office, device: Device, message: bytes) -> Ack:
    answer = office.client.post("/v1/retirements", content=message)
    assert answer.status_code == 200, decode_error(answer.content).status
    return device.read_ack(answer.content)


def _refused(office: Office, message: bytes) -> int:
    answer = office.client.post("/v1/retirements", content=message)
    assert answer.status_code >= 400
    return decode_error(answer.content).status


@pytest.mark.parametrize("records", [0, 3])
def test_a_validator_may_erase_itself_when_everything_is_stored(office: Office, device: Device, records: int) -> None:
    if records:
        office.send(device, device.message([device.record() for _ in range(records)]))
    word = _word(device)
    message = _sign(device, word)
    assert word.may_erase_after(_send(office, device, message))
    assert office.validator(device).status == "retired"
    assert word.may_erase_after(_send(office, device, message)), "the answer may have been lost"


def test_nothing_more_is_taken_from_a_retired_validator(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record()]))
    _send(office, device, _sign(device, _word(device)))
    assert office.send_refused(device.message([device.record()])).status == STATUS_REVOKED
    other = _word(device)
    other.nonce = b"another!"
    assert _refused(office, _sign(device, other)) == STATUS_REVOKED
    counts = office.client.get("/", headers={"accept": "text/html", "accept-language": "en"}).text
    assert "0 of 0" in counts


def test_a_validator_that_has_more_is_told_so_and_stays(office: Office, device: Device) -> None:
    records = [device.record() for _ in range(3)]
    batch = device.batch(records, 1, device.head)
    device.head = batch.head_after
    word = _word(device)
    ack = _send(office, device, _sign(device, word))
    assert (ack.status, ack.sequence) == (STATUS_GAP, 0)
    assert not word.may_erase_after(ack)
    office.send(device, device.sign(batch))
    assert word.may_erase_after(_send(office, device, _sign(device, word)))


def test_a_last_word_of_another_chain_is_a_fork(office: Office, device: Device) -> None:
    office.send(device, device.message([device.record(), device.record()]))
    for word in (_word(device, head=bytes(32)), _word(device, last=1)):
        ack = _send(office, device, _sign(device, word))
        assert ack.status == STATUS_FORK
        assert not word.may_erase_after(ack)
    assert office.validator(device).status == "quarantined"
    assert office.reasons() == ["fork", "fork"]
    assert office.count(RawBatch) == 3
    assert office.send(device, device.message([device.record()])).sequence == 3, "its chain that is ours goes on"


def test_another_epoch_is_no_farewell(office: Office, device: Device) -> None:
    assert _send(office, device, _sign(device, _word(device, epoch=2))).status == STATUS_EPOCH
    assert office.validator(device).status == "active"


def test_who_speaks_for_another_is_refused(office: Office, device: Device) -> None:
    other = office.enrol(Device(seed=2), vehicle="A-102")
    assert _refused(office, _sign(other, _word(device))) == STATUS_KID_UNKNOWN
    assert office.validator(device).status == "active"


def test_what_is_no_retirement_is_refused(office: Office, device: Device) -> None:
    assert _refused(office, b"") == STATUS_BAD_COSE
    assert _refused(office, device.message([])) == STATUS_BAD_COSE
    ack = _send(office, device, sign1(b"\xa0", TYP_RETIREMENT, device.audience, device.signer))
    assert ack.status == STATUS_BAD_CBOR


def test_a_revoked_validator_cannot_retire(office: Office, device: Device) -> None:
    message = _sign(device, _word(device))
    office.client.post(f"/v1/validators/{device.id.hex()}/revocation")
    assert _refused(office, message) == STATUS_REVOKED


def test_a_retired_validator_comes_back_by_a_new_invitation(office: Office, device: Device) -> None:
    _send(office, device, _sign(device, _word(device)))
    office.enrol(device)
    assert device.epoch == 2
    assert office.send(device, device.message([device.record()])).status == STATUS_OK
    assert _send(office, device, _sign(device, _word(device, epoch=2))).status == STATUS_OK
