"""Brings a list of media up to the number that is wanted: what has changed, or the whole in parts. Loaded when it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.links.http import fetch
from firmware.list_building import ListBuilder
from firmware.list_changing import ListChanger
from firmware.outbox import TIMEOUT_MS
from protocol.errors import DocumentError, RemoteProtocolError

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.keys import Membership
    from firmware.loop import Loop
    from protocol.medium_list import MediumList


class ListFetcher:
    """Fetches one list.

    Args:
        path: of the list's numbers, with a slash at its end.
        name: of the file that it is kept in.
        kind: `protocol.medium_list.LIST_…`.
    """

    def __init__(self, board: Board, loop: Loop, membership: Membership, path: str, name: str, kind: int) -> None:
        self._board = board
        self._loop = loop
        self._membership = membership
        self._path = path
        self._name = name
        self._kind = kind
        self._message = name + ".message"

    async def change(self, held: MediumList, number: int) -> MediumList | None:
        """Return the list of that number, made of the one held; None where the service has no change from that one.

        Raises:
            ListGapError: the change does not lead on from the list held.
            HttpError, ProtocolError: it cannot be had.
        """
        if not await self._receive(self._path + str(number) + "/from/" + str(held.number)):
            return None
        changer = ListChanger(self._board, self._loop, self._membership, self._name, self._kind)
        if await changer.take(held, self._message) < number:
            raise DocumentError("list delta: to an older list than is wanted")
        return self._in_force(changer)

    async def whole(self, held_number: int, number: int) -> MediumList:
        """Return the list of that number, fetched whole.

        Raises:
            HttpError, ProtocolError: it cannot be had.
        """
        builder = self._builder()
        while not builder.is_whole():
            path = self._path + str(number) + ("/" + str(builder.part) if builder.part > 1 else "")
            if not await self._receive(path):
                raise RemoteProtocolError("it is not there: " + path)
            await builder.take_message(self._message)
            if builder.number() <= held_number:
                raise DocumentError("number " + str(builder.number()) + " is not newer than what is in force")
        return self._in_force(builder)

    async def kept_message(self) -> MediumList:
        """Return the list that an older firmware has kept as it was sent.

        Raises:
            ProtocolError: there is none.
        """
        builder = self._builder()
        await builder.take_message(self._name)
        if not builder.is_whole():
            raise DocumentError("list: only a part of one")
        return self._in_force(builder)

    def _builder(self) -> ListBuilder:
        return ListBuilder(self._board, self._loop, self._membership, self._name, self._kind)

    async def _receive(self, path: str) -> bool:
        """Receive a message into its file; return whether there is one."""
        store = self._board.store
        store.write(self._message, b"")
        status, _ = await fetch(
            self._board, self._loop, "GET", path, [], TIMEOUT_MS, lambda data: store.append(self._message, data)
        )
        return status == 200

    def _in_force(self, made: ListBuilder | ListChanger) -> MediumList:
        # Without a pause: nobody may look up the list before in the files of the one after.
        medium_list = made.put_into_force()
        self._board.store.remove(self._message)
        return medium_list
