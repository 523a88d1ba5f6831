"""Keys that service and validator share (profile 3), encrypted as they lie in the database: a copy of it speaks for nobody."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clearing.fleet.key_file import KeysError
from clearing.fleet.keys import KeyStore
from protocol.cose_mac import MacKey

_NONCE_BYTES = 12


def seal(keys: KeyStore, device: bytes, key: MacKey) -> bytes:
    """Encrypt a shared key for the row of its validator (AES-256-GCM)."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(keys.sealing_key).encrypt(nonce, key.export(), device)


def open_sealed(keys: KeyStore, device: bytes, sealed: bytes) -> MacKey:
    """The shared key of a validator.

    Raises:
        KeysError: it was encrypted with other keys, or for another validator.
    """
    try:
        return MacKey(AESGCM(keys.sealing_key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], device))
    except InvalidTag:
        raise KeysError("a shared key does not open: keys.json is not that of this database") from None
