"""AES for MicroPython, by its `cryptolib`. ES256 there is `protocol.p256`."""

from __future__ import annotations

import cryptolib

_ECB = 1
_CBC = 2


class Aes:
    """AES-128, see `protocol.cmac.Aes`. Of the last key by which a block was encrypted it keeps what is reckoned from it."""

    def __init__(self) -> None:
        self._key = b""
        self._ecb: cryptolib.aes | None = None

    def ecb_encrypt(self, key: bytes, data: bytes) -> bytes:
        if self._ecb is None or key != self._key:
            self._key, self._ecb = key, cryptolib.aes(key, _ECB)
        return self._ecb.encrypt(data)  # type: ignore[no-any-return]

    def ecb_decrypt(self, key: bytes, data: bytes) -> bytes:
        return cryptolib.aes(key, _ECB).decrypt(data)  # type: ignore[no-any-return]

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        return cryptolib.aes(key, _CBC, iv).encrypt(data)  # type: ignore[no-any-return]

    def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        return cryptolib.aes(key, _CBC, iv).decrypt(data)  # type: ignore[no-any-return]
