"""The signed documents that decide: fare table and deny list, kept as they came and checked each time they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.signing import verify
from protocol.ack import WANTED_DENY_LIST, WANTED_FARE_TABLE
from protocol.cose import TYP_FARE_TABLE, TYP_LIST
from protocol.errors import DocumentError, ProtocolError
from protocol.fare_table import decode_fare_table
from protocol.medium_list import decode_list

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.keys import Membership
    from firmware.loop import Loop
    from firmware.recorder import Recorder
    from protocol.fare_table import FareTable
    from protocol.medium_list import MediumList

_FILES = {WANTED_FARE_TABLE: "fare-table", WANTED_DENY_LIST: "deny-list"}
_PATHS = {WANTED_FARE_TABLE: "/v1/fare-tables/", WANTED_DENY_LIST: "/v1/lists/deny/"}


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

    async def load(self) -> None:
        """Read what the device has kept."""
        for kind, name in _FILES.items():
            message = self._board.store.read(name)
            if message is not None:
                try:
                    await self._take(kind, message)
                except ProtocolError as error:
                    self._board.log(name + ": " + str(error))

    def missing(self, wanted: dict[int, int] | None) -> list[tuple[int, str]]:
        """Return kind and path of the documents that the service wants here and that are not."""
        have = {
            WANTED_FARE_TABLE: 0 if self.fare_table is None else self.fare_table.number,
            WANTED_DENY_LIST: 0 if self.deny_list is None else self.deny_list.number,
        }
        wanted = wanted or {}
        return [(kind, _PATHS[kind] + str(wanted[kind])) for kind in sorted(have) if wanted.get(kind, 0) > have[kind]]

    async def accept(self, kind: int, message: bytes) -> None:
        """Put a document into force and keep it.

        Raises:
            ProtocolError: it is not signed by the service, not well-formed, or not newer than what is in force.
        """
        await self._take(kind, message)
        self._board.store.write(_FILES[kind], message)

    async def _take(self, kind: int, message: bytes) -> None:
        membership = self._membership
        typ = TYP_FARE_TABLE if kind == WANTED_FARE_TABLE else TYP_LIST
        payload = await verify(
            self._loop, membership.verifier, message, typ, membership.enrolled.audience, membership.document_kid
        )
        if kind == WANTED_FARE_TABLE:
            table = decode_fare_table(payload)
            _require_newer(table.number, self.fare_table)
            self.fare_table = table
        else:
            deny_list = decode_list(payload)
            _require_newer(deny_list.number, self.deny_list)
            self.deny_list = deny_list
        self._recorder.versions = (
            0 if self.fare_table is None else self.fare_table.number,
            0 if self.deny_list is None else self.deny_list.number,
        )


def _require_newer(number: int, in_force: FareTable | MediumList | None) -> None:
    if in_force is not None and number <= in_force.number:
        raise DocumentError("number " + str(number) + " is not newer than what is in force")
