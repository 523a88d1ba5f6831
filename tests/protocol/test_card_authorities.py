"""The list of card authorities: what is one, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.card_authorities import (
    CardAuthorities,
    CardAuthority,
    decode_card_authorities,
    encode_card_authorities,
    revoked_name,
)
from protocol.errors import DocumentError
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from typing import Any

RID = b"\xa0\0\0\0\3"
MODULUS = b"\xc1" * 247 + b"\1"


def authority(index: int = 1, modulus: bytes = MODULUS) -> CardAuthority:
    return CardAuthority(RID, index, modulus, 3, b"\x31\x12")


def changed(**fields: Any) -> bytes:  # noqa: ANN401
    content: dict[int, Any] = {0: 1, 1: 3, 2: 99, 3: [[RID, 1, MODULUS, 3, b"\x31\x12"]], 4: b""}
    content.update({int(name[1:]): value for name, value in fields.items()})
    return cbor.encode(content)


def test_a_list_is_read_as_it_was_written() -> None:
    revoked = revoked_name(RID, 1, b"\0\0\0") + revoked_name(RID, 1, b"\0\0\7")
    payload = encode_card_authorities(CardAuthorities(3, 99, [authority(1), authority(2, b"\x81" * 64)], revoked))
    read = decode_card_authorities(payload)
    assert (read.number, read.expires_s, read.revoked) == (3, 99, revoked)
    assert [(key.rid, key.index, key.modulus, key.exponent, key.expires_yymm) for key in read.keys] == [
        (RID, 1, MODULUS, 3, b"\x31\x12"),
        (RID, 2, b"\x81" * 64, 3, b"\x31\x12"),
    ]
    assert encode_card_authorities(read) == payload


def test_the_longest_list_fits_into_a_message() -> None:
    keys = [authority(index) for index in range(24)]
    revoked = b"".join([revoked_name(RID, 1, number.to_bytes(3, "big")) for number in range(200)])
    payload = encode_card_authorities(CardAuthorities(1, 0, keys, revoked))
    assert len(payload) < 9000
    assert len(decode_card_authorities(payload).keys) == 24


def test_what_is_no_list_is_refused() -> None:
    key = [RID, 1, MODULUS, 3, b"\x31\x12"]
    later = [RID, 2, MODULUS, 3, b"\x31\x12"]
    for payload in (
        b"",
        cbor.encode([]),
        changed(k1=0),
        changed(k3=[]),
        changed(k3=7),
        changed(k3=[key] * 2),
        changed(k3=[later, key]),
        changed(k3=[key[:4]]),
        changed(k3=[[RID[:4], 1, MODULUS, 3, b"\x31\x12"]]),
        changed(k3=[[RID, 256, MODULUS, 3, b"\x31\x12"]]),
        changed(k3=[[RID, True, MODULUS, 3, b"\x31\x12"]]),
        changed(k3=[[RID, 1, MODULUS[:63], 3, b"\x31\x12"]]),
        changed(k3=[[RID, 1, MODULUS + MODULUS, 3, b"\x31\x12"]]),
        changed(k3=[[RID, 1, b"\0" + MODULUS[1:], 3, b"\x31\x12"]]),
        changed(k3=[[RID, 1, MODULUS[:-1] + b"\2", 3, b"\x31\x12"]]),
        changed(k3=[[RID, 1, MODULUS, 4, b"\x31\x12"]]),
        changed(k3=[[RID, 1, MODULUS, 3, b"\x31\x13"]]),
        changed(k3=[[RID, 1, MODULUS, 3, b"\x3a\x12"]]),
        changed(k3=[[RID, 1, MODULUS, 3, b"\x31"]]),
        changed(k3=[[RID, number, MODULUS[:63] + b"\1", 3, b"\x31\x12"] for number in range(25)]),
        changed(k4=bytes(8)),
        changed(k4=bytes(18)),
        changed(k4=b"\2" + bytes(17)),
        changed(k4=b"".join([number.to_bytes(9, "big") for number in range(201)])),
        changed(k4=1),
    ):
        assert refusal(DocumentError, decode_card_authorities, payload), payload
