"""Signed messages beside an independent COSE library, ES256 and key wrap beside an independent cryptographic one."""

from __future__ import annotations

from hashlib import sha256

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import given, settings
from hypothesis import strategies as st
from pycose.algorithms import HMAC256, Es256
from pycose.headers import KID, Algorithm
from pycose.keys.curves import P256
from pycose.keys.ec2 import EC2Key
from pycose.keys.symmetric import SymmetricKey
from pycose.messages.mac0message import Mac0Message
from pycose.messages.sign1message import Sign1Message
from pycose.messages.signer import CoseSignature
from pycose.messages.signmessage import SignMessage

from firmware.boards.crypto_cpython import Aes, Es256Signer, Es256Verifier, public_point
from protocol import cbor, cose, p256
from protocol.cose_mac import MacKey, mac0, verify_mac0
from protocol.cose_sign import sign_all, verify_all
from protocol.keywrap import unwrap, wrap

_PRIVATE_KEYS = st.integers(1, p256.N - 1)
_KID = bytes(range(8))


def _named_signer(private: int) -> Es256Signer:
    return Es256Signer(cose.key_thumbprint(cose.ec2_key(*public_point(private))), private)


@settings(max_examples=30)
@given(_PRIVATE_KEYS, st.binary(max_size=100), st.text(max_size=12))
def test_pycose_verifies_what_we_sign(private: int, payload: bytes, audience: str) -> None:
    message = cose.sign1(payload, cose.TYP_BATCH, audience, Es256Signer(_KID, private))
    theirs = Sign1Message.from_cose_obj(cbor2.loads(message), allow_unknown_attributes=True)
    x, y = public_point(private)
    theirs.key = EC2Key(crv=P256, x=x, y=y)
    theirs.external_aad = cose.external_aad(audience)  # type: ignore[misc]  # it has a setter
    assert theirs.verify_signature()
    assert theirs.payload == payload


@settings(max_examples=30)
@given(_PRIVATE_KEYS, st.binary(min_size=1, max_size=100), st.text(max_size=12))
def test_we_verify_what_pycose_signs(private: int, payload: bytes, audience: str) -> None:
    x, y = public_point(private)
    header = {Algorithm: Es256, KID: _KID, 16: cose.TYP_ACK}
    theirs = Sign1Message(phdr=header, payload=payload, external_aad=cose.external_aad(audience))
    theirs.key = EC2Key(crv=P256, x=x, y=y, d=private.to_bytes(32, "big"))
    message = theirs.encode(tag=False)
    verifier = Es256Verifier({_KID: (x, y)})
    assert cose.verify1(message, cose.TYP_ACK, audience, verifier) == payload


@settings(max_examples=30)
@given(st.sets(_PRIVATE_KEYS, min_size=1, max_size=4), st.binary(max_size=100), st.text(max_size=12))
def test_pycose_verifies_what_several_of_us_sign(privates: set[int], payload: bytes, audience: str) -> None:
    message = sign_all(payload, cose.TYP_KEY_SET, audience, [_named_signer(private) for private in privates])
    theirs = SignMessage.from_cose_obj(cbor2.loads(message), allow_unknown_attributes=True)
    points = {_named_signer(private).kid: public_point(private) for private in privates}
    assert [signature.phdr[KID] for signature in theirs.signers] == sorted(points)
    for signature in theirs.signers:
        x, y = points[signature.phdr[KID]]
        signature.key = EC2Key(crv=P256, x=x, y=y)
        signature.external_aad = cose.external_aad(audience)  # type: ignore[misc]  # it has a setter
        assert signature.verify_signature()


