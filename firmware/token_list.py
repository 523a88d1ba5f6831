"""A list of media as a device keeps it: its tokens in a file, one after another, and behind them what vouches for them.

A long list (24 000 tokens are 384 KB) stays in its file and is looked up there; a short one is held in memory. Behind the tokens
stand `JQL1`, kind (1), number (4), expiry (4), three zeros, and an HMAC-SHA256 by a key of the device over the SHA-256 of the
tokens and these sixteen bytes. It is written last: a file that was cut short, or that somebody else wrote, is no list.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from protocol.compat import const, constant_time_equal, hmac_sha256
from protocol.medium_list import MediumList
from protocol.tokens import TOKEN_BYTES

if TYPE_CHECKING:
    from firmware.boards.board import Board, Store
    from firmware.loop import Loop

_MAGIC = b"JQL1"
_FIELDS_BYTES = const(16)
_TRAILER_BYTES = const(48)
_IN_MEMORY_BYTES_MAX = const(4096)
PIECE_BYTES = const(1024)


class StoredList(MediumList):
    """A list whose tokens are looked up in a file, in which they begin at `start`."""

    def __init__(
        self, store: Store, name: str, kind: int, number: int, expires_s: int, count: int, start: int = 0
    ) -> None:
        super().__init__(kind, number, expires_s, b"")
        self._store = store
        self._name = name
        self._count = count
        self._start = start

    def __len__(self) -> int:
        return self._count

    def at(self, index: int) -> bytes:
        return self._store.read_at(self._name, self._start + index * TOKEN_BYTES, TOKEN_BYTES)


def encode_trailer(key: bytes, kind: int, number: int, expires_s: int, digest: bytes) -> bytes:
    """Return what stands behind the tokens, of which `digest` is the SHA-256."""
    fields = _MAGIC + bytes((kind,)) + number.to_bytes(4, "big") + expires_s.to_bytes(4, "big") + bytes(3)
    return fields + hmac_sha256(key, digest + fields)


async def open_list(board: Board, loop: Loop, name: str, key: bytes) -> MediumList | None:
    """Return the list that a file holds, or None where it holds none, or not whole."""
    store = board.store
    size = (store.size(name) or 0) - _TRAILER_BYTES
    if size < 0 or size % TOKEN_BYTES:
        return None
    trailer = store.read_at(name, size, _TRAILER_BYTES)
    digest = hashlib.sha256()
    for start in range(0, size, PIECE_BYTES):
        digest.update(store.read_at(name, start, min(PIECE_BYTES, size - start)))
        await loop.pause()
    kind, number = trailer[4], int.from_bytes(trailer[5:9], "big")
    expires_s = int.from_bytes(trailer[9:13], "big")
    if not constant_time_equal(trailer, encode_trailer(key, kind, number, expires_s, digest.digest())):
        return None
    if size <= _IN_MEMORY_BYTES_MAX:
        return MediumList(kind, number, expires_s, store.read_at(name, 0, size))
    return StoredList(store, name, kind, number, expires_s, size // TOKEN_BYTES)
