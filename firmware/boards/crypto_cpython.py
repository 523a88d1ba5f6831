"""AES and ES256 for CPython, by the `cryptography` library. The same interfaces as `crypto_micropython`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256

from protocol.compat import sha256
from protocol.errors import RemoteProtocolError, UnknownKid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext

_KEYS_MAX = 256
_BLOCK_BYTES = 16
_ES256 = ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True)


class Aes:
    """AES-128, see `protocol.cmac.Aes`."""

    def ecb_encrypt(self, key: bytes, data: bytes) -> bytes:
        return _ecb(key, True).update(_whole(data))

    def ecb_decrypt(self, key: bytes, data: bytes) -> bytes:
        return _ecb(key, False).update(_whole(data))

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        return _run(Cipher(_aes(key), modes.CBC(iv)).encryptor(), data)

    def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        return _run(Cipher(_aes(key), modes.CBC(iv)).decryptor(), data)


@lru_cache(maxsize=_KEYS_MAX)
def _aes(key: bytes) -> algorithms.AES:
    return algorithms.AES(key)


@lru_cache(maxsize=_KEYS_MAX)
def _ecb(key: bytes, encrypts: bool) -> CipherContext:
    """A context of ECB has no memory between blocks, so one serves for all of a key's."""
    cipher = Cipher(_aes(key), modes.ECB())  # noqa: S305 - a building block of CMAC and key wrap
    return cipher.encryptor() if encrypts else cipher.decryptor()


def _whole(data: bytes) -> bytes:
    """Whole blocks only: of anything else the context would keep the rest, and hand it to whoever uses the key next."""
    if len(data) % _BLOCK_BYTES:
        raise ValueError("AES takes whole blocks of 16 bytes")
    return data


def _run(context: CipherContext, data: bytes) -> bytes:
    return context.update(data) + context.finalize()


def public_point(private: int) -> tuple[bytes, bytes]:
    """Return the coordinates of a private scalar's public key, 32 bytes each."""
    numbers = ec.derive_private_key(private, ec.SECP256R1()).public_key().public_numbers()
    return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")


class Es256Signer:
    """Signs with one private key; nonces are derived as RFC 6979 says, so the same message has the same signature.

    Attributes:
        kid: names the key.
    """

    def __init__(self, kid: bytes, private: int) -> None:
        self.kid = kid
        self._key = ec.derive_private_key(private, ec.SECP256R1())

    def sign(self, message: bytes) -> bytes:
        return self.sign_digest(sha256(message))

    def sign_digest(self, digest: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(digest, _ES256))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def agree(self, x: bytes, y: bytes) -> bytes:
        """Return the x coordinate that this key and a public one agree on (ECDH), 32 bytes.

        Raises:
            RemoteProtocolError: the point is not on the curve.
        """
        return self._key.exchange(ec.ECDH(), _public_key(x, y))


class Es256Verifier:
    """Verifies with the public keys it was given, by kid: pairs of coordinates, 32 bytes each.

    Raises:
        RemoteProtocolError: one of them is not on the curve.
    """

    def __init__(self, keys: dict[bytes, tuple[bytes, bytes]]) -> None:
        self._keys = {kid: _public_key(x, y) for kid, (x, y) in keys.items()}

    def verify(self, kid: bytes, message: bytes, signature: bytes) -> bool:
        return self.verify_digest(kid, sha256(message), signature)

    def verify_digest(self, kid: bytes, digest: bytes, signature: bytes) -> bool:
        if kid not in self._keys:
            raise UnknownKid("signed with a key that is not known here")
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            self._keys[kid].verify(encode_dss_signature(r, s), digest, _ES256)
        except InvalidSignature:
            return False
        return True


def _public_key(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    try:
        return numbers.public_key()
    except ValueError:
        raise RemoteProtocolError("a public key is not on its curve") from None
