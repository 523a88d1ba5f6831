"""The runtime differences between CPython and MicroPython, all of them: nothing else asks which Python it is.

SHA-256 is native on both. HMAC comes from the standard library where there is one; MicroPython has none, and gets RFC 2104
written out over its native SHA-256.
"""

from __future__ import annotations

import hashlib
import sys
from binascii import crc32 as _crc32
from typing import TYPE_CHECKING

MICROPYTHON = sys.implementation.name == "micropython"

if TYPE_CHECKING or not MICROPYTHON:

    def const(value: int) -> int:
        """Mark a number that MicroPython folds into the code."""
        return value

else:
    from micropython import const

_BLOCK_BYTES = const(64)


def collect_garbage_often(often: bool) -> None:
    """Let MicroPython collect garbage after every 2 KB that were allocated, or as usual only when the heap is full.

    What is made while a program starts stays; it lies close together only if the garbage between is taken away in time. Later
    that would only cost time.
    """
    if MICROPYTHON:
        import gc  # noqa: PLC0415

        gc.threshold(2048 if often else -1)  # type: ignore[attr-defined]


def forget(*modules: str) -> None:
    """Give back the memory of modules that are needed seldom, on MicroPython; whoever imports one again loads it again."""
    for module in modules if MICROPYTHON else ():
        if module in sys.modules:
            package, _, name = module.rpartition(".")
            del sys.modules[module]
            delattr(sys.modules[package], name)


def sha256(data: bytes | bytearray | memoryview) -> bytes:
    """Return the SHA-256 digest, 32 bytes."""
    return hashlib.sha256(data).digest()


def sha256_of(parts: list[bytes]) -> bytes:
    """Return the SHA-256 digest of pieces as if they were one, 32 bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def crc32(data: bytes | bytearray | memoryview, seed: int = 0) -> int:
    """Return the CRC-32 of ISO-HDLC over `data`, going on from `seed`."""
    return _crc32(data, seed) & 0xFFFFFFFF


if MICROPYTHON:

    def hmac_sha256(key: bytes, data: bytes | bytearray | memoryview) -> bytes:
        """Return HMAC-SHA256 (RFC 2104), 32 bytes."""
        if len(key) > _BLOCK_BYTES:
            key = sha256(key)
        inner = bytearray(0x36 for _ in range(_BLOCK_BYTES))
        outer = bytearray(0x5C for _ in range(_BLOCK_BYTES))
        for index, byte in enumerate(key):
            inner[index] ^= byte
            outer[index] ^= byte
        digest = hashlib.sha256(inner)
        digest.update(data)
        outer_digest = hashlib.sha256(outer)
        outer_digest.update(digest.digest())
        return outer_digest.digest()

else:
    from hmac import digest as _hmac_digest

    def hmac_sha256(key: bytes, data: bytes | bytearray | memoryview) -> bytes:
        """Return HMAC-SHA256 (RFC 2104), 32 bytes."""
        return _hmac_digest(key, data, "sha256")


def constant_time_equal(left: bytes, right: bytes) -> bool:
    """Compare two byte strings in a time that depends on their lengths alone."""
    if len(left) != len(right):
        return False
    difference = 0
    for a, b in zip(left, right):
        difference |= a ^ b
    return difference == 0
