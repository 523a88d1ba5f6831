"""A database that is locked or gone: validators are told to come again, nothing is promised, nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clearing.clock import FixedClock
from clearing.database import Database
from clearing.fleet.key_sets import LIFE_S, newest_key_set
from clearing.fleet.keys import Es256Signer
from clearing.fleet.models import Validator
from clearing.ingest.receiver import RETRY_WHEN_BUSY_S, Answer, Receiver
from clearing.network.service import lock_city
from protocol.ack import STATUS_BUSY, STATUS_OK, Ack
from protocol.cose import TYP_RETIREMENT, TYP_ROTATION, sign1
from protocol.cose_sign import sign_all
from protocol.rotation import Retirement, Rotation, encode_retirement, encode_rotation
from tests.builders import CITY, NOW_MS, Device, Office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NEW_KEY = Es256Signer(bytes(31) + b"\x07")


@pytest.fixture
def impatient(office: Office, database_url: str) -> Iterator[Receiver]:
    """A receiver that waits 50 ms for a lock."""
    database = Database(database_url, lock_timeout_ms=50)
    yield Receiver(database, office.keys, office.clock)
    database.close()


def _farewell(device: Device) -> bytes:
    retirement = Retirement(device.id, 1, device.next_sequence - 1, device.head, b"farewell")
    return sign1(encode_retirement(retirement), TYP_RETIREMENT, device.audience, device.signer)


def _new_key(device: Device) -> bytes:
    rotation = Rotation(device.id, 1, _NEW_KEY.public_key(), b"rotation")
    return sign_all(encode_rotation(rotation), TYP_ROTATION, device.audience, [device.signer, _NEW_KEY])


def _while_locked(office: Office, device: Device, send: Callable[[], Answer]) -> Answer:
    with office.database.writing() as session:
        session.get_one(Validator, device.id, with_for_update=True)
        return send()


def _ack(device: Device, answer: Answer) -> Ack:
    return device.read_ack(answer.body)


def test_a_batch_meets_a_lock_and_promises_nothing(office: Office, device: Device, impatient: Receiver) -> None:
    message = device.message([device.record()])
    ack = _ack(device, _while_locked(office, device, lambda: impatient.receive(message)))
    assert (ack.status, ack.sequence, ack.retry_after_s) == (STATUS_BUSY, 0, RETRY_WHEN_BUSY_S)
    assert _ack(device, impatient.receive(message)).sequence == 1


def test_a_farewell_meets_a_lock_and_the_validator_stays(office: Office, device: Device, impatient: Receiver) -> None:
    message = _farewell(device)
    ack = _ack(device, _while_locked(office, device, lambda: impatient.retire(message)))
    assert (ack.status, ack.retry_after_s) == (STATUS_BUSY, RETRY_WHEN_BUSY_S)
    assert office.validator(device).status == "active"
    assert _ack(device, impatient.retire(message)).status == STATUS_OK


def test_a_rotation_meets_a_lock_and_the_old_key_stays(office: Office, device: Device, impatient: Receiver) -> None:
    message = _new_key(device)
    answer = _while_locked(office, device, lambda: impatient.rotate(message))
    assert (answer.status, answer.body, answer.retry_after_s) == (STATUS_BUSY, b"", RETRY_WHEN_BUSY_S)
    assert _ack(device, impatient.rotate(message)).status == STATUS_OK


def test_a_database_that_is_gone_is_no_answer_about_anybody(office: Office, device: Device, database_url: str) -> None:
    gone = Database(f"{database_url}_gone")
    receiver = Receiver(gone, office.keys, office.clock)
    for answer in (
        receiver.receive(device.message([device.record()])),
        receiver.retire(_farewell(device)),
        receiver.rotate(_new_key(device)),
    ):
        assert answer == Answer(STATUS_BUSY, retry_after_s=RETRY_WHEN_BUSY_S)
    gone.close()


def test_a_key_set_that_cannot_be_renewed_yet_keeps_no_tap_away(
    office: Office, device: Device, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(database_url, lock_timeout_ms=50)
    nearly_over = FixedClock(NOW_MS + LIFE_S * 1000 - 1)
    receiver = Receiver(database, office.keys, nearly_over)
    with office.database.writing() as session:
        lock_city(session, CITY)
        answer = receiver.receive(device.message([device.record()]))
    assert answer.body
    assert "must be renewed and was not" in caplog.text
    with office.database.reading() as session:
        held = newest_key_set(session, CITY)
    assert held is not None
    assert held.number == 1
    database.close()
