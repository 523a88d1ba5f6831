"""The next list of media, made of the parts that the service sends.

Nothing of a list is ever in memory as a whole. A message is received into a file and verified where it lies; from there its
entries go into the file of the next list, a piece at a time; and that takes the place of the list held by one renaming.
Loaded when a list is to be fetched whole.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from firmware.list_messages import Frame, pieces, read_part, verify_file
from firmware.token_list import CHANGES, encode_trailer, kept_list
from protocol.cose import TYP_LIST
from protocol.errors import DocumentError
from protocol.limits import LIST_ENTRY_BYTES

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.keys import Membership
    from firmware.loop import Loop
    from protocol.medium_list import ListPart, MediumList


class ListBuilder:
    """The next list, as it grows in a file of its own.

    Attributes:
        part, parts: which message is expected next, of how many.
    """

    def __init__(self, board: Board, loop: Loop, membership: Membership, name: str, kind: int) -> None:
        self._store = board.store
        self._loop = loop
        self._membership = membership
        self._name = name
        self._next = name + ".next"
        self._kind = kind
        self._first: ListPart | None = None
        self._last_entry = b""
        self._count = 0
        self._digest = hashlib.sha256()
        self.part, self.parts = 1, 1
        self._store.write(self._next, b"")

    async def take_message(self, message: str) -> None:
        """Take the next part of a list out of a file that holds a signed message.

        Raises:
            ProtocolError: it is not signed by who may, not the part that comes next, or its entries are not in order.
        """
        frame = Frame(self._store, message, TYP_LIST)
        await verify_file(self._loop, self._membership, self._store, message, frame)
        part, entries_at = read_part(self._store, message, frame, self._kind)
        first, here = (self._first or part).medium_list, part.medium_list
        self.parts = (self._first or part).parts
        if (part.part, part.parts) != (self.part, self.parts):
            raise DocumentError("list: not the part that comes next")
        if (here.number, here.expires_s) != (first.number, first.expires_s):
            raise DocumentError("list: a part of another one")
        self._first = self._first or part
        for piece in pieces(self._store, message, entries_at, len(here) * LIST_ENTRY_BYTES):
            self._add(piece)
            await self._loop.pause()
        self.part += 1

    def is_whole(self) -> bool:
        return self.part > self.parts

    def number(self) -> int:
        """Return the number that the parts name."""
        assert self._first is not None
        return self._first.medium_list.number

    def _add(self, entries: bytes) -> None:
        for start in range(0, len(entries), LIST_ENTRY_BYTES):
            entry = entries[start : start + LIST_ENTRY_BYTES]
            if entry <= self._last_entry:
                raise DocumentError("entries are sorted, each once")
            self._last_entry = entry
        self._count += len(entries) // LIST_ENTRY_BYTES
        self._digest.update(entries)
        self._store.append(self._next, entries)

    def put_into_force(self) -> MediumList:
        """Let the list that was made take the place of the one held, and return it."""
        assert self._first is not None
        made, store = self._first.medium_list, self._store
        digest = self._digest.digest()
        store.append(
            self._next,
            encode_trailer(self._membership.documents_key, self._kind, made.number, made.expires_s, digest),
        )
        store.rename(self._next, self._name)
        # They were of the list before, and count no more.
        store.remove(self._name + CHANGES)
        return kept_list(store, self._name, self._kind, made.number, made.expires_s, self._count)
