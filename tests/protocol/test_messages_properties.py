"""Every decoder under arbitrary and nearly right messages: it refuses them, or what it reads is written back the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.boards.crypto_cpython import Es256Verifier
from protocol import cbor, keyset
from protocol.ack import decode_ack, decode_error, encode_ack, encode_error
from protocol.batch import check_run, decode_batch, encode_batch, next_head
from protocol.card_authorities import decode_card_authorities, encode_card_authorities
from protocol.cose import assemble, parse, verify1
from protocol.cose_mac import Mac0, verify_mac0
from protocol.cose_mac import parse as parse_either
from protocol.cose_sign import parse as parse_sign
from protocol.enrolment import (
    Invitation,
    decode_enrolled,
    decode_request,
    encode_enrolled,
    encode_request,
    parse_invitation,
    print_invitation,
)
from protocol.errors import EnrolmentError, LocalProtocolError, RemoteProtocolError
from protocol.fare_table import decode_fare_table, encode_fare_table
from protocol.key_bundle import decode_wrapped_bundle, encode_wrapped_bundle
from protocol.keyset import decode_key_set, encode_key_set
from protocol.limits import BATCH_RECORDS_MAX, LIST_PART_ENTRIES_MAX, SEQUENCE_MAX
from protocol.list_delta import decode_delta, encode_delta
from protocol.medium_list import (
    LIST_DENY,
    decode_list,
    decode_list_part,
    encode_list,
    encode_list_part,
    make_list,
)
from protocol.rotation import decode_retirement, decode_rotation, encode_retirement, encode_rotation
from protocol.tap import KIND_BOOT, Tap, decode_tap, encode_tap
from protocol.top_up import (
    decode_top_up_command,
    decode_top_up_request,
    encode_top_up_command,
    encode_top_up_request,
)
from tests.vectors.load import load
from tests.vectors.wire_keys import make_shared_key
from tests.vectors.wire_messages import make_batch

if TYPE_CHECKING:
    from collections.abc import Callable

_VECTORS = load("wire")
_CODECS: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    "record intent": (decode_tap, encode_tap),
    "record outcome": (decode_tap, encode_tap),
    "record refused": (decode_tap, encode_tap),
    "record lost-range": (decode_tap, encode_tap),
    "batch": (decode_batch, encode_batch),
    "ack": (decode_ack, encode_ack),
    "error": (decode_error, encode_error),
    "fare-table": (decode_fare_table, encode_fare_table),
    "list": (decode_list, encode_list),
    "card-authorities": (decode_card_authorities, encode_card_authorities),
    "list part": (partial(decode_list_part, kind=LIST_DENY), encode_list_part),
    "list-delta": (decode_delta, encode_delta),
    "key-set": (decode_key_set, encode_key_set),
    "rotation": (decode_rotation, encode_rotation),
    "shared rotation": (decode_rotation, encode_rotation),
    "retirement": (decode_retirement, encode_retirement),
    "key-bundle": (decode_wrapped_bundle, encode_wrapped_bundle),
    "top-up-request": (decode_top_up_request, encode_top_up_request),
    "top-up-command": (decode_top_up_command, encode_top_up_command),
    "enrolment": (decode_request, encode_request),
    "enrolled": (decode_enrolled, encode_enrolled),
    "enrolled with key set": (decode_enrolled, encode_enrolled),
    "shared enrolment": (decode_request, encode_request),
}
_VALUES = st.one_of(
    st.integers(-3, 30),
    st.integers(-(1 << 64), (1 << 64) - 1),
    st.booleans(),
    st.binary(max_size=40),
    st.text(max_size=4),
    st.lists(st.integers(-2, 70000), max_size=4),
    st.dictionaries(st.integers(-3, 30), st.one_of(st.integers(-1, 9), st.binary(max_size=3)), max_size=4),
)


class _Trusting:
    def verify(self, kid: bytes, message: bytes, signature: bytes) -> bool:
        return bool(kid and message and signature)


def _payload(name: str) -> bytes:
    vector = _VECTORS[name]
    return bytes.fromhex(vector["record"] if "record" in vector else vector["payload"])


def _read_and_write(name: str, payload: bytes) -> None:
    read, write = _CODECS[name]
    try:
        value = read(payload)
    except RemoteProtocolError:
        return
    # A batch's Merkle root is read over: a later version may use it.
    if name != "batch" or 13 not in cbor.decode(payload):
        assert write(value) == payload


@pytest.mark.parametrize("name", _CODECS)
@given(data=st.data())
def test_a_message_with_one_value_changed_is_refused_or_means_itself(name: str, data: st.DataObject) -> None:
    fields = cbor.decode(_payload(name))
    fields[data.draw(st.integers(-1, 24))] = data.draw(_VALUES)
    _read_and_write(name, cbor.encode(fields))


@pytest.mark.parametrize("name", _CODECS)
@given(data=st.data())
def test_a_message_with_one_byte_changed_is_refused_or_means_itself(name: str, data: st.DataObject) -> None:
    payload = bytearray(_payload(name))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    _read_and_write(name, bytes(payload))


@given(st.binary(max_size=200), st.sampled_from(sorted(_CODECS)))
def test_arbitrary_bytes_are_refused_by_every_decoder(payload: bytes, name: str) -> None:
    _read_and_write(name, payload)


@given(_VALUES, st.sampled_from(sorted(_CODECS)))
def test_arbitrary_values_are_refused_by_every_decoder(value: object, name: str) -> None:
    _read_and_write(name, cbor.encode(value))


@given(st.one_of(st.binary(max_size=100), st.lists(_VALUES, max_size=5).map(cbor.encode)))
def test_arbitrary_envelopes_are_refused(message: bytes) -> None:
    for read in (parse, parse_either, parse_sign):
        with pytest.raises(RemoteProtocolError):
            read(message)
    with pytest.raises(RemoteProtocolError):
        verify1(message, "batch", "almaty", _Trusting())
    with pytest.raises(RemoteProtocolError):
        verify_mac0(message, "batch", "almaty", make_shared_key())
    with pytest.raises(RemoteProtocolError):
        keyset.take(message, "almaty", None, None, lambda _: _Trusting())


@pytest.mark.parametrize("name", ["key-set", "rotation", "shared ack"])
@given(data=st.data())
def test_an_envelope_with_one_byte_changed_is_refused_or_means_itself(name: str, data: st.DataObject) -> None:
    message = bytearray.fromhex(_VECTORS[name]["message"])
    message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    try:
        if name == "shared ack":
            parsed = parse_either(bytes(message))
            assert isinstance(parsed, Mac0)
            assert assemble(parsed.protected, parsed.payload, parsed.tag) == message
        else:
            assert parse_sign(bytes(message)).encode() == message
    except RemoteProtocolError:
        pass


@given(data=st.data())
def test_a_key_set_with_one_byte_changed_is_not_believed(data: st.DataObject) -> None:
    message = bytes.fromhex(_VECTORS["key-set"]["message"])
    changed = bytearray(message)
    index = data.draw(st.integers(0, len(changed) - 1))
    changed[index] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RemoteProtocolError):
        keyset.take(bytes(changed), "almaty", None, None, Es256Verifier)
    assert keyset.take(message, "almaty", None, None, Es256Verifier).number == 1


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=20), st.integers(1, SEQUENCE_MAX))
def test_no_records_whatever_upset_the_check_of_a_run(records: list[bytes], first_sequence: int) -> None:
    batch = make_batch([])
    batch.records, batch.first_sequence = records, first_sequence
    assert len(check_run(decode_batch(encode_batch(batch)))) <= len(records) + 1


def test_a_full_batch_is_read_and_one_more_is_not() -> None:
    batch = make_batch([])
    for sequence in range(1, BATCH_RECORDS_MAX + 1):
        record = encode_tap(Tap(sequence=sequence, tapped_at_s=0, clock_quality=0, uptime_ms=0, boot=1, kind=KIND_BOOT))
        batch.records.append(record)
        batch.head_after = next_head(batch.head_after, record)
    assert check_run(decode_batch(encode_batch(batch))) == []
    batch.records.append(b"\x00")
    with pytest.raises(RemoteProtocolError):
        decode_batch(encode_batch(batch))


@given(st.sets(st.binary(min_size=8, max_size=16), max_size=40), st.binary(min_size=8, max_size=16))
def test_a_list_holds_exactly_the_tokens_with_its_entries(tokens: set[bytes], other: bytes) -> None:
    listed = decode_list(encode_list(make_list(LIST_DENY, 1, 2000, list(tokens))))
    assert all(listed.holds(token) for token in tokens)
    assert listed.holds(other) == (other[:8] in {token[:8] for token in tokens})


def test_a_list_too_long_for_one_message_is_not_made() -> None:
    tokens = [number.to_bytes(8, "big") for number in range(LIST_PART_ENTRIES_MAX + 1)]
    assert len(make_list(LIST_DENY, 1, 2000, tokens[1:] + tokens[1:])) == LIST_PART_ENTRIES_MAX
    with pytest.raises(LocalProtocolError):
        encode_list(make_list(LIST_DENY, 1, 2000, tokens))


@given(st.binary(min_size=32, max_size=32))
def test_an_invitation_comes_back(data: bytes) -> None:
    before = Invitation(data[:8], data[8:24], data[24:])
    after = parse_invitation(print_invitation(before))
    assert (after.code_id, after.secret, after.ack_kid) == (before.code_id, before.secret, before.ack_kid)


@given(st.text(max_size=70))
def test_any_other_text_is_no_invitation(text: str) -> None:
    with pytest.raises(EnrolmentError):
        parse_invitation(text)
