"""COSE_Sign1 (RFC 9052 section 4.2) with ES256, in the profile of TAP-SYNC/1.

A message is an untagged array of four: protected header, empty unprotected header, payload, signature (r ‖ s, 64 bytes). The
protected header holds `alg`, `kid` and `typ`; the external data names the protocol and the audience, so that no message can be
replayed as another kind or to another clearing. Signing and verifying are passed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import const, sha256, sha256_of
from protocol.errors import BadCose, BadSignature, CborError

if TYPE_CHECKING:
    from typing import Protocol

    class Signer(Protocol):
        """Signs with one key.

        Attributes:
            kid: 8 bytes that name the key.
        """

        @property
        def kid(self) -> bytes: ...

        def sign(self, message: bytes) -> bytes:
            """Return the ES256 signature of `message`: r ‖ s, 64 bytes."""

    class Verifier(Protocol):
        """Verifies with the keys it knows."""

        def verify(self, kid: bytes, message: bytes, signature: bytes) -> bool:
            """Return whether the signature holds; raise UnknownKid for a key that is not known."""


ALG_ES256 = const(-7)
KID_BYTES = const(8)
SIGNATURE_BYTES = const(64)

TYP_BATCH = "batch"
TYP_ACK = "ack"
TYP_ENROLMENT = "enrolment"
TYP_ENROLLED = "enrolled"
TYP_FARE_TABLE = "fare-table"
TYP_LIST = "list"
TYP_LIST_DELTA = "list-delta"
TYP_KEY_SET = "key-set"
TYP_ROTATION = "rotation"
TYP_RETIREMENT = "retirement"
TYP_KEY_BUNDLE = "key-bundle"
TYP_CARD_AUTHORITIES = "card-authorities"
TYP_TOP_UP_REQUEST = "top-up-request"
TYP_TOP_UP_COMMAND = "top-up-command"

_HEADER_ALG = const(1)
_HEADER_KID = const(4)
_HEADER_TYP = const(16)
_KEY_TYPE = const(1)
_KEY_CURVE = const(-1)
_KEY_X = const(-2)
_KEY_Y = const(-3)
_EC2 = const(2)
_P256 = const(1)


class Sign1:
    """A COSE_Sign1 message, taken apart and not yet verified."""

    __slots__ = ("algorithm", "kid", "payload", "protected", "signature", "typ")

    def __init__(self, protected: bytes, payload: bytes, signature: bytes) -> None:
        self.protected = protected
        self.payload = payload
        self.signature = signature
        self.algorithm = ALG_ES256
        self.kid, self.typ = read_header(protected, ALG_ES256)


def read_header(protected: bytes, algorithm: int) -> tuple[bytes, str]:
    """Return kid and typ of a protected header that names that algorithm.

    Raises:
        BadCose: it names another one, or holds something else.
    """
    header = decoded(protected)
    if not isinstance(header, dict) or sorted(header) != [_HEADER_ALG, _HEADER_KID, _HEADER_TYP]:
        raise BadCose("the protected header holds alg, kid and typ")
    kid, typ = header[_HEADER_KID], header[_HEADER_TYP]
    if not cbor.is_integer(header[_HEADER_ALG], algorithm, algorithm):
        raise BadCose("the algorithm is " + str(algorithm))
    if not isinstance(kid, bytes) or len(kid) != KID_BYTES or not isinstance(typ, str):
        raise BadCose("kid has 8 bytes and typ is text")
    return kid, typ


def decoded(data: bytes) -> object:
    """Return what the bytes encode; BadCose where it is no deterministic CBOR."""
    try:
        return cbor.decode(data)
    except CborError as error:
        raise BadCose("not deterministic CBOR: " + str(error)) from None


def protect(kid: bytes, typ: str, algorithm: int = ALG_ES256) -> bytes:
    """Return the protected header, encoded."""
    return cbor.encode({_HEADER_ALG: algorithm, _HEADER_KID: kid, _HEADER_TYP: typ})


def external_aad(audience: str) -> bytes:
    """Return the external data: the protocol and the audience."""
    return cbor.encode(["TAP-SYNC/1", audience])


def signature_input(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure that is signed (RFC 9052 section 4.4)."""
    return b"".join(_signature_input_parts(protected, aad, [payload]))


