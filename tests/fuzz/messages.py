"""What is inside of an envelope: the codec itself, and each kind of message.

Of every one: it refuses with its own error and no other; what it reads is written back byte by byte; and cbor2 reads the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocol import cbor
from protocol.ack import decode_ack, decode_error, encode_ack, encode_error
from protocol.batch import check_run, decode_batch, encode_batch
from protocol.card_authorities import decode_card_authorities, encode_card_authorities
from protocol.compat import sha256
from protocol.enrolment import decode_enrolled, decode_request, encode_enrolled, encode_request
from protocol.errors import CborError, DocumentError, ListGapError, RemoteProtocolError
from protocol.fare_table import decode_fare_table, encode_fare_table
from protocol.key_bundle import decode_wrapped_bundle, encode_wrapped_bundle
from protocol.keyset import decode_key_set, encode_key_set
from protocol.limits import LIST_ENTRY_BYTES
from protocol.list_delta import apply_delta, decode_delta, encode_delta
from protocol.medium_list import (
    LIST_ALLOW,
    LIST_DENY,
    ListPart,
    MediumList,
    decode_list,
    decode_list_part,
    encode_list,
    encode_list_part,
    join_parts,
    make_list,
)
from protocol.rotation import decode_retirement, decode_rotation, encode_retirement, encode_rotation
from protocol.tap import decode_tap, encode_tap
from protocol.tokens import TOKEN_BYTES
from protocol.top_up import (
    decode_top_up_command,
    decode_top_up_request,
    encode_top_up_command,
    encode_top_up_request,
)
from tests.fuzz.oracles import is_ours_by_cbor2, require_same_by_cbor2
from tests.fuzz.target import Target
from tests.fuzz.vectors import everything_encoded, payloads, records

if TYPE_CHECKING:
    from collections.abc import Callable

_REFUSED_AND_COMPARED_MAX = 256
_MERKLE_ROOT = 13


def check_cbor(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except CborError:
        # A general decoder does not mind depth: it is asked about short ones only.
        assert len(data) > _REFUSED_AND_COMPARED_MAX or not is_ours_by_cbor2(data), "refused, and is of the profile"
        return
    assert cbor.encode(value) == data
    require_same_by_cbor2(data, value)


def _round_trip(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        try:
            value = decode(data)
        except RemoteProtocolError:
            return
        assert encode(value) == data
        require_same_by_cbor2(data, cbor.decode(data))

    return check


def check_batch(data: bytes) -> None:
    """Besides: the check of its run has an answer, whatever the records are."""
    try:
        batch = decode_batch(data)
    except RemoteProtocolError:
        return
    fields = cbor.decode(data)
    # The Merkle root is read over: a later version may use it.
    root = {_MERKLE_ROOT: fields.pop(_MERKLE_ROOT)} if _MERKLE_ROOT in fields else {}
    assert encode_batch(batch) == cbor.encode(fields)
    require_same_by_cbor2(data, fields | root)
    assert len(check_run(batch)) <= len(batch.records) + 1


# Lists.


def _tokens_of(listed: MediumList) -> set[bytes]:
    return {listed.at(index) for index in range(len(listed))}


def _token(number: int) -> bytes:
    return sha256(b"denied %d" % number)[:TOKEN_BYTES]


_HELD = make_list(LIST_DENY, 10, 0, [_token(number) for number in range(3)])


def check_list(data: bytes) -> None:
    """Besides: it holds exactly its tokens."""
    for kind in (LIST_DENY, LIST_ALLOW):
        _round_trip(lambda payload, kind=kind: decode_list(payload, kind), encode_list)(data)  # type: ignore[misc]
        try:
            part = decode_list_part(data, kind)
        except DocumentError:
            continue
        assert encode_list_part(part) == data
        tokens = _tokens_of(part.medium_list)
        assert len(tokens) == len(part.medium_list)
        assert all(map(part.medium_list.holds, tokens))
        assert not part.medium_list.holds(b"\xff" * LIST_ENTRY_BYTES) or b"\xff" * LIST_ENTRY_BYTES in tokens


def check_delta(data: bytes) -> None:
    """Besides: what it makes of a list is what set arithmetic makes of it, and nothing else comes out."""
    try:
        delta = decode_delta(data)
    except DocumentError:
        return
    assert encode_delta(delta) == data
    require_same_by_cbor2(data, cbor.decode(data))
    added, removed = (_tokens_of(MediumList(LIST_DENY, 0, 0, tokens)) for tokens in (delta.added, delta.removed))
    expected = sorted((_tokens_of(_HELD) | added) - removed)
    try:
        applied = apply_delta(_HELD, delta)
    except ListGapError:
        # Whoever makes a change knows the hash of what comes out: with that it applies if it fits the list.
        fits = delta.from_number == _HELD.number and removed <= _tokens_of(_HELD) and not added & _tokens_of(_HELD)
        assert not fits or delta.sha256 != sha256(b"".join(expected)), "refused, and leads on"
        return
    assert (applied.number, bytes(applied.entries)) == (delta.to_number, b"".join(expected))


def check_list_parts(data: bytes) -> None:
    """An array of parts: joined, they are a sorted list of all their tokens, or refused."""
    try:
        encoded = cbor.decode(data)
        if not isinstance(encoded, list):
            return
        parts = [decode_list_part(payload, LIST_DENY) for payload in encoded if isinstance(payload, bytes)]
        joined = join_parts(parts)
    except RemoteProtocolError:
        return
    tokens = [joined.at(index) for index in range(len(joined))]
    assert tokens == sorted(set(tokens))
    assert len(tokens) == sum(len(part.medium_list) for part in parts)


def _parts_seeds() -> list[bytes]:
    lists = [MediumList(LIST_DENY, 10, 0, _HELD.at(index)) for index in range(len(_HELD))]
    parts = [encode_list_part(ListPart(listed, index + 1, len(lists))) for index, listed in enumerate(lists)]
    return [cbor.encode(parts), cbor.encode(payloads("list"))]


def _codec(name: str, decode: Callable[[bytes], Any], encode: Callable[[Any], bytes], *vectors: str) -> Target:
    return Target(name, _round_trip(decode, encode), lambda: payloads(*vectors), 2048, is_cbor=True)


TARGETS = (
    Target("cbor", check_cbor, everything_encoded, 2048, is_cbor=True),
    Target("tap", _round_trip(decode_tap, encode_tap), records, 512, is_cbor=True),
    Target("batch", check_batch, lambda: payloads("batch", "heartbeat", "shared batch"), 2048, is_cbor=True),
    _codec("ack", decode_ack, encode_ack, "ack", "shared ack"),
    _codec("error", decode_error, encode_error, "error"),
    _codec("enrolment", decode_request, encode_request, "enrolment", "shared enrolment"),
    _codec("enrolled", decode_enrolled, encode_enrolled, "enrolled", "enrolled with key set"),
    _codec("key-set", decode_key_set, encode_key_set, "key-set", "key-set next"),
    _codec("key-bundle", decode_wrapped_bundle, encode_wrapped_bundle, "key-bundle", "shared key-bundle"),
    _codec("top-up-request", decode_top_up_request, encode_top_up_request, "top-up-request"),
    _codec("top-up-command", decode_top_up_command, encode_top_up_command, "top-up-command"),
    _codec("fare-table", decode_fare_table, encode_fare_table, "fare-table"),
    Target("list", check_list, lambda: payloads("list", "list allow", "list part"), is_cbor=True),
    _codec("card-authorities", decode_card_authorities, encode_card_authorities, "card-authorities"),
    Target("list-parts", check_list_parts, _parts_seeds, is_cbor=True),
    Target("list-delta", check_delta, lambda: payloads("list-delta"), is_cbor=True),
    _codec("rotation", decode_rotation, encode_rotation, "rotation", "shared rotation"),
    _codec("retirement", decode_retirement, encode_retirement, "retirement"),
)
