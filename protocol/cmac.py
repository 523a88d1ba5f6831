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
ZERO_BLOCK = bytes(16)


def _double(block: bytes) -> bytes:
    doubled = bytearray(_BLOCK_BYTES)
    carry = 0
    for index in range(_BLOCK_BYTES - 1, -1, -1):
        byte = block[index] << 1 | carry
        doubled[index] = byte & 0xFF
        carry = byte >> 8
    if carry:
        doubled[_BLOCK_BYTES - 1] ^= _REDUCTION
    return bytes(doubled)


def aes_cmac(aes: Aes, key: bytes, message: bytes, padded_bytes: int = 16) -> bytes:
    """Return the CMAC of `message`, 16 bytes; a message shorter than `padded_bytes` is padded to that (AN10922)."""
    subkey = _double(aes.ecb_encrypt(key, ZERO_BLOCK))
    if len(message) % _BLOCK_BYTES or len(message) < padded_bytes:
        subkey = _double(subkey)
        size = max(padded_bytes, (len(message) // _BLOCK_BYTES + 1) * _BLOCK_BYTES)
        message = message + b"\x80" + bytes(size - len(message) - 1)
    last = bytes([a ^ b for a, b in zip(message[-_BLOCK_BYTES:], subkey)])
    return aes.cbc_encrypt(key, ZERO_BLOCK, message[:-_BLOCK_BYTES] + last)[-_BLOCK_BYTES:]
