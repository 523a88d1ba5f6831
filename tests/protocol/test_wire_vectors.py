"""Our own wire vectors: either Python must build and read the very bytes that are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.ack import decode_ack, encode_ack
from protocol.batch import check_run, decode_batch, encode_batch
from protocol.card_authorities import decode_card_authorities, encode_card_authorities
from protocol.cose import ec2_point, key_thumbprint, verify1
from protocol.cose_mac import verify_mac0
from protocol.cose_sign import parse as parse_sign
from protocol.cose_sign import verify_all
from protocol.enrolment import decode_enrolled, decode_request, encode_enrolled, encode_request
from protocol.fare_table import decode_fare_table, encode_fare_table
from protocol.key_bundle import decode_wrapped_bundle, encode_wrapped_bundle
from protocol.keyset import decode_key_set, encode_key_set
from protocol.list_delta import decode_delta, encode_delta
from protocol.medium_list import (
    LIST_ALLOW,
    LIST_DENY,
    ListPart,
    MediumList,
    decode_list,
    decode_list_part,
    encode_list,
    encode_list_part,
)
from protocol.p256 import P256Verifier
from protocol.rotation import decode_retirement, decode_rotation, encode_retirement, encode_rotation
from protocol.tap import decode_tap, encode_tap
from protocol.top_up import (
    decode_top_up_command,
    decode_top_up_request,
    encode_top_up_command,
    encode_top_up_request,
)
from tests.protocol.aes import Aes
from tests.vectors.load import load
from tests.vectors.wire import make_all
from tests.vectors.wire_keys import NEW_DEVICE_PRIVATE, ROOTS, make_shared_key
from tests.vectors.wire_messages import DEVICE_PRIVATE, SERVICE_PRIVATE, make_key

if TYPE_CHECKING:
    from typing import Any

_VECTORS = load("wire")


def decode_allow_list(payload: bytes) -> MediumList:
    return decode_list(payload, LIST_ALLOW)


def decode_deny_part(payload: bytes) -> ListPart:
    return decode_list_part(payload, LIST_DENY)


def test_either_python_builds_the_bytes_that_are_written_down() -> None:
    built = make_all(Aes())
    assert sorted(built) == sorted(_VECTORS)
    for name, vector in built.items():
        assert vector == _VECTORS[name], name


def test_every_message_verifies_for_its_kind_and_audience() -> None:
    keys = [make_key(private) for private in (DEVICE_PRIVATE, SERVICE_PRIVATE, SERVICE_PRIVATE - 1)]
    verifier = P256Verifier({key_thumbprint(key): ec2_point(key) for key in keys})
    signed = [vector for vector in _VECTORS.values() if "message" in vector and "form" not in vector]
    assert len(signed) == 17
    for vector in signed:
        payload = verify1(bytes.fromhex(vector["message"]), vector["typ"], vector["audience"], verifier)
        assert payload.hex() == vector["payload"]


def test_every_signature_of_several_holds() -> None:
    points = {}
    for privates in (ROOTS, (DEVICE_PRIVATE, NEW_DEVICE_PRIVATE)):
        points.update({key_thumbprint(make_key(private)): ec2_point(make_key(private)) for private in privates})
    signed = [vector for vector in _VECTORS.values() if vector.get("form") == "COSE_Sign"]
    assert len(signed) == 3
    for vector in signed:
        message = bytes.fromhex(vector["message"])
        kids = list(parse_sign(message).signatures)
        payload = verify_all(message, vector["typ"], vector["audience"], kids, P256Verifier(points))
        assert len(kids) == 2
        assert payload.hex() == vector["payload"]


def test_every_tag_holds() -> None:
    authenticated = [vector for vector in _VECTORS.values() if vector.get("form") == "COSE_Mac0"]
    assert len(authenticated) == 7
    for vector in authenticated:
        payload = verify_mac0(bytes.fromhex(vector["message"]), vector["typ"], vector["audience"], make_shared_key())
        assert payload.hex() == vector["payload"]


def test_every_payload_is_read_and_written_back() -> None:
    codecs: tuple[tuple[str, Any, Any], ...] = (
        ("batch", decode_batch, encode_batch),
        ("heartbeat", decode_batch, encode_batch),
        ("ack", decode_ack, encode_ack),
        ("fare-table", decode_fare_table, encode_fare_table),
        ("list", decode_list, encode_list),
        ("list allow", decode_allow_list, encode_list),
        ("list part", decode_deny_part, encode_list_part),
        ("card-authorities", decode_card_authorities, encode_card_authorities),
        ("list-delta", decode_delta, encode_delta),
        ("key-set", decode_key_set, encode_key_set),
        ("key-set next", decode_key_set, encode_key_set),
        ("rotation", decode_rotation, encode_rotation),
        ("retirement", decode_retirement, encode_retirement),
        ("key-bundle", decode_wrapped_bundle, encode_wrapped_bundle),
        ("shared key-bundle", decode_wrapped_bundle, encode_wrapped_bundle),
        ("top-up-request", decode_top_up_request, encode_top_up_request),
        ("top-up-command", decode_top_up_command, encode_top_up_command),
        ("enrolled with key set", decode_enrolled, encode_enrolled),
        ("shared enrolment", decode_request, encode_request),
        ("shared rotation", decode_rotation, encode_rotation),
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
