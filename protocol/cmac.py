"""AES-CMAC (NIST SP 800-38B, RFC 4493) over an AES that is passed in.

An `Aes` is an object with `ecb_encrypt(key, data)`, `ecb_decrypt(key, data)`, `cbc_encrypt(key, iv, data)` and
`cbc_decrypt(key, iv, data)`, data in whole blocks of 16 bytes and no padding of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const

if TYPE_CHECKING:
    from typing import Protocol

    class AesEncryption(Protocol):
        """AES-128 in two modes, one way: all that MACs and derived keys need."""

        def ecb_encrypt(self, key: bytes, data: bytes) -> bytes: ...

        def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes: ...

    class Aes(AesEncryption, Protocol):
        """AES-128 in two modes, both ways."""

        def ecb_decrypt(self, key: bytes, data: bytes) -> bytes: ...

        def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes: ...


_BLOCK_BYTES = const(16)
_REDUCTION = const(0x87)
_BLOCK_BITS = const(128)
_PAD = const(0x80)
ZERO_BLOCK = bytes(16)


class Cmac:
    """AES-CMAC under one key: what only depends on the key is computed once."""

    def __init__(self, aes: AesEncryption, key: bytes) -> None:
        self._aes = aes
        self._key = key
        whole = _double(int.from_bytes(aes.ecb_encrypt(key, ZERO_BLOCK), "big"))
        self._whole = whole.to_bytes(_BLOCK_BYTES, "big")
        self._padded = _double(whole).to_bytes(_BLOCK_BYTES, "big")

    def digest(self, message: bytes, padded_bytes: int = 16) -> bytes:
        """Return the CMAC of `message`, 16 bytes; one that is shorter than `padded_bytes` is padded to that (AN10922).

        It is worked out in one buffer, byte by byte: large numbers would be quicker, and leave three times the garbage.
        """
        size = len(message)
        is_whole = size >= padded_bytes and not size % _BLOCK_BYTES
        end = size if is_whole else max(padded_bytes, (size // _BLOCK_BYTES + 1) * _BLOCK_BYTES)
        blocks = bytearray(end)
        blocks[:size] = message
        if not is_whole:
            blocks[size] = _PAD
        subkey = self._whole if is_whole else self._padded
        for index in range(_BLOCK_BYTES):
            blocks[end - _BLOCK_BYTES + index] ^= subkey[index]
        return self._aes.cbc_encrypt(self._key, ZERO_BLOCK, bytes(blocks))[-_BLOCK_BYTES:]


def _double(value: int) -> int:
    doubled = value << 1
    return (doubled ^ _REDUCTION) & ((1 << _BLOCK_BITS) - 1) if doubled >> _BLOCK_BITS else doubled


def aes_cmac(aes: AesEncryption, key: bytes, message: bytes, padded_bytes: int = 16) -> bytes:
    """Return the CMAC of `message`, 16 bytes; a message shorter than `padded_bytes` is padded to that (AN10922)."""
    return Cmac(aes, key).digest(message, padded_bytes)
