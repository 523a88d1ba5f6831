"""COSE_Sign1 and key thumbprints: published examples, and what a replay or a changed byte meets."""

from __future__ import annotations

from protocol import cbor, cose
from protocol.errors import BadCose, BadSignature, UnknownKid
from protocol.p256 import P256Signer, P256Verifier
from tests.protocol.expect import refusal
from tests.vectors.load import load
from tests.vectors.wire_messages import DEVICE_PRIVATE, make_key, make_signer

_KID = cose.key_thumbprint(make_key(DEVICE_PRIVATE))
_VERIFIER = P256Verifier({_KID: cose.ec2_point(make_key(DEVICE_PRIVATE))})
_MESSAGE = cose.sign1(b"payload", cose.TYP_BATCH, "almaty", make_signer(DEVICE_PRIVATE))


def _verify(message: bytes, typ: str = cose.TYP_BATCH, audience: str = "almaty") -> bytes:
    return cose.verify1(message, typ, audience, _VERIFIER)


def test_the_signed_example_of_rfc_9052_holds() -> None:
    vector = load("rfc9052")
    point = (bytes.fromhex(vector["x"]), bytes.fromhex(vector["y"]))
    signed = cose.signature_input(bytes.fromhex(vector["protected"]), b"", bytes.fromhex(vector["payload"]))
    signature = bytes.fromhex(vector["signature"])
    assert P256Verifier({b"11": point}).verify(b"11", signed, signature)
    assert not P256Verifier({b"11": point}).verify(b"11", signed + b"\x00", signature)


def test_the_thumbprint_is_that_of_rfc_9679() -> None:
    vector = load("rfc9679")
    key = cose.ec2_key(bytes.fromhex(vector["x"]), bytes.fromhex(vector["y"]))
    assert cose.key_thumbprint(key).hex() == vector["thumbprint"][:16]


def test_what_was_signed_comes_back() -> None:
    assert _verify(_MESSAGE) == b"payload"
    parsed = cose.parse(_MESSAGE)
    assert (parsed.algorithm, parsed.kid, parsed.typ) == (cose.ALG_ES256, _KID, "batch")


def test_a_message_is_no_message_of_another_kind_or_to_another_clearing() -> None:
    assert refusal(BadCose, _verify, _MESSAGE, cose.TYP_ACK)
    assert refusal(BadSignature, _verify, _MESSAGE, cose.TYP_BATCH, "astana")


def test_a_changed_byte_anywhere_is_refused() -> None:
    for index in range(0, len(_MESSAGE), 7):
        changed = bytearray(_MESSAGE)
        changed[index] ^= 1
        try:
            _verify(bytes(changed))
        except (BadCose, BadSignature, UnknownKid):
            continue
        raise AssertionError("byte " + str(index) + " may be changed")


def test_a_key_that_is_not_known_is_named_so() -> None:
    message = cose.sign1(b"payload", cose.TYP_BATCH, "almaty", P256Signer(bytes(8), DEVICE_PRIVATE))
    assert refusal(UnknownKid, _verify, message)


def test_another_shape_is_refused() -> None:
    protected, _, payload, signature = cbor.decode(_MESSAGE)
    for parts in (
        [protected, {}, payload],
        [protected, {4: _KID}, payload, signature],
        [protected, {}, payload, signature[:-1]],
        [protected, {}, payload, signature + b"\x00"],
        [b"", {}, payload, signature],
        [protected, {}, "payload", signature],
        {0: protected},
    ):
        assert refusal(BadCose, cose.parse, cbor.encode(parts))
    assert refusal(BadCose, cose.parse, b"\xd2" + _MESSAGE)


def test_another_header_is_refused() -> None:
    _, _, payload, signature = cbor.decode(_MESSAGE)
    for header in (
        {1: -8, 4: _KID, 16: "batch"},
        {1: -7, 4: _KID},
        {1: -7, 4: _KID, 16: 1},
        {1: -7, 4: _KID + b"\x00", 16: "batch"},
        {1: -7, 3: 0, 4: _KID, 16: "batch"},
        [1, 4, 16],
    ):
        assert refusal(BadCose, cose.parse, cose.assemble(cbor.encode(header), payload, signature))


def test_a_key_of_another_kind_is_refused() -> None:
    key = make_key(DEVICE_PRIVATE)
    assert cose.ec2_point(key) == (key[-2], key[-3])
    wrong = ((1, 1), (-1, True), (-1, 2), (-2, bytes(31)), (-2, "x"), (-3, bytes(33)), (-4, b"d"), (2, b"kid"))
    for name, value in wrong:
        changed: dict[int, object] = dict(key)
        changed[name] = value
        assert refusal(BadCose, cose.ec2_point, changed)
    assert refusal(BadCose, cose.ec2_point, [2, 1])
