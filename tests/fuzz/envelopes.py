"""COSE messages: taken apart and put together again, and believed exactly when independent libraries believe them.

pycose builds what is signed from its own reading of the message, OpenSSL verifies it beside our integers. A fuzzer cannot forge
a signature: whatever is believed must be a payload that was signed in the vectors.
"""

from __future__ import annotations

import hmac
from functools import cache
from typing import TYPE_CHECKING

import cbor2
from pycose.messages.mac0message import Mac0Message
from pycose.messages.sign1message import Sign1Message
from pycose.messages.signmessage import SignMessage

from firmware.boards.crypto_cpython import Es256Verifier
from protocol import cbor, cose, cose_mac, cose_sign, keyset
from protocol.errors import RemoteProtocolError
from protocol.p256 import P256Verifier
from protocol.rotation import encode_rotation, read_signed_rotation
from tests.fuzz.oracles import require_same_by_cbor2
from tests.fuzz.target import Target
from tests.fuzz.vectors import messages, messages_of
from tests.vectors.wire_keys import NEW_DEVICE_PRIVATE, ROOTS, make_key_set, make_shared_key
from tests.vectors.wire_messages import AUDIENCE, DEVICE, DEVICE_PRIVATE, SERVICE_PRIVATE, make_invitation, make_key

if TYPE_CHECKING:
    from protocol.cose_mac import MacKey
    from protocol.keyset import Point

_PRIVATES = (*ROOTS, DEVICE_PRIVATE, NEW_DEVICE_PRIVATE, SERVICE_PRIVATE, SERVICE_PRIVATE - 1)


@cache
def _points() -> dict[bytes, Point]:
    keys = [make_key(private) for private in _PRIVATES]
    return {cose.key_thumbprint(key): cose.ec2_point(key) for key in keys}


@cache
def _signed_payloads(form: str) -> set[bytes]:
    return {cbor.decode(message)[2] for message in messages_of(form)}


@cache
def _verifiers() -> tuple[Es256Verifier, P256Verifier]:
    return Es256Verifier(_points()), P256Verifier(_points())


def _holds(kid: bytes, signed: bytes, signature: bytes) -> bool:
    """Return whether a signature holds; OpenSSL and our integers must agree."""
    theirs, ours = (verifier.verify(kid, signed, signature) for verifier in _verifiers())
    assert theirs == ours, "OpenSSL thinks otherwise"
    return theirs


def check_sign1(data: bytes) -> None:
    try:
        parsed = cose.parse(data)
    except RemoteProtocolError:
        return
    assert cose.assemble(parsed.protected, parsed.payload, parsed.signature) == data
    require_same_by_cbor2(data, cbor.decode(data))
    for audience in (AUDIENCE, ""):
        aad = cose.external_aad(audience)
        signed = cose.signature_input(parsed.protected, aad, parsed.payload)
        theirs = Sign1Message.from_cose_obj(cbor2.loads(data), allow_unknown_attributes=True)
        theirs.external_aad = aad  # type: ignore[misc]  # it has a setter
        assert theirs._create_sig_structure() == signed
        if parsed.kid in _points() and _holds(parsed.kid, signed, parsed.signature):
            assert cose.verify1(data, parsed.typ, audience, _verifiers()[0]) == parsed.payload
            assert parsed.payload in _signed_payloads(""), "believed, and nobody signed it"


def check_sign(data: bytes) -> None:
    try:
        parsed = cose_sign.parse(data)
    except RemoteProtocolError:
        return
    assert parsed.encode() == data
    require_same_by_cbor2(data, cbor.decode(data))
    theirs = SignMessage.from_cose_obj(cbor2.loads(data), allow_unknown_attributes=True)
    assert len(theirs.signers) == len(parsed.signatures)
    for index, kid in enumerate(parsed.signatures):
        signer = theirs.signers[index]
        signer.external_aad = cose.external_aad(AUDIENCE)  # type: ignore[misc]  # it has a setter
        signed = parsed.to_be_signed(kid, AUDIENCE)
        assert signer._create_sig_structure() == signed
        if kid in _points() and _holds(kid, signed, parsed.signatures[kid]):
            assert parsed.payload in _signed_payloads("COSE_Sign"), "believed, and nobody signed it"


@cache
def _first_key_set() -> keyset.KeySet:
    return make_key_set(1, ROOTS[:3], 2)


def check_key_set(data: bytes) -> None:
    """A signed key set is believed only as it was signed, by who holds none and by who holds the one before."""
    for held in (None, _first_key_set()):
        try:
            taken = keyset.take(data, AUDIENCE, held, None, Es256Verifier)
        except RemoteProtocolError:
            continue
        assert keyset.encode_key_set(taken) in _signed_payloads("COSE_Sign"), "believed, and the roots did not sign it"


def check_rotation(data: bytes) -> None:
    try:
        rotation, old_kid = read_signed_rotation(data)
    except RemoteProtocolError:
        return
    parsed = cose_sign.parse(data)
    assert encode_rotation(rotation) == parsed.payload
    assert {old_kid, rotation.kid} == set(parsed.signatures)


def check_mac0(data: bytes) -> None:
    """It may be either, and says which."""
    try:
        parsed = cose_mac.parse(data)
    except RemoteProtocolError:
        return
    if not isinstance(parsed, cose_mac.Mac0):
        check_sign1(data)
        return
    assert cose.assemble(parsed.protected, parsed.payload, parsed.tag) == data
    require_same_by_cbor2(data, cbor.decode(data))
    for audience in (AUDIENCE, ""):
        aad = cose.external_aad(audience)
        theirs = Mac0Message.from_cose_obj(cbor2.loads(data), allow_unknown_attributes=True)
        theirs.external_aad = aad  # type: ignore[misc]  # it has a setter
        authenticated = theirs._mac_structure
        assert authenticated == cose_mac.mac_input(parsed.protected, aad, parsed.payload)
        tag_holds = (
            parsed.kid == _shared_key().kid and hmac.digest(_shared_secret(), authenticated, "sha256") == parsed.tag
        )
        assert _believes_mac0(data, parsed.typ, audience) == tag_holds
        assert not tag_holds or parsed.payload in _signed_payloads("COSE_Mac0"), "believed, and nobody said it"


@cache
def _shared_key() -> MacKey:
    return make_shared_key()


@cache
def _shared_secret() -> bytes:
    """Return the secret of that key, which does not give it away."""
    return hmac.digest(make_invitation().secret, b"JOLAQY mac" + DEVICE, "sha256")


def _believes_mac0(data: bytes, typ: str, audience: str) -> bool:
    try:
        cose_mac.verify_mac0(data, typ, audience, _shared_key())
    except RemoteProtocolError:
        return False
    return True


TARGETS = (
    Target("cose-sign1", check_sign1, lambda: messages_of(""), 2048, is_cbor=True),
    Target("cose-sign", check_sign, lambda: messages_of("COSE_Sign"), is_cbor=True),
    Target("cose-mac0", check_mac0, lambda: [*messages_of("COSE_Mac0"), *messages("ack")], 2048, is_cbor=True),
    Target("signed-key-set", check_key_set, lambda: messages("key-set", "key-set next", "rotation"), is_cbor=True),
    Target("signed-rotation", check_rotation, lambda: messages("rotation", "key-set"), is_cbor=True),
)
