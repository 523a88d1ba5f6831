"""A list of media as a device keeps it: its entries in a file, what has changed since in another, and what vouches for both.

A long list (a million entries are 8 MB) stays in its file and is looked up there; a short one is held in memory. Behind the
entries stand `JQL2`, kind (1), number (4), expiry (4), three zeros, and an HMAC-SHA256 by a key of the device over the SHA-256
of the entries and these sixteen bytes. It is written last: a file that was cut short, or that somebody else wrote, is no list.

Beside it lies what has changed since: entries added, entries removed, `JQC1`, kind (1), number (4), how many of both (2 and 2),
three zeros, and an HMAC over the same and over the HMAC of the list that they change: with any other list they are nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from protocol.compat import const, constant_time_equal, hmac_sha256
from protocol.limits import LIST_ENTRY_BYTES
from protocol.medium_list import MediumList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.boards.board import Board, Store
    from firmware.loop import Loop

CHANGES = ".changes"
PIECE_BYTES = const(1024)
IN_MEMORY_ENTRIES_MAX = const(512)
_MAGIC = b"JQL2"
_CHANGES_MAGIC = b"JQC1"
_TRAILER_BYTES = const(48)
_MAC_BYTES = const(32)


class StoredList(MediumList):
    """A list whose entries are looked up in a file, in which they begin at `start`."""

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

    def run(self, start: int, count: int) -> bytes:
        return self._store.read_at(self._name, self._start + start * LIST_ENTRY_BYTES, count * LIST_ENTRY_BYTES)


class ChangedList(MediumList):
    """A list, and what has changed in it since.

    Attributes:
        base: as it was.
        added, removed: entries that it has not, and some that it has.
    """

    def __init__(self, base: MediumList, number: int, added: MediumList, removed: MediumList) -> None:
        super().__init__(base.kind, number, base.expires_s, b"")
        self.base = base
        self.added = added
        self.removed = removed

    def __len__(self) -> int:
        return len(self.base) + len(self.added) - len(self.removed)

    def holds(self, token: bytes) -> bool:
        return self.added.holds(token) or (self.base.holds(token) and not self.removed.holds(token))

    def run(self, start: int, count: int) -> bytes:
        """Return entries that stand one after another; all before them are read for it."""
        run, passed = b"", 0
        for piece in self.pieces():
            skipped = max(start * LIST_ENTRY_BYTES - passed, 0)
            run += piece[skipped : start * LIST_ENTRY_BYTES + count * LIST_ENTRY_BYTES - passed]
            passed += len(piece)
            if passed >= (start + count) * LIST_ENTRY_BYTES:
                break
        return run

    def pieces(self) -> Iterator[bytes]:
        """Yield the entries of the list as it is now, in order and in pieces; what stays is copied as it lies."""
        read = comes = goes = 0
        while comes < len(self.added) or goes < len(self.removed):
            entry = self.added.at(comes) if comes < len(self.added) else b""
            gone = self.removed.at(goes) if goes < len(self.removed) else b""
            is_added = not gone or b"" < entry < gone
            place = self.base.place(entry if is_added else gone)
            yield from runs(self.base, read, place)
            if is_added:
                yield entry
            read = place if is_added else place + 1
            comes, goes = comes + is_added, goes + (not is_added)
        yield from runs(self.base, read, len(self.base))


def runs(medium_list: MediumList, start: int, end: int) -> Iterator[bytes]:
    """Yield entries that stand one after another, in pieces."""
    step = PIECE_BYTES // LIST_ENTRY_BYTES
    for at in range(start, end, step):
        yield medium_list.run(at, min(step, end - at))


def encode_trailer(key: bytes, kind: int, number: int, expires_s: int, digest: bytes) -> bytes:
    """Return what stands behind the entries, of which `digest` is the SHA-256."""
    fields = _MAGIC + bytes((kind,)) + number.to_bytes(4, "big") + expires_s.to_bytes(4, "big") + bytes(3)
    return fields + hmac_sha256(key, digest + fields)


def encode_changes_trailer(
    key: bytes, store: Store, name: str, kind: int, number: int, counts: tuple[int, int], digest: bytes
) -> bytes:
    """Return what stands behind changes of the list in a file, of all of which `digest` is the SHA-256."""
    fields = _CHANGES_MAGIC + bytes((kind,)) + number.to_bytes(4, "big")
    fields += counts[0].to_bytes(2, "big") + counts[1].to_bytes(2, "big") + bytes(3)
    base_mac = store.read_at(name, (store.size(name) or 0) - _MAC_BYTES, _MAC_BYTES)
    return fields + hmac_sha256(key, digest + fields + base_mac)


def kept_list(
    store: Store, name: str, kind: int, number: int, expires_s: int, count: int, start: int = 0
) -> MediumList:
    """Return a list that lies in a file: a short one is taken into memory."""
    if count <= IN_MEMORY_ENTRIES_MAX:
        entries = store.read_at(name, start, count * LIST_ENTRY_BYTES) if count else b""
        return MediumList(kind, number, expires_s, entries)
    return StoredList(store, name, kind, number, expires_s, count, start)


async def open_list(board: Board, loop: Loop, name: str, key: bytes) -> MediumList | None:
    """Return the list that a file holds, with its changes; None where it holds none, or not whole."""
    store = board.store
    size = (store.size(name) or 0) - _TRAILER_BYTES
    if size < 0 or size % LIST_ENTRY_BYTES:
        return None
    trailer = store.read_at(name, size, _TRAILER_BYTES)
    digest = await _digest_of(store, loop, name, size)
    kind, number = trailer[4], int.from_bytes(trailer[5:9], "big")
    expires_s = int.from_bytes(trailer[9:13], "big")
    if not constant_time_equal(trailer, encode_trailer(key, kind, number, expires_s, digest)):
        return None
    base = kept_list(store, name, kind, number, expires_s, size // LIST_ENTRY_BYTES)
    return await _with_changes(store, loop, base, name, key)


async def _with_changes(store: Store, loop: Loop, base: MediumList, name: str, key: bytes) -> MediumList:
    """Return a list with the changes that lie beside it, if they are of this list and whole."""
    file = name + CHANGES
    size = (store.size(file) or 0) - _TRAILER_BYTES
    if size < 0:
        return base
    trailer = store.read_at(file, size, _TRAILER_BYTES)
    number = int.from_bytes(trailer[5:9], "big")
    counts = int.from_bytes(trailer[9:11], "big"), int.from_bytes(trailer[11:13], "big")
    digest = await _digest_of(store, loop, file, size)
    expected = encode_changes_trailer(key, store, name, base.kind, number, counts, digest)
    if not constant_time_equal(trailer, expected) or sum(counts) * LIST_ENTRY_BYTES != size:
        return base
    return changed_list(store, file, base, number, counts)


def changed_list(store: Store, file: str, base: MediumList, number: int, counts: tuple[int, int]) -> ChangedList:
    """Return a list with the changes in a file, so many added and removed."""
    added = kept_list(store, file, base.kind, 0, 0, counts[0])
    removed = kept_list(store, file, base.kind, 0, 0, counts[1], counts[0] * LIST_ENTRY_BYTES)
    return ChangedList(base, number, added, removed)


async def _digest_of(store: Store, loop: Loop, name: str, size: int) -> bytes:
    digest = hashlib.sha256()
    for start in range(0, size, PIECE_BYTES):
        digest.update(store.read_at(name, start, min(PIECE_BYTES, size - start)))
        await loop.pause()
    return digest.digest()
