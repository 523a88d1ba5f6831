"""AES-CMAC (NIST SP 800-38B, RFC 4493) over an AES that is passed in.

An `Aes` is an object with `ecb_encrypt(key, data)`, `ecb_decrypt(key, data)`, `cbc_encrypt(key, iv, data)` and
`cbc_decrypt(key, iv, data)`, data in whole blocks of 16 bytes and no padding of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const

if TYPE_CHECKING:
    from typing import Protocol

    class Aes(Protocol):
        """AES-128 in two modes."""

        def ecb_encrypt(self, key: bytes, data: bytes) -> bytes: ...

        def ecb_decrypt(self, key: bytes, data: bytes) -> bytes: ...

        def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes: ...

        def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes: ...


_BLOCK_BYTES = const(16)
_REDUCTION = const(0x87)
_BLOCK_BITS = const(128)
ZERO_BLOCK = bytes(16)


class Cmac:
    """AES-CMAC under one key: what only depends on the key is computed once."""

    def __init__(self, aes: Aes, key: bytes) -> None:
        self._aes = aes
        self._key = key
        self._whole = _double(int.from_bytes(aes.ecb_encrypt(key, ZERO_BLOCK), "big"))
        self._padded = _double(self._whole)

    def digest(self, message: bytes, padded_bytes: int = 16) -> bytes:
        """Return the CMAC of `message`, 16 bytes; one that is shorter than `padded_bytes` is padded to that (AN10922)."""
        subkey = self._whole
        if len(message) % _BLOCK_BYTES or len(message) < padded_bytes:
            subkey = self._padded
            size = max(padded_bytes, (len(message) // _BLOCK_BYTES + 1) * _BLOCK_BYTES)
            message = message + b"\x80" + bytes(size - len(message) - 1)
        last = int.from_bytes(message[-_BLOCK_BYTES:], "big") ^ subkey
        blocks = message[:-_BLOCK_BYTES] + last.to_bytes(_BLOCK_BYTES, "big")
        return self._aes.cbc_encrypt(self._key, ZERO_BLOCK, blocks)[-_BLOCK_BYTES:]


def _double(value: int) -> int:
    doubled = value << 1
    return (doubled ^ _REDUCTION) & ((1 << _BLOCK_BITS) - 1) if doubled >> _BLOCK_BITS else doubled


def aes_cmac(aes: Aes, key: bytes, message: bytes, padded_bytes: int = 16) -> bytes:
    """Return the CMAC of `message`, 16 bytes; a message shorter than `padded_bytes` is padded to that (AN10922)."""
    return Cmac(aes, key).digest(message, padded_bytes)
