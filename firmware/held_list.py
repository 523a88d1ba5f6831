"""A list of media in force: kept, and brought up to the number that the service wants. Each kind is one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import forget
from protocol.errors import ListGapError

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.keys import Membership
    from firmware.list_fetching import ListFetcher
    from firmware.loop import Loop
    from protocol.medium_list import MediumList

_NEEDED_TO_LOAD = (
    "firmware.list_building",
    "firmware.list_changing",
    "firmware.list_fetching",
    "firmware.list_messages",
    "firmware.token_list",
)


class HeldList:
    """One list.

    Args:
        name: of its file, and of its path at the service: `deny-list` is `/v1/lists/deny/…`.
        kind: `protocol.medium_list.LIST_…`.

    Attributes:
        tokens: the list; None while there is none.
    """

    def __init__(self, board: Board, loop: Loop, membership: Membership, name: str, kind: int) -> None:
        self._board = board
        self._loop = loop
        self._membership = membership
        self._name = name
        self._kind = kind
        self.tokens: MediumList | None = None
        # A change did not lead on from the list held: it goes on deciding, and has no number.
        self._has_lost_the_thread = False

    def number(self) -> int:
        """Return its number; 0 without one."""
        return 0 if self.tokens is None or self._has_lost_the_thread else self.tokens.number

    async def load(self) -> None:
        """Read what is kept.

        Raises:
            ProtocolError: what is kept is no list.
        """
        from firmware.token_list import open_list  # noqa: PLC0415

        self.tokens = await open_list(self._board, self._loop, self._name, self._membership.documents_key)
        if self.tokens is None and self._board.store.size(self._name) is not None:
            self.tokens = await self._fetcher().kept_message()
        forget(*_NEEDED_TO_LOAD)

    async def fetch(self, number: int) -> None:
        """Bring it up to a number: by what has changed, or whole.

        Raises:
            HttpError, ProtocolError: it cannot be had; what was in force stays.
        """
        fetcher, held = self._fetcher(), self.tokens
        changed = None
        if held is not None and not self._has_lost_the_thread:
            try:
                changed = await fetcher.change(held, number)
            except ListGapError as error:
                self._board.log(self._name + ": " + str(error))
                self._has_lost_the_thread = True
        if changed is None:
            changed = await fetcher.whole(self.number(), number)
        self.tokens = changed
        self._has_lost_the_thread = False

    def _fetcher(self) -> ListFetcher:
        from firmware.list_fetching import ListFetcher  # noqa: PLC0415

        path = "/v1/lists/" + self._name[: -len("-list")] + "/"
        return ListFetcher(self._board, self._loop, self._membership, path, self._name, self._kind)
