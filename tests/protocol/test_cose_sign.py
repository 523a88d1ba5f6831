"""COSE_Sign: published examples, and what a signature that is missing, moved or doubled meets."""

from __future__ import annotations

from protocol import cbor, cose, cose_sign
from protocol.errors import BadCose, BadSignature, LocalProtocolError, UnknownKid
from protocol.limits import SIGNATURES_MAX
from protocol.p256 import P256Verifier
from tests.protocol.expect import refusal
from tests.vectors.load import load
from tests.vectors.wire_messages import DEVICE_PRIVATE, SERVICE_PRIVATE, make_key, make_signer

_SIGNERS = [make_signer(DEVICE_PRIVATE), make_signer(SERVICE_PRIVATE)]
_KIDS = [signer.kid for signer in _SIGNERS]
_VERIFIER = P256Verifier(
    {cose.key_thumbprint(key): cose.ec2_point(key) for key in (make_key(DEVICE_PRIVATE), make_key(SERVICE_PRIVATE))}
)
_MESSAGE = cose_sign.sign_all(b"payload", cose.TYP_ROTATION, "almaty", _SIGNERS)


def _verify(message: bytes, typ: str = cose.TYP_ROTATION, audience: str = "almaty") -> bytes:
    return cose_sign.verify_all(message, typ, audience, _KIDS, _VERIFIER)


def test_the_examples_of_the_working_group_hold() -> None:
    vectors = load("cose_wg")
    point = (bytes.fromhex(vectors["signed"]["x"]), bytes.fromhex(vectors["signed"]["y"]))
    for example in vectors["signed"]["examples"]:
        parts = [bytes.fromhex(example[name]) for name in ("body", "protected", "external_aad")]
        signed = cose_sign.signature_input(parts[0], parts[1], parts[2], bytes.fromhex(vectors["payload"]))
        assert signed.hex() == example["to_be_signed"]
        assert P256Verifier({b"11": point}).verify(b"11", signed, bytes.fromhex(example["signature"]))


def test_what_was_signed_comes_back_whoever_signed_first() -> None:
    assert _verify(_MESSAGE) == b"payload"
    assert cose_sign.sign_all(b"payload", cose.TYP_ROTATION, "almaty", [_SIGNERS[1], _SIGNERS[0]]) == _MESSAGE
    parsed = cose_sign.parse(_MESSAGE)
    assert (parsed.typ, parsed.payload, sorted(parsed.signatures)) == (cose.TYP_ROTATION, b"payload", sorted(_KIDS))
    assert parsed.encode() == _MESSAGE


def test_a_message_is_no_message_of_another_kind_or_to_another_clearing() -> None:
    assert refusal(BadCose, _verify, _MESSAGE, cose.TYP_KEY_SET)
    assert refusal(BadSignature, _verify, _MESSAGE, cose.TYP_ROTATION, "astana")


def test_the_keys_are_the_ones_that_must_sign_and_no_others() -> None:
    one = cose_sign.sign_all(b"payload", cose.TYP_ROTATION, "almaty", _SIGNERS[:1])
    three = cose_sign.sign_all(b"payload", cose.TYP_ROTATION, "almaty", [_SIGNERS[0], _SIGNERS[1], make_signer(7)])
    assert refusal(BadCose, _verify, one)
    assert refusal(BadCose, _verify, three)
    nobody = P256Verifier({})
    assert refusal(UnknownKid, cose_sign.verify_all, _MESSAGE, cose.TYP_ROTATION, "almaty", _KIDS, nobody)


def test_a_changed_byte_anywhere_is_refused() -> None:
    for index in range(0, len(_MESSAGE), 5):
        changed = bytearray(_MESSAGE)
        changed[index] ^= 1
        try:
            _verify(bytes(changed))
        except (BadCose, BadSignature, UnknownKid):
            continue
        raise AssertionError("byte " + str(index) + " may be changed")


def test_one_signature_does_not_stand_for_another() -> None:
    parsed = cose_sign.parse(_MESSAGE)
    first, second = sorted(parsed.signatures)
    parsed.signatures[second] = parsed.signatures[first]
    assert refusal(BadSignature, _verify, parsed.encode())


def test_signatures_are_sorted_each_key_once() -> None:
    body, empty, payload, signatures = cbor.decode(_MESSAGE)
    for wrong in ([signatures[1], signatures[0]], [signatures[0], signatures[0]], [signatures[1], signatures[1]]):
        assert "sorted" in refusal(BadCose, cose_sign.parse, cbor.encode([body, empty, payload, wrong]))


def test_there_is_one_signature_at_least_and_not_too_many() -> None:
    parsed = cose_sign.parse(_MESSAGE)
    for count in (0, SIGNATURES_MAX + 1):
        signatures = {bytes([number + 1]) * 8: bytes(64) for number in range(count)}
        assert refusal(LocalProtocolError, cose_sign.Signed(parsed.typ, b"", signatures).encode)
        entries = [[cbor.encode({1: -7, 4: kid}), {}, signatures[kid]] for kid in sorted(signatures)]
        assert refusal(BadCose, cose_sign.parse, cbor.encode([cbor.encode({16: "rotation"}), {}, b"", entries]))


def test_another_shape_is_refused() -> None:
    body, empty, payload, signatures = cbor.decode(_MESSAGE)
    protected, _, signature = signatures[0]
    for entry in (
        [protected, {}],
        [protected, {4: b""}, signature],
        [protected, {}, signature[1:]],
        ["", {}, signature],
        [cbor.encode({1: 5, 4: _KIDS[0]}), {}, signature],
        [cbor.encode({1: -7}), {}, signature],
        [cbor.encode({1: -7, 4: bytes(7)}), {}, signature],
        [cbor.encode({1: -7, 4: "kid of 8"}), {}, signature],
        7,
    ):
        assert refusal(BadCose, cose_sign.parse, cbor.encode([body, empty, payload, [entry]]))
    for header in ({}, {16: 1}, {1: -7, 16: "rotation"}, [16]):
        assert refusal(BadCose, cose_sign.parse, cbor.encode([cbor.encode(header), empty, payload, signatures]))
    assert refusal(BadCose, cose_sign.parse, cbor.encode([body, {1: 1}, payload, signatures]))
    assert refusal(BadCose, cose_sign.parse, b"\xd8\x62" + _MESSAGE)


def test_a_message_of_one_signature_is_no_message_of_several_nor_the_other_way() -> None:
    single = cose.sign1(b"payload", cose.TYP_ROTATION, "almaty", _SIGNERS[0])
    assert refusal(BadCose, cose_sign.parse, single)
    assert refusal(BadCose, cose.parse, _MESSAGE)
