"""COSE_Mac0 (RFC 9052 section 6.2) with HMAC 256/256, for devices that cannot do ES256 (profile 3).

The same envelope as COSE_Sign1, but that device and service share the key: it proves to them that the other one said it, and
nothing to anybody else. The key is made from the secret of the invitation and never travels; its kid is the thumbprint of the
symmetric key (RFC 9679), so one rule names every key.

A device of profile 1 or 2 never parses these: whoever knows its public key, or the kid, could make one.
"""

from __future__ import annotations

from protocol import cbor
from protocol.compat import const, constant_time_equal, hmac_sha256
from protocol.cose import (
    KID_BYTES,
    SIGNATURE_BYTES,
    Sign1,
    assemble,
    external_aad,
    key_thumbprint,
    protect,
    read_header,
    take_apart,
)
from protocol.errors import BadCose, BadSignature, UnknownKid

ALG_HMAC_256 = const(5)
TAG_BYTES = const(32)
_KEY_TYPE = const(1)
_KEY_ID = const(2)
_KEY_SECRET = const(-1)
_SYMMETRIC = const(4)


class MacKey:
    """The key that a device of profile 3 shares with the service.

    Attributes:
        kid: names it, 8 bytes.
        cose_key: the COSE_Key that names it and does not hold it.
    """

    __slots__ = ("_secret", "cose_key", "kid")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.kid = key_thumbprint({_KEY_TYPE: _SYMMETRIC, _KEY_SECRET: secret})
        self.cose_key: dict[int, int | bytes] = {_KEY_TYPE: _SYMMETRIC, _KEY_ID: self.kid}

    def export(self) -> bytes:
        """Return the secret, for whoever keeps it, sealed; it is shown nowhere else."""
        return self._secret

    def tag(self, message: bytes) -> bytes:
        """Return the tag over a MAC_structure, 32 bytes."""
        return hmac_sha256(self._secret, message)

    def next(self, nonce: bytes) -> MacKey:
        """Return the key that follows by a rotation with that nonce; there is no way back from it."""
        return MacKey(hmac_sha256(self._secret, b"JOLAQY next" + nonce))


def first_key(invitation_secret: bytes, device: bytes) -> MacKey:
    """Return the key that a device of profile 3 has from its enrolment."""
    return MacKey(hmac_sha256(invitation_secret, b"JOLAQY mac" + device))


def is_shared_key(key: object) -> bool:
    """Return whether a COSE_Key is (or claims to be) that of a shared secret."""
    return isinstance(key, dict) and cbor.is_integer(key.get(_KEY_TYPE), _SYMMETRIC, _SYMMETRIC)


def named_kid(key: object) -> bytes:
    """Return the kid of the COSE_Key of a shared secret, which names it and does not hold it.

    Raises:
        BadCose: it is not one.
    """
    if not isinstance(key, dict) or sorted(key) != [_KEY_TYPE, _KEY_ID] or not is_shared_key(key):
        raise BadCose("not the name of a shared secret")
    kid = key[_KEY_ID]
    if not isinstance(kid, bytes) or len(kid) != KID_BYTES:
        raise BadCose("kid has 8 bytes")
    return kid


class Mac0:
    """A COSE_Mac0 message, taken apart and not yet verified."""

    __slots__ = ("algorithm", "kid", "payload", "protected", "tag", "typ")

    def __init__(self, protected: bytes, payload: bytes, tag: bytes) -> None:
        self.protected = protected
        self.payload = payload
        self.tag = tag
        self.algorithm = ALG_HMAC_256
        self.kid, self.typ = read_header(protected, ALG_HMAC_256)


def mac_input(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    """Return the MAC_structure (RFC 9052 section 6.3)."""
    start = cbor.encode(["MAC0", protected, aad, b""])[:-1]
    return b"".join([start, cbor.byte_string_head(len(payload)), payload])


def parse(message: bytes) -> Sign1 | Mac0:
    """Take a message apart that may be either; which it is, its class says, and its `algorithm`.

    Raises:
        BadCose: it is neither a COSE_Sign1 nor a COSE_Mac0 of this protocol.
    """
    protected, payload, proof = take_apart(message)
    if isinstance(proof, bytes) and len(proof) == TAG_BYTES:
        return Mac0(protected, payload, proof)
    if isinstance(proof, bytes) and len(proof) == SIGNATURE_BYTES:
        return Sign1(protected, payload, proof)
    raise BadCose("a message ends with a signature of 64 bytes or a tag of 32")


def mac0(payload: bytes, typ: str, audience: str, key: MacKey) -> bytes:
    """Return the payload as an authenticated message of that kind, for that audience."""
    protected = protect(key.kid, typ, ALG_HMAC_256)
    return assemble(protected, payload, key.tag(mac_input(protected, external_aad(audience), payload)))


def verify_mac0(message: bytes, typ: str, audience: str, key: MacKey) -> bytes:
    """Return the payload of a message whose tag holds.

    Raises:
        BadCose: no COSE_Mac0, or of another typ.
        UnknownKid: it names another key.
        BadSignature: another audience, or a changed byte.
    """
    parsed = parse(message)
    if not isinstance(parsed, Mac0) or parsed.typ != typ:
        raise BadCose("not a COSE_Mac0 of typ " + repr(typ))
    if parsed.kid != key.kid:
        raise UnknownKid("authenticated with a key that is not known here")
    tag = key.tag(mac_input(parsed.protected, external_aad(audience), parsed.payload))
    if not constant_time_equal(tag, parsed.tag):
        raise BadSignature("the tag does not hold")
    return parsed.payload
