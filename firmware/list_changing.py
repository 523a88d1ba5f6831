"""What has changed in a list of media, put beside the list held; a list of 8 MB is not written anew for ten entries.

When very much has changed since it was, or the list is short, list and changes become a new list. Either takes its place by
one renaming: a power cut leaves the list before or the list after. Loaded when a change comes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from firmware.list_messages import Change, Frame, verify_file
from firmware.token_list import (
    CHANGES,
    IN_MEMORY_ENTRIES_MAX,
    PIECE_BYTES,
    ChangedList,
    changed_list,
    encode_changes_trailer,
    encode_trailer,
    kept_list,
)
from protocol.compat import const
from protocol.cose import TYP_LIST_DELTA
from protocol.errors import DocumentError, ListGapError
from protocol.limits import LIST_ENTRIES_MAX
from protocol.medium_list import MediumList, union

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.boards.board import Board
    from firmware.keys import Membership
    from firmware.loop import Loop

CHANGES_MAX = const(2000)
_CHECKED_AT_ONCE = const(16)


class Writer:
    """Writes a file from its beginning, in pieces.

    Attributes:
        digest: of what was written; MicroPython ends one once.
    """

    def __init__(self, board: Board, name: str) -> None:
        self._store = board.store
        self._name = name
        self._waiting = b""
        self.digest = hashlib.sha256()
        self._store.write(name, b"")

    def write(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) >= PIECE_BYTES:
            self.end()

    def end(self) -> None:
        self.digest.update(self._waiting)
        self._store.append(self._name, self._waiting)
        self._waiting = b""


class ListChanger:
    """One change of a list.

    Args:
        changes_max: with more entries changed than so many, the list is written anew.
    """

    def __init__(
        self, board: Board, loop: Loop, membership: Membership, name: str, kind: int, changes_max: int = CHANGES_MAX
    ) -> None:
        self._board = board
        self._store = board.store
        self._loop = loop
        self._membership = membership
        self._name = name
        self._next = name + ".next"
        self._next_changes = name + CHANGES + ".next"
        self._kind = kind
        self._changes_max = changes_max
        self._changes: ChangedList | None = None
        self._counts = (0, 0)
        self._changes_digest = b""
        # SHA-256 of the list that was written anew; None where changes are put beside the list held.
        self._rewritten: bytes | None = None

    async def take(self, held: MediumList, message: str) -> int:
        """Work out what comes out when the list held is changed by a signed message in a file; return its number.

        Raises:
            ListGapError: the change is of another list, or something else comes out than it should.
            ProtocolError: it is not signed by who may, or no change of such a list.
        """
        frame = Frame(self._store, message, TYP_LIST_DELTA)
        await verify_file(self._loop, self._membership, self._store, message, frame)
        change = Change(self._store, message, frame, self._kind)
        if held.number != change.from_number:
            raise ListGapError("the change is of list " + str(change.from_number) + ", not of the one held")
        await self._require_fits(held, change)
        await self._write_changes(held, change)
        assert self._changes is not None
        if await self._write_list(self._changes) != change.sha256 or len(self._changes) > LIST_ENTRIES_MAX:
            self._store.remove(self._next_changes)
            raise ListGapError("another list comes out than should")
        return change.to_number

    async def _require_fits(self, held: MediumList, change: Change) -> None:
        for entries, is_there in ((change.added, False), (change.removed, True)):
            for index in range(len(entries)):
                entry = entries.at(index)
                if not is_there and change.removed.holds(entry):
                    raise DocumentError("list delta: an entry is added and removed")
                if held.holds(entry) != is_there:
                    raise ListGapError("an entry that is added is there, or one that is removed is not")
                if index % _CHECKED_AT_ONCE == 0:
                    await self._loop.pause()

    async def _write_changes(self, held: MediumList, change: Change) -> None:
        """Join the changes that lie beside the list held with the new ones."""
        base, nothing = held, MediumList(self._kind, 0, 0, b"")
        added, removed = nothing, nothing
        if isinstance(held, ChangedList):
            base, added, removed = held.base, held.added, held.removed
        writer = Writer(self._board, self._next_changes)
        comes = await self._write_all(writer, union(added, change.added, removed, change.removed))
        goes = await self._write_all(writer, union(removed, change.removed, added, change.added))
        writer.end()
        self._counts, self._changes_digest = (comes, goes), writer.digest.digest()
        self._changes = changed_list(self._store, self._next_changes, base, change.to_number, self._counts)

    async def _write_all(self, writer: Writer, entries: Iterator[bytes]) -> int:
        count = 0
        for entry in entries:
            writer.write(entry)
            count += 1
            if count % _CHECKED_AT_ONCE == 0:
                await self._loop.pause()
        return count

    async def _write_list(self, changes: ChangedList) -> bytes:
        """Return the SHA-256 of the list that comes out, which is written where it is to be."""
        is_written = sum(self._counts) > self._changes_max or len(changes.base) <= IN_MEMORY_ENTRIES_MAX
        writer = Writer(self._board, self._next) if is_written else None
        digest = hashlib.sha256()
        for piece in changes.pieces():
            if writer is None:
                digest.update(piece)
            else:
                writer.write(piece)
            await self._loop.pause()
        if writer is None:
            return digest.digest()
        writer.end()
        self._rewritten = writer.digest.digest()
        return self._rewritten

    def put_into_force(self) -> MediumList:
        """Let what came out take the place of the list held, and return it."""
        changed, store, key = self._changes, self._store, self._membership.documents_key
        assert changed is not None
        if self._rewritten is None:
            trailer = encode_changes_trailer(
                key, store, self._name, self._kind, changed.number, self._counts, self._changes_digest
            )
            store.append(self._next_changes, trailer)
            store.rename(self._next_changes, self._name + CHANGES)
            return changed_list(store, self._name + CHANGES, changed.base, changed.number, self._counts)
        trailer = encode_trailer(key, self._kind, changed.number, changed.expires_s, self._rewritten)
        store.append(self._next, trailer)
        count = len(changed)
        store.rename(self._next, self._name)
        store.remove(self._next_changes)
        # They were of the list before, and count no more.
        store.remove(self._name + CHANGES)
        return kept_list(store, self._name, self._kind, changed.number, changed.expires_s, count)
