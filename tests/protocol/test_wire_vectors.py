"""Our own wire vectors: either Python must build and read the very bytes that are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.ack import decode_ack, encode_ack
from protocol.batch import check_run, decode_batch, encode_batch
from protocol.cose import ec2_point, key_thumbprint, verify1
from protocol.enrolment import decode_enrolled, decode_request, encode_enrolled, encode_request
from protocol.fare_table import decode_fare_table, encode_fare_table
from protocol.medium_list import decode_list, encode_list
from protocol.p256 import P256Verifier
from protocol.tap import decode_tap, encode_tap
from tests.protocol.aes import Aes
from tests.vectors.load import load
from tests.vectors.wire_messages import DEVICE_PRIVATE, SERVICE_PRIVATE, make_all, make_key

if TYPE_CHECKING:
    from typing import Any

_VECTORS = load("wire")


def test_either_python_builds_the_bytes_that_are_written_down() -> None:
    built = make_all(Aes())
    assert sorted(built) == sorted(_VECTORS)
    for name, vector in built.items():
        assert vector == _VECTORS[name], name


def test_every_message_verifies_for_its_kind_and_audience() -> None:
    keys = [make_key(private) for private in (DEVICE_PRIVATE, SERVICE_PRIVATE, SERVICE_PRIVATE - 1)]
    verifier = P256Verifier({key_thumbprint(key): ec2_point(key) for key in keys})
    signed = [vector for vector in _VECTORS.values() if "message" in vector]
    assert len(signed) == 7
    for vector in signed:
        payload = verify1(bytes.fromhex(vector["message"]), vector["typ"], vector["audience"], verifier)
        assert payload.hex() == vector["payload"]


def test_every_payload_is_read_and_written_back() -> None:
    codecs: tuple[tuple[str, Any, Any], ...] = (
        ("batch", decode_batch, encode_batch),
        ("heartbeat", decode_batch, encode_batch),
        ("ack", decode_ack, encode_ack),
        ("fare-table", decode_fare_table, encode_fare_table),
        ("list", decode_list, encode_list),
        ("enrolment", decode_request, encode_request),
        ("enrolled", decode_enrolled, encode_enrolled),
    )
    for name, read, write in codecs:
        payload = bytes.fromhex(_VECTORS[name]["payload"])
        assert write(read(payload)) == payload


def test_every_record_is_read_and_written_back() -> None:
    records = [bytes.fromhex(vector["record"]) for vector in _VECTORS.values() if "record" in vector]
    assert len(records) == 7
    for record in records:
        assert encode_tap(decode_tap(record)) == record


def test_the_batch_is_a_run() -> None:
    assert check_run(decode_batch(bytes.fromhex(_VECTORS["batch"]["payload"]))) == []
