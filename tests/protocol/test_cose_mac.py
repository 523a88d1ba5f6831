"""COSE_Mac0: published examples, and that a tag is never taken for a signature."""

from __future__ import annotations

from protocol import cbor, cose, cose_mac
from protocol.compat import hmac_sha256
from protocol.errors import BadCose, BadSignature, UnknownKid
from protocol.p256 import P256Verifier
from tests.protocol.expect import refusal
from tests.vectors.load import load
from tests.vectors.wire_messages import DEVICE, SERVICE_PRIVATE, make_key, make_signer

_KEY = cose_mac.first_key(b"a secret of 16 B", DEVICE)
_MESSAGE = cose_mac.mac0(b"payload", cose.TYP_ACK, "almaty", _KEY)
_ACK_KEY = make_key(SERVICE_PRIVATE)
_SIGNED = cose.sign1(b"payload", cose.TYP_ACK, "almaty", make_signer(SERVICE_PRIVATE))


def _verify(message: bytes, typ: str = cose.TYP_ACK, audience: str = "almaty", key: cose_mac.MacKey = _KEY) -> bytes:
    return cose_mac.verify_mac0(message, typ, audience, key)


def test_the_example_of_the_working_group_holds() -> None:
    vectors = load("cose_wg")
    example = vectors["authenticated"]
    said = cose_mac.mac_input(bytes.fromhex(example["protected"]), b"", bytes.fromhex(vectors["payload"]))
    assert said.hex() == example["to_be_authenticated"]
    assert cose_mac.MacKey(bytes.fromhex(example["key"])).tag(said).hex() == example["tag"]


def test_what_was_said_comes_back() -> None:
    assert _verify(_MESSAGE) == b"payload"


def test_a_message_is_no_message_of_another_kind_or_to_another_clearing_or_of_another_key() -> None:
    assert refusal(BadCose, _verify, _MESSAGE, cose.TYP_BATCH)
    assert refusal(BadSignature, _verify, _MESSAGE, cose.TYP_ACK, "astana")
    assert refusal(UnknownKid, _verify, _MESSAGE, cose.TYP_ACK, "almaty", cose_mac.first_key(bytes(16), DEVICE))


def test_a_changed_byte_anywhere_is_refused() -> None:
    for index in range(len(_MESSAGE)):
        changed = bytearray(_MESSAGE)
        changed[index] ^= 1
        try:
            _verify(bytes(changed))
        except (BadCose, BadSignature, UnknownKid):
            continue
        raise AssertionError("byte " + str(index) + " may be changed")


def test_which_of_the_two_a_message_is_is_said() -> None:
    tagged, signed = cose_mac.parse(_MESSAGE), cose_mac.parse(_SIGNED)
    assert isinstance(tagged, cose_mac.Mac0)
    assert (tagged.algorithm, tagged.kid, tagged.typ) == (cose_mac.ALG_HMAC_256, _KEY.kid, cose.TYP_ACK)
    assert isinstance(signed, cose.Sign1)
    assert signed.algorithm == cose.ALG_ES256


def test_a_public_key_is_no_secret_that_an_ack_can_be_made_with() -> None:
    # The classic confusion: a tag under the bytes of the public ack key, in the name of that key.
    kid = cose.key_thumbprint(_ACK_KEY)
    verifier = P256Verifier({kid: cose.ec2_point(_ACK_KEY)})
    assert cose.verify1(_SIGNED, cose.TYP_ACK, "almaty", verifier) == b"payload"
    x, y = cose.ec2_point(_ACK_KEY)
    for secret in (x, x + y, cbor.encode(_ACK_KEY), b"\x04" + x + y, b"", kid):
        for algorithm in (cose_mac.ALG_HMAC_256, cose.ALG_ES256):
            protected = cose.protect(kid, cose.TYP_ACK, algorithm)
            tag = hmac_sha256(secret, cose_mac.mac_input(protected, cose.external_aad("almaty"), b"payload"))
            for proof in (tag, tag + tag):
                forged = cose.assemble(protected, b"payload", proof)
                assert refusal((BadCose, BadSignature), cose.verify1, forged, cose.TYP_ACK, "almaty", verifier)


def test_a_signature_is_no_tag() -> None:
    assert refusal(BadCose, _verify, _SIGNED)
    protected = cose.protect(_KEY.kid, cose.TYP_ACK)
    tag = _KEY.tag(cose_mac.mac_input(protected, cose.external_aad("almaty"), b"payload"))
    assert refusal(BadCose, _verify, cose.assemble(protected, b"payload", tag))
    protected = cose.protect(_KEY.kid, cose.TYP_ACK, cose_mac.ALG_HMAC_256)
    for size in (0, 8, 31, 33, 64):
        assert refusal(BadCose, cose_mac.parse, cose.assemble(protected, b"payload", bytes(size)))
    assert refusal(BadCose, cose_mac.parse, cbor.encode([protected, {}, b"payload", []]))


def test_the_key_of_one_device_is_not_that_of_another_and_is_never_said() -> None:
    other = cose_mac.first_key(b"a secret of 16 B", bytes(16))
    assert other.kid != _KEY.kid
    assert _KEY.cose_key == {1: 4, 2: _KEY.kid}
    assert cose_mac.named_kid(_KEY.cose_key) == _KEY.kid
    assert _KEY.next(b"nonce of").kid not in {_KEY.kid, _KEY.next(b"nonce on").kid}


def test_what_names_no_shared_key_is_refused() -> None:
    for wrong in ({1: 4}, {1: 2, 2: bytes(8)}, {1: 4, 2: bytes(7)}, {1: 4, 2: 8}, {1: True, 2: bytes(8)}, _ACK_KEY, 4):
        assert refusal(BadCose, cose_mac.named_kid, wrong)
    assert not cose_mac.is_shared_key(_ACK_KEY)
    assert not cose_mac.is_shared_key([4])


def test_a_key_is_exported_whole_for_whoever_keeps_it() -> None:
    assert cose_mac.MacKey(b"s" * 32).export() == b"s" * 32
