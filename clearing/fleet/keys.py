"""The city's keys, and ES256 and AES over the `cryptography` library.

`keys.json` in the installation's folder holds them, readable by its owner only, made when missing. It stands in
for a security module: whoever reads it can sign acks and make cards. No key appears in a message, a log or a `repr`.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256

from protocol.cose import ec2_key, key_thumbprint

_AES_KEY_BYTES = 16
_HMAC_KEY_BYTES = 32
_COORDINATE_BYTES = 32
_ES256 = ec.ECDSA(SHA256(), deterministic_signing=True)  # RFC 6979: the same message has the same signature


class KeysError(Exception):
    """The key file cannot be used; the message says why, and never shows a key."""


def _new_private() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(_COORDINATE_BYTES, "big")


_MAKERS: dict[str, Callable[[], bytes]] = {
    "transit_read_master": lambda: secrets.token_bytes(_AES_KEY_BYTES),
    "transit_debit_master": lambda: secrets.token_bytes(_AES_KEY_BYTES),
    "transit_mac_master": lambda: secrets.token_bytes(_AES_KEY_BYTES),
    "token_key": lambda: secrets.token_bytes(_HMAC_KEY_BYTES),
    "qr_master": lambda: secrets.token_bytes(_HMAC_KEY_BYTES),
    "phone_token_key": lambda: secrets.token_bytes(_HMAC_KEY_BYTES),
    "ack_private": _new_private,
    "document_private": _new_private,
}


class Es256Signer:
    """Signs with a private key (RFC 9053 §2.1: r and s, 32 bytes each).

    Attributes:
        x, y: the public point.
        kid: thumbprint of the public key, 8 bytes.
    """

    def __init__(self, private: bytes) -> None:
        self._key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())
        point = self._key.public_key().public_numbers()
        self.x = point.x.to_bytes(_COORDINATE_BYTES, "big")
        self.y = point.y.to_bytes(_COORDINATE_BYTES, "big")
        self.kid = key_thumbprint(self.public_key())

    def public_key(self) -> dict[int, int | bytes]:
        """The public half as a COSE_Key."""
        return ec2_key(self.x, self.y)

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(message, _ES256))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


@lru_cache(maxsize=8192)
def _public_key(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    return numbers.public_key()


def verify_es256(x: bytes, y: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a 64-byte signature of the message is the key's; a point off the curve signs nothing."""
    if len(signature) != 2 * _COORDINATE_BYTES:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
    try:
        _public_key(x, y).verify(encode_dss_signature(r, s), message, _ES256)
    except (InvalidSignature, ValueError):
        return False
    return True


class OneKeyVerifier:
    """Knows one public key, by its kid, as the protocol's `verify1` asks for it."""

    def __init__(self, kid: bytes, x: bytes, y: bytes) -> None:
        self.kid = kid
        self._x = x
        self._y = y

    def verify(self, kid: bytes, message: bytes, signature: bytes) -> bool:
        return kid == self.kid and verify_es256(self._x, self._y, message, signature)


class Aes:
    """AES as the protocol asks for it."""

    def ecb_encrypt(self, key: bytes, data: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - a single block of RFC 3394
        return encryptor.update(data) + encryptor.finalize()

    def ecb_decrypt(self, key: bytes, data: bytes) -> bytes:
        decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305 - a single block of RFC 3394
        return decryptor.update(data) + decryptor.finalize()

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        return decryptor.update(data) + decryptor.finalize()


class KeyStore:
    """The keys of one installation.

    Attributes:
        version: of the token key; it travels with every token.
        ack, documents: signers of acks and of what is sent to buses.
        transit_read_master, transit_debit_master: AES-128, from which each card's own keys are derived.
        transit_mac_master: AES-128; checks a card's transaction MAC and never leaves the back office.
        token_key, phone_token_key, qr_master: HMAC keys.
    """

    def __init__(self, version: int, secret: dict[str, bytes]) -> None:
        self.version = version
        self.ack = Es256Signer(secret["ack_private"])
        self.documents = Es256Signer(secret["document_private"])
        self.transit_read_master = secret["transit_read_master"]
        self.transit_debit_master = secret["transit_debit_master"]
        self.transit_mac_master = secret["transit_mac_master"]
        self.token_key = secret["token_key"]
        self.phone_token_key = secret["phone_token_key"]
        self.qr_master = secret["qr_master"]


def open_keys(path: Path) -> KeyStore:
    """Read the key file; make it when it is missing.

    Raises:
        KeysError: others may read it, or it is damaged.
    """
    if not path.exists():
        _create(path)
    if path.stat().st_mode & 0o077:
        raise KeysError(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        stored = json.loads(path.read_text())
        return KeyStore(int(stored["key_version"]), {name: bytes.fromhex(stored[name]) for name in _MAKERS})
    except (ValueError, KeyError, TypeError):
        # Not chained: the original error could quote the file.
        raise KeysError(f"{path} is damaged; restore it from its backup, new keys would orphan every card") from None


def _create(path: Path) -> None:
    content = json.dumps({"key_version": 1} | {name: make().hex() for name, make in _MAKERS.items()}, indent=2)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # whoever comes second keeps the first one's keys
    except FileExistsError:
        pass
    finally:
        draft.unlink()
