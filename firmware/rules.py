"""The signed documents that decide: fare table and deny list.

What was verified once is kept with an HMAC by a key of the device, and believed by that after a start: the key that signed it may
not be in the key set any more, while it is still in force. A file without one, of an older firmware, is verified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.signing import verify_by
from protocol import cose
from protocol.ack import WANTED_DENY_LIST, WANTED_FARE_TABLE
from protocol.compat import const, constant_time_equal, forget, hmac_sha256
from protocol.cose import TYP_FARE_TABLE
from protocol.errors import DocumentError, ListGapError, ProtocolError
from protocol.fare_table import decode_fare_table
from protocol.keyset import ROLE_FARE_TABLE
from protocol.medium_list import LIST_DENY

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.keys import Membership
    from firmware.list_fetching import ListFetcher
    from firmware.loop import Loop
    from firmware.recorder import Recorder
    from protocol.fare_table import FareTable
    from protocol.medium_list import MediumList

_FARE_TABLE = "fare-table"
_DENY_LIST = "deny-list"
_HMAC_BYTES = const(32)
_NEEDED_TO_LOAD = ("firmware.list_building", "firmware.list_fetching", "firmware.token_list")


class Rules:
    """What is in force.

    Attributes:
        fare_table, deny_list: None while the device has none.
    """

    def __init__(self, board: Board, loop: Loop, membership: Membership, recorder: Recorder) -> None:
        self._board = board
        self._loop = loop
        self._membership = membership
        self._recorder = recorder
        self.fare_table: FareTable | None = None
        self.deny_list: MediumList | None = None
        # A change did not lead on from the list held: it goes on denying, and has no number.
        self._has_lost_the_thread = False

    async def load(self) -> None:
        """Read what the device has kept."""
        for name, load in ((_FARE_TABLE, self._load_fare_table), (_DENY_LIST, self._load_deny_list)):
            try:
                await load()
            except ProtocolError as error:
                self._board.log(name + ": " + str(error))
        self._note_versions()

    async def _load_fare_table(self) -> None:
        kept = self._board.store.read(_FARE_TABLE)
        if kept is None:
            return
        message = kept[:-_HMAC_BYTES]
        if constant_time_equal(kept[-_HMAC_BYTES:], self._hmac(message)):
            self.fare_table = decode_fare_table(cose.parse(message).payload)
        else:
            await self.accept_fare_table(kept)

    async def _load_deny_list(self) -> None:
        from firmware.token_list import open_list  # noqa: PLC0415

        key = self._membership.documents_key
        self.deny_list = await open_list(self._board, self._loop, _DENY_LIST, key)
        if self.deny_list is None and self._board.store.size(_DENY_LIST) is not None:
            self.deny_list = await self._fetcher().kept_message()
        forget(*_NEEDED_TO_LOAD)

    def _hmac(self, message: bytes) -> bytes:
        return hmac_sha256(self._membership.documents_key, message)

    def missing(self, wanted: dict[int, int] | None) -> dict[int, int]:
        """Return the numbers of the documents that the service wants here and that are not, by kind."""
        have = {WANTED_FARE_TABLE: _number_of(self.fare_table), WANTED_DENY_LIST: self._deny_list_number()}
        return {kind: (wanted or {})[kind] for kind in have if (wanted or {}).get(kind, 0) > have[kind]}

    async def accept_fare_table(self, message: bytes) -> None:
        """Put a fare table into force and keep it.

        Raises:
            ProtocolError: it is not signed by who may, not well-formed, or not newer than what is in force.
        """
        table = decode_fare_table(
            await verify_by(self._loop, self._membership, message, TYP_FARE_TABLE, ROLE_FARE_TABLE)
        )
        if table.number <= _number_of(self.fare_table):
            raise DocumentError("number " + str(table.number) + " is not newer than what is in force")
        self._board.store.write(_FARE_TABLE, message + self._hmac(message))
        self.fare_table = table
        self._note_versions()

    async def fetch_deny_list(self, number: int) -> None:
        """Bring the deny list up to a number: by what has changed, or whole.

        Raises:
            HttpError, ProtocolError: it cannot be had; what was in force stays.
        """
        fetcher, held = self._fetcher(), self.deny_list
        changed = None
        if held is not None and not self._has_lost_the_thread:
            try:
                changed = await fetcher.change(held, number)
            except ListGapError as error:
                self._board.log("deny list: " + str(error))
                self._has_lost_the_thread = True
                self._note_versions()
        if changed is None:
            changed = await fetcher.whole(self._deny_list_number(), number)
        self.deny_list = changed
        self._has_lost_the_thread = False
        self._note_versions()

    def _fetcher(self) -> ListFetcher:
        from firmware.list_fetching import ListFetcher  # noqa: PLC0415

        return ListFetcher(self._board, self._loop, self._membership, "/v1/lists/deny/", _DENY_LIST, LIST_DENY)

    def _deny_list_number(self) -> int:
        return 0 if self._has_lost_the_thread else _number_of(self.deny_list)

    def _note_versions(self) -> None:
        self._recorder.versions = (_number_of(self.fare_table), self._deny_list_number())


def _number_of(document: FareTable | MediumList | None) -> int:
    return 0 if document is None else document.number