def _signature_input_parts(protected: bytes, aad: bytes, payload: list[bytes]) -> list[bytes]:
    start = cbor.encode(["Signature1", protected, aad, b""])[:-1]
    return [start, cbor.byte_string_head(_size(payload))] + payload


# A payload may be a good part of a validator's memory: it is hashed and sent in the pieces it lies in.


def _size(parts: list[bytes]) -> int:
    return sum([len(part) for part in parts])


def signature_digest(protected: bytes, aad: bytes, payload: list[bytes]) -> bytes:
    """Return the SHA-256 of the Sig_structure over a payload in pieces."""
    return sha256_of(_signature_input_parts(protected, aad, payload))


def assemble_parts(protected: bytes, payload: list[bytes], signature: bytes) -> list[bytes]:
    """Return the message made of these parts, in pieces."""
    start = cbor.encode([protected, {}, b"", b""])[:-2]
    return [start, cbor.byte_string_head(_size(payload))] + payload + [cbor.encode(signature)]


def assemble(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """Return the message made of these parts."""
    return b"".join(assemble_parts(protected, [payload], signature))


def parse(message: bytes) -> Sign1:
    """Take a message apart.

    Raises:
        BadCose: it is not a COSE_Sign1 of this protocol.
    """
    protected, payload, signature = take_apart(message)
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
        raise BadCose("a COSE_Sign1 ends with a signature of 64 bytes")
    return Sign1(protected, payload, signature)


def take_apart(message: bytes) -> tuple[bytes, bytes, object]:
    """Return protected header, payload and what proves them: the shape that all kinds of COSE message here have.

    Raises:
        BadCose: it has another shape.
    """
    parts = decoded(message)
    if not isinstance(parts, list) or len(parts) != 4:
        raise BadCose("a message is an array of four")
    protected, unprotected, payload, proof = parts
    if not (isinstance(protected, bytes) and isinstance(payload, bytes)) or unprotected != {}:
        raise BadCose("protected header and payload are byte strings, and the unprotected header is empty")
    return protected, payload, proof


def sign1(payload: bytes, typ: str, audience: str, signer: Signer) -> bytes:
    """Return the payload as a signed message of that kind, for that audience."""
    protected = protect(signer.kid, typ)
    return assemble(protected, payload, signer.sign(signature_input(protected, external_aad(audience), payload)))


def verify1(message: bytes, typ: str, audience: str, verifier: Verifier) -> bytes:
    """Return the payload of a message whose signature holds.

    Raises:
        BadCose: shape, algorithm or typ is wrong.
        UnknownKid: the key is not known to the verifier.
        BadSignature: another key, another audience, or a changed byte.
    """
    parsed = parse(message)
    if parsed.typ != typ:
        raise BadCose("typ is " + repr(parsed.typ)[:40] + ", not " + repr(typ))
    structure = signature_input(parsed.protected, external_aad(audience), parsed.payload)
    if not verifier.verify(parsed.kid, structure, parsed.signature):
        raise BadSignature("the signature does not hold")
    return parsed.payload


def ec2_key(x: bytes, y: bytes) -> dict[int, int | bytes]:
    """Return the COSE_Key of a public key on P-256 (RFC 9053 section 7.1.1)."""
    return {_KEY_TYPE: _EC2, _KEY_CURVE: _P256, _KEY_X: x, _KEY_Y: y}


def ec2_point(key: object) -> tuple[bytes, bytes]:
    """Return the coordinates of a COSE_Key on P-256, 32 bytes each.

    Raises:
        BadCose: it is not one.
    """
    if not isinstance(key, dict) or sorted(key) != [_KEY_Y, _KEY_X, _KEY_CURVE, _KEY_TYPE]:
        raise BadCose("not an EC2 public key")
    x, y = key[_KEY_X], key[_KEY_Y]
    if not cbor.is_integer(key[_KEY_TYPE], _EC2, _EC2) or not cbor.is_integer(key[_KEY_CURVE], _P256, _P256):
        raise BadCose("not a key on P-256")
    if not (isinstance(x, bytes) and isinstance(y, bytes) and len(x) == len(y) == 32):
        raise BadCose("coordinates have 32 bytes")
    return x, y


def key_thumbprint(key: dict[int, int | bytes]) -> bytes:
    """Return the `kid` of a public key: the first 8 bytes of its COSE Key Thumbprint (RFC 9679)."""
    return sha256(cbor.encode(key))[:KID_BYTES]