@settings(max_examples=30)
@given(st.sets(_PRIVATE_KEYS, min_size=1, max_size=4), st.binary(min_size=1, max_size=100), st.text(max_size=12))
def test_we_verify_what_several_of_pycose_sign(privates: set[int], payload: bytes, audience: str) -> None:
    ours = {_named_signer(private).kid: private for private in privates}
    signers = []
    for kid in sorted(ours):
        x, y = public_point(ours[kid])
        key = EC2Key(crv=P256, x=x, y=y, d=ours[kid].to_bytes(32, "big"))
        aad = cose.external_aad(audience)
        signers.append(CoseSignature(phdr={Algorithm: Es256, KID: kid}, external_aad=aad, key=key))
    theirs = SignMessage(phdr={16: cose.TYP_KEY_SET}, payload=payload, signers=signers)
    verifier = Es256Verifier({kid: public_point(private) for kid, private in ours.items()})
    assert verify_all(theirs.encode(tag=False), cose.TYP_KEY_SET, audience, list(ours), verifier) == payload


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.text(max_size=12))
def test_pycose_and_we_make_the_same_tags(secret: bytes, payload: bytes, audience: str) -> None:
    key = MacKey(secret)
    header = {Algorithm: HMAC256, KID: key.kid, 16: cose.TYP_ACK}
    theirs = Mac0Message(phdr=header, payload=payload, external_aad=cose.external_aad(audience))
    theirs.key = SymmetricKey(k=secret)
    message = mac0(payload, cose.TYP_ACK, audience, key)
    assert theirs.encode(tag=False) == message
    assert verify_mac0(message, cose.TYP_ACK, audience, key) == payload
    assert verify_mac0(theirs.encode(tag=False), cose.TYP_ACK, audience, key) == payload


@given(st.binary(min_size=1, max_size=80))
def test_the_name_of_a_shared_key_is_its_thumbprint_by_cbor2(secret: bytes) -> None:
    # RFC 9679 section 4.4: kty and k, nothing else.
    assert MacKey(secret).kid == sha256(cbor2.dumps({1: 4, -1: secret}, canonical=True)).digest()[:8]


@given(st.binary(max_size=300), st.binary(max_size=40), st.binary(max_size=40))
def test_joined_messages_are_the_one_encoding(payload: bytes, protected: bytes, aad: bytes) -> None:
    assert cose.signature_input(protected, aad, payload) == cbor.encode(["Signature1", protected, aad, payload])
    assert cose.assemble(protected, payload, bytes(64)) == cbor.encode([protected, {}, payload, bytes(64)])


@settings(max_examples=40)
@given(_PRIVATE_KEYS, st.binary(max_size=100))
def test_integers_and_openssl_sign_the_same_and_verify_each_other(private: int, message: bytes) -> None:
    point = public_point(private)
    x, y = p256.public_key(private)
    assert point == (x.to_bytes(32, "big"), y.to_bytes(32, "big"))
    signature = Es256Signer(_KID, private).sign(message)
    assert p256.P256Signer(_KID, private).sign(message) == signature
    assert p256.P256Verifier({_KID: point}).verify(_KID, message, signature)


@settings(max_examples=40)
@given(_PRIVATE_KEYS, st.binary(max_size=40), st.integers(0, 511), st.booleans())
def test_integers_and_openssl_agree_about_a_changed_bit(
    private: int, message: bytes, bit: int, of_message: bool
) -> None:
    signature = Es256Signer(_KID, private).sign(message)
    changed = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    keys = {_KID: public_point(private)}
    arguments = (_KID, message + b"x", signature) if of_message else (_KID, message, changed)
    assert not Es256Verifier(keys).verify(*arguments)
    assert not p256.P256Verifier(keys).verify(*arguments)


@settings(max_examples=40)
@given(st.integers(0, p256.P - 1), st.integers(0, p256.P - 1), _PRIVATE_KEYS)
def test_integers_and_openssl_agree_about_the_curve(x: int, y: int, private: int) -> None:
    on_curve = p256.public_key(private)
    for point in ((x, y), on_curve, (on_curve[0], p256.P - on_curve[1])):
        numbers = ec.EllipticCurvePublicNumbers(point[0], point[1], ec.SECP256R1())
        try:
            numbers.public_key()
        except ValueError:
            assert not p256.is_on_curve(*point)
        else:
            assert p256.is_on_curve(*point)


@given(st.integers(1, p256.N - 1))
def test_inverses_are_those_of_cpython(value: int) -> None:
    assert p256._inverse(value, p256.N) == pow(value, -1, p256.N)


@given(
    st.sampled_from((16, 32)).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    st.integers(2, 24),
    st.data(),
)
def test_keys_are_wrapped_as_by_openssl(key: bytes, count: int, data: st.DataObject) -> None:
    plain = data.draw(st.binary(min_size=8 * count, max_size=8 * count))
    wrapped = wrap(Aes(), key, plain)
    assert wrapped == aes_key_wrap(key, plain)
    assert unwrap(Aes(), key, wrapped) == plain
