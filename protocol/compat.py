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
_LEAST_WIPED_BYTES = const(16)


def collect_garbage_often(often: bool) -> None:
    """Say whether MicroPython collects garbage early and often, while a program is loaded, or when its heap is full.

    Late collection leaves what a program keeps scattered all over its heap. Once it is at work it collects by itself, when nobody
    waits (`collect_garbage`).
    """
    if MICROPYTHON:
        import gc  # noqa: PLC0415

        gc.threshold(2048 if often else -1)  # type: ignore[attr-defined]


def collect_garbage() -> None:
    """Collect garbage now, on MicroPython: some 16 ms on a board, so when a rider has been told and before what takes much."""
    if MICROPYTHON:
        import gc  # noqa: PLC0415

        gc.collect()


def wipe_free_memory() -> None:
    """Overwrite, on MicroPython, all memory that nobody holds: Python cannot overwrite bytes and integers that it has dropped.

    Everything free is taken as blocks of zeros, large ones first, and given back at once.
    """
    if MICROPYTHON:
        import gc  # noqa: PLC0415

        gc.collect()
        gc.disable()  # or each block that is not to be had would be looked for by another collection
        size = gc.mem_free()  # type: ignore[attr-defined]
        taken: object = None
        while size >= _LEAST_WIPED_BYTES:
            try:
                taken = (bytearray(size), taken)
            except MemoryError:
                size >>= 1
        taken = None
        gc.enable()
        gc.collect()


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


def sha1_of(parts: list[bytes | bytearray | memoryview]) -> bytes:
    """Return the SHA-1 digest of pieces as if they were one, 20 bytes: bank cards know no other hash (EMV Book 2 annex B3.1)."""
    digest = hashlib.sha1()  # noqa: S324 - signatures of bank cards are over it
    for part in parts:
        digest.update(part)
    return digest.digest()


def crc32(data: bytes | bytearray | memoryview, seed: int = 0) -> int:
    """Return the CRC-32 of ISO-HDLC over `data`, going on from `seed`."""
    return _crc32(data, seed) & 0xFFFFFFFF


if MICROPYTHON:
    # Sixty-four exclusive-ors in Python are sixty-four small numbers; of one large number it is one.
    _INNER_PAD = int.from_bytes(b"\x36" * _BLOCK_BYTES, "big")
    _OUTER_PAD = int.from_bytes(b"\x5c" * _BLOCK_BYTES, "big")

    # Of the last keys, what only depends on them: a tap authenticates four times, under two of them.
    _KEYS_KEPT = const(3)
    _kept: list[tuple[bytes, bytes, bytes]] = []

    def _pads(key: bytes) -> tuple[bytes, bytes, bytes]:
        """Return the key, and the key padded inside and outside."""
        for pads in _kept:
            if pads[0] == key:
                return pads
        short = sha256(key) if len(key) > _BLOCK_BYTES else key
        padded = int.from_bytes(short + bytes(_BLOCK_BYTES - len(short)), "big")
        inner, outer = [(padded ^ pad).to_bytes(_BLOCK_BYTES, "big") for pad in (_INNER_PAD, _OUTER_PAD)]
        if len(_kept) == _KEYS_KEPT:
            del _kept[0]
        _kept.append((key, inner, outer))
        return _kept[-1]

    def hmac_sha256(key: bytes, data: bytes | bytearray | memoryview) -> bytes:
        """Return HMAC-SHA256 (RFC 2104), 32 bytes."""
        pads = _pads(key)
        digest = hashlib.sha256(pads[1])
        digest.update(data)
        outer_digest = hashlib.sha256(pads[2])
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
    return not int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
