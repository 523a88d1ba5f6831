"""AES-DUKPT (ANSI X9.24-3-2017): each transaction is encrypted with a key of its own, which the acquirer derives from its number.

`derive_initial_key` and `working_key` are the acquirer's half. The terminal's half keeps no key of the past: it takes counters a
block at a time, and what it then stores knows only what comes behind that block. So a power cut can lose counters and bring none
back, and who steals the terminal can read the block that it is at, and what comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.errors import LocalProtocolError

if TYPE_CHECKING:
    from protocol.cmac import Aes

KEY_BYTES = const(16)
KEY_ID_BYTES = const(8)
BLOCK_COUNTERS = const(64)
USE_MAC = const(0x2000)
USE_ENCRYPTION = const(0x3000)
_USE_DERIVATION = const(0x8000)
_USE_INITIAL_KEY = const(0x8001)
_BLOCK_BITS = const(6)
_COUNTER_BITS = const(32)
# A counter with more ones takes too many derivations, and is left out.
_ONES_MAX = const(16)
# What is stored: key id, first counter of the block that was taken last, and a key for each bit above those of a block.
_BRANCHES = const(12)
_STORED_BYTES = const(428)


def _derive(aes: Aes, key: bytes, use: int, context: bytes) -> bytes:
    """Return an AES-128 key derived for a use; `context` has 8 bytes (section 6.3.2)."""
    return aes.ecb_encrypt(key, b"\1\1" + use.to_bytes(2, "big") + b"\0\2\0\x80" + context)


def _next_key(aes: Aes, key: bytes, use: int, key_id: bytes, counter: int) -> bytes:
    return _derive(aes, key, use, key_id[4:] + counter.to_bytes(4, "big"))


def derive_initial_key(aes: Aes, base_key: bytes, key_id: bytes) -> bytes:
    """Return the initial key of a terminal: what is put into it, under its initial key id (8 bytes)."""
    return _derive(aes, base_key, _USE_INITIAL_KEY, key_id)


def working_key(aes: Aes, initial_key: bytes, key_id: bytes, counter: int, use: int) -> bytes:
    """Return the key of a transaction for a use (`USE_…`), 16 bytes."""
    key, passed = initial_key, 0
    for bit in range(_COUNTER_BITS - 1, -1, -1):
        if counter >> bit & 1:
            passed |= 1 << bit
            key = _next_key(aes, key, _USE_DERIVATION, key_id, passed)
    return _next_key(aes, key, use, key_id, counter)


def _ones(number: int) -> int:
    count = 0
    while number:
        count += number & 1
        number >>= 1
    return count


class KeyBlock:
    """The keys of some counters, held in memory only.

    Attributes:
        key_id: initial key id of the terminal, 8 bytes.
    """

    __slots__ = ("_aes", "_branch", "_counter", "_first", "key_id")

    def __init__(self, aes: Aes, key_id: bytes, first: int, branch: bytes) -> None:
        self.key_id = key_id
        self._aes = aes
        self._first = first
        self._branch = branch
        self._counter = max(first, 1)

    def has_more(self) -> bool:
        while _ones(self._counter) > _ONES_MAX:
            self._counter += 1
        return self._counter < self._first + BLOCK_COUNTERS

    def next_keys(self) -> tuple[int, bytes, bytes]:
        """Return counter, encryption key and MAC key of a transaction, and use that counter up."""
        if not self.has_more():
            raise LocalProtocolError("these counters are used up: take the next block first")
        counter = self._counter
        self._counter += 1
        key, passed = self._branch, self._first
        for bit in range(_BLOCK_BITS - 1, -1, -1):
            if counter >> bit & 1:
                passed |= 1 << bit
                key = _next_key(self._aes, key, _USE_DERIVATION, self.key_id, passed)
        encryption = _next_key(self._aes, key, USE_ENCRYPTION, self.key_id, counter)
        return counter, encryption, _next_key(self._aes, key, USE_MAC, self.key_id, counter)


def plant(aes: Aes, key_id: bytes, initial_key: bytes) -> tuple[KeyBlock, bytes]:
    """Return the first block of a terminal that has just been given its initial key, and what it stores instead of that key."""
    stored = key_id + bytes(4)
    for bit in range(_BLOCK_BITS, _COUNTER_BITS):
        stored += _next_key(aes, initial_key, _USE_DERIVATION, key_id, 1 << bit)
    return KeyBlock(aes, key_id, 0, initial_key), stored


def take_block(aes: Aes, stored: bytes) -> tuple[KeyBlock, bytes]:
    """Return the next block, and what must be stored before it is used.

    Raises:
        LocalProtocolError: what is stored is damaged, or used up.
    """
    if len(stored) != _STORED_BYTES:
        raise LocalProtocolError("the acquirer's keys are damaged: the terminal needs a new initial key")
    key_id, first = stored[:KEY_ID_BYTES], int.from_bytes(stored[KEY_ID_BYTES:_BRANCHES], "big")
    branches = bytearray(stored[_BRANCHES:])
    while True:
        first += BLOCK_COUNTERS
        if first >> _COUNTER_BITS:
            raise LocalProtocolError("all keys of the terminal are used up: it needs a new initial key")
        lowest = _BLOCK_BITS
        while not first >> lowest & 1:
            lowest += 1
        place = KEY_BYTES * (lowest - _BLOCK_BITS)
        branch = bytes(branches[place : place + KEY_BYTES])
        branches[place : place + KEY_BYTES] = bytes(KEY_BYTES)
        for bit in range(_BLOCK_BITS, lowest):
            place = KEY_BYTES * (bit - _BLOCK_BITS)
            branches[place : place + KEY_BYTES] = _next_key(aes, branch, _USE_DERIVATION, key_id, first | 1 << bit)
        if _ones(first) <= _ONES_MAX:
            return KeyBlock(aes, key_id, first, branch), key_id + first.to_bytes(4, "big") + bytes(branches)
