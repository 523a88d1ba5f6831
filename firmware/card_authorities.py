"""The authorities' keys as a device keeps them: in a file, where each is looked up when a card names it.

`JQA1`, number (4), expiry (4), count of keys (2) and of what was revoked (2); for each key RID (5), index, expiry (2), exponent
(4), and where its modulus lies (2) and ends (2); the names of what was revoked; the moduli; and an HMAC-SHA256 by a key of the
device over the SHA-256 of all before. `firmware.authority_building` writes it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from protocol.cards.emv_keys import PublicKey
from protocol.compat import const, constant_time_equal, hmac_sha256

if TYPE_CHECKING:
    from firmware.boards.board import Board, Store
    from firmware.loop import Loop

FILE = "card-authorities"
MAGIC = b"JQA1"
HEAD_BYTES = const(16)
ENTRY_BYTES = const(16)
NAME_BYTES = const(9)
_HMAC_BYTES = const(32)
_PIECE_BYTES = const(512)
_NAMES_A_PIECE = const(32)


class StoredAuthorities:
    """A list in its file.

    Attributes:
        number: of the list.
        expires_s: unix seconds; from then on no card is taken by it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        head = store.read_at(FILE, 0, HEAD_BYTES)
        self.number = int.from_bytes(head[4:8], "big")
        self.expires_s = int.from_bytes(head[8:12], "big")
        self._keys = int.from_bytes(head[12:14], "big")
        self._names = int.from_bytes(head[14:16], "big")

    def find(self, rid: bytes, index: int) -> PublicKey | None:
        """Return the key of a scheme with that index, or None."""
        for number in range(self._keys):
            entry = self._store.read_at(FILE, HEAD_BYTES + number * ENTRY_BYTES, ENTRY_BYTES)
            if entry[:5] == rid and entry[5] == index:
                start = int.from_bytes(entry[12:14], "big")
                modulus = self._store.read_at(FILE, start, int.from_bytes(entry[14:16], "big") - start)
                return PublicKey(modulus, int.from_bytes(entry[8:12], "big"), entry[6:8])
        return None

    def is_revoked(self, rid: bytes, index: int, serial: bytes) -> bool:
        """Return whether a key (serial 000000) or a certificate that it has signed was revoked."""
        name = rid + bytes((index,)) + serial
        start = HEAD_BYTES + self._keys * ENTRY_BYTES
        for first in range(0, self._names, _NAMES_A_PIECE):
            count = min(_NAMES_A_PIECE, self._names - first)
            piece = self._store.read_at(FILE, start + first * NAME_BYTES, count * NAME_BYTES)
            for place in range(0, len(piece), NAME_BYTES):
                if piece[place : place + NAME_BYTES] == name:
                    return True
        return False


async def open_authorities(board: Board, loop: Loop, key: bytes) -> StoredAuthorities | None:
    """Return the list that is kept, or None where there is none, or not whole."""
    store = board.store
    size = (store.size(FILE) or 0) - _HMAC_BYTES
    if size < HEAD_BYTES or store.read_at(FILE, 0, 4) != MAGIC:
        return None
    digest = hashlib.sha256()
    for start in range(0, size, _PIECE_BYTES):
        digest.update(store.read_at(FILE, start, min(_PIECE_BYTES, size - start)))
        await loop.pause()
    if not constant_time_equal(store.read_at(FILE, size, _HMAC_BYTES), hmac_sha256(key, digest.digest())):
        return None
    return StoredAuthorities(store)
