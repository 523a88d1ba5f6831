"""COSE_Sign (RFC 9052 section 4.1) with ES256: one payload, several signatures, for what more than one key must agree to.

A message is an untagged array of four: body header, empty unprotected header, payload, signatures. The body header holds `typ`;
each signature is [protected, {}, r ‖ s], its header `alg` and `kid`. They stand in the order of their kids, each once, so that a
message with the same signatures has one form, and no key counts twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import const
from protocol.cose import ALG_ES256, KID_BYTES, SIGNATURE_BYTES, decoded, external_aad, take_apart
from protocol.errors import BadCose, BadSignature, LocalProtocolError
from protocol.limits import SIGNATURES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.cose import Signer, Verifier

_HEADER_ALG = const(1)
_HEADER_KID = const(4)
_HEADER_TYP = const(16)


class Signed:
    """A COSE_Sign message, taken apart and not yet verified.

    Attributes:
        typ: the kind of message.
        payload: what is signed.
        signatures: by kid, 64 bytes each.
    """

    __slots__ = ("payload", "signatures", "typ")

    def __init__(self, typ: str, payload: bytes, signatures: dict[bytes, bytes]) -> None:
        self.typ = typ
        self.payload = payload
        self.signatures = signatures

    def to_be_signed(self, kid: bytes, audience: str) -> bytes:
        """Return what the key of that name signs."""
        return signature_input(_protect_body(self.typ), _protect_signature(kid), external_aad(audience), self.payload)

    def encode(self) -> bytes:
        if not 0 < len(self.signatures) <= SIGNATURES_MAX:
            raise LocalProtocolError("a message has 1 to " + str(SIGNATURES_MAX) + " signatures")
        signatures = [[_protect_signature(kid), {}, self.signatures[kid]] for kid in sorted(self.signatures)]
        return cbor.encode([_protect_body(self.typ), {}, self.payload, signatures])


def signature_input(body: bytes, protected: bytes, aad: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure of one signature among several (RFC 9052 section 4.4)."""
    return cbor.encode(["Signature", body, protected, aad, payload])


def _protect_body(typ: str) -> bytes:
    return cbor.encode({_HEADER_TYP: typ})


def _protect_signature(kid: bytes) -> bytes:
    return cbor.encode({_HEADER_ALG: ALG_ES256, _HEADER_KID: kid})


def parse(message: bytes) -> Signed:
    """Take a message apart.

    Raises:
        BadCose: it is not a COSE_Sign of this protocol.
    """
    protected, payload, entries = take_apart(message)
    header = decoded(protected)
    if not isinstance(header, dict) or list(header) != [_HEADER_TYP] or not isinstance(header[_HEADER_TYP], str):
        raise BadCose("the body header holds typ")
    if not isinstance(entries, list) or not 0 < len(entries) <= SIGNATURES_MAX:
        raise BadCose("a COSE_Sign ends with 1 to " + str(SIGNATURES_MAX) + " signatures")
    signatures: dict[bytes, bytes] = {}
    last = b""
    for entry in entries:
        kid, signature = _signature_in(entry)
        if kid <= last:
            raise BadCose("signatures are sorted by kid, each key once")
        signatures[kid] = signature
        last = kid
    return Signed(header[_HEADER_TYP], payload, signatures)


def _signature_in(entry: object) -> tuple[bytes, bytes]:
    if not isinstance(entry, list) or len(entry) != 3 or entry[1] != {}:
        raise BadCose("a signature is [protected, {}, signature]")
    protected, signature = entry[0], entry[2]
    if not (isinstance(protected, bytes) and isinstance(signature, bytes)) or len(signature) != SIGNATURE_BYTES:
        raise BadCose("a signature has 64 bytes")
    header = decoded(protected)
    if not isinstance(header, dict) or sorted(header) != [_HEADER_ALG, _HEADER_KID]:
        raise BadCose("the header of a signature holds alg and kid")
    kid = header[_HEADER_KID]
    if not cbor.is_integer(header[_HEADER_ALG], ALG_ES256, ALG_ES256):
        raise BadCose("the algorithm is ES256")
    if not isinstance(kid, bytes) or len(kid) != KID_BYTES:
        raise BadCose("kid has 8 bytes")
    return kid, signature


def sign_all(payload: bytes, typ: str, audience: str, signers: Sequence[Signer]) -> bytes:
    """Return the payload as a message of that kind, for that audience, signed with each of the keys."""
    signed = Signed(typ, payload, {})
    for signer in signers:
        signed.signatures[signer.kid] = signer.sign(signed.to_be_signed(signer.kid, audience))
    return signed.encode()


def verify_all(message: bytes, typ: str, audience: str, kids: list[bytes], verifier: Verifier) -> bytes:
    """Return the payload of a message that these keys, and no others, have signed.

    Raises:
        BadCose: shape, typ or the keys are others.
        UnknownKid: a key is not known to the verifier.
        BadSignature: a signature does not hold.
    """
    signed = parse(message)
    if signed.typ != typ or sorted(signed.signatures) != sorted(kids):
        raise BadCose("another kind of message than " + typ + ", or signed with other keys")
    for kid, signature in signed.signatures.items():
        if not verifier.verify(kid, signed.to_be_signed(kid, audience), signature):
            raise BadSignature("a signature does not hold")
    return signed.payload
