"""The signed documents that decide: fare tables, lists of media, and the authorities of bank cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.card_authorities import open_authorities
from firmware.fare_tables import FareTables
from firmware.held_list import HeldList
from firmware.signing import verify_by
from protocol.ack import (
    WANTED_ALLOW_LIST,
    WANTED_CA_KEYS,
    WANTED_DENY_LIST,
    WANTED_FARE_TABLE,
    WANTED_NEXT_FARE_TABLE,
    WANTED_TOP_UPS,
)
from protocol.cose import TYP_CARD_AUTHORITIES
from protocol.errors import ProtocolError
from protocol.keyset import ROLE_LIST
from protocol.medium_list import LIST_ALLOW, LIST_DENY, LIST_TOP_UP

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.card_authorities import StoredAuthorities
    from firmware.keys import Membership
    from firmware.loop import Loop
    from firmware.records import Records
    from protocol.fare_table import FareTable
    from protocol.medium_list import MediumList

_DENY_LIST = "deny-list"
_ALLOW_LIST = "allow-list"
_TOP_UP_LIST = "top-up-list"


class Rules:
    """What is in force.

    Attributes:
        card_authorities: None while the device has none.
    """

    def __init__(self, board: Board, loop: Loop, membership: Membership, recorder: Records) -> None:
        self._board = board
        self._loop = loop
        self._membership = membership
        self._recorder = recorder
        self._fare_tables = FareTables(board, loop, membership)
        self._lists = {
            WANTED_DENY_LIST: HeldList(board, loop, membership, _DENY_LIST, LIST_DENY),
            WANTED_ALLOW_LIST: HeldList(board, loop, membership, _ALLOW_LIST, LIST_ALLOW),
            WANTED_TOP_UPS: HeldList(board, loop, membership, _TOP_UP_LIST, LIST_TOP_UP),
        }
        self.card_authorities: StoredAuthorities | None = None

    @property
    def fare_table(self) -> FareTable | None:
        """The one in force; None while the device has none."""
        number = self._recorder.versions[0]
        table = self._fare_tables.current()
        if table is not None and table.number != number:
            self._note_versions()
        return table

    @property
    def deny_list(self) -> MediumList | None:
        return self._lists[WANTED_DENY_LIST].tokens

    @property
    def allow_list(self) -> MediumList | None:
        return self._lists[WANTED_ALLOW_LIST].tokens

    @property
    def top_up_list(self) -> MediumList | None:
        return self._lists[WANTED_TOP_UPS].tokens

    async def load(self) -> None:
        """Read what the device has kept."""
        loaders = {
            "fare-table": self._fare_tables.load,
            _DENY_LIST: self._lists[WANTED_DENY_LIST].load,
            _ALLOW_LIST: self._lists[WANTED_ALLOW_LIST].load,
            _TOP_UP_LIST: self._lists[WANTED_TOP_UPS].load,
        }
        for name in sorted(loaders):
            try:
                await loaders[name]()
            except ProtocolError as error:
                self._board.log(name + ": " + str(error))
        await self._load_card_authorities()
        self._note_versions()

    def missing(self, wanted: dict[int, int] | None) -> dict[int, int]:
        """Return the numbers of the documents that the service wants here and that are not, by kind."""
        have = {
            WANTED_FARE_TABLE: self._fare_tables.number(),
            WANTED_DENY_LIST: self._lists[WANTED_DENY_LIST].number(),
            WANTED_ALLOW_LIST: self._lists[WANTED_ALLOW_LIST].number(),
            WANTED_TOP_UPS: self._lists[WANTED_TOP_UPS].number(),
            WANTED_CA_KEYS: 0 if self.card_authorities is None else self.card_authorities.number,
            WANTED_NEXT_FARE_TABLE: self._fare_tables.next_number(),
        }
        return {kind: (wanted or {})[kind] for kind in have if (wanted or {}).get(kind, 0) > have[kind]}

    async def accept_fare_table(self, message: bytes) -> None:
        """Put a fare table into force, now or in its first second, and keep it.

        Raises:
            ProtocolError: it is not signed by who may, not well-formed, or not newer than what is in force.
        """
        await self._fare_tables.accept(message)
        self._note_versions()

    async def fetch_list(self, kind: int, number: int) -> None:
        """Bring a list (`protocol.ack.WANTED_…`) up to a number.

        Raises:
            HttpError, ProtocolError: it cannot be had; what was in force stays.
        """
        try:
            await self._lists[kind].fetch(number)
        finally:
            self._note_versions()

    async def accept_card_authorities(self, message: bytes) -> None:
        """Put a list of card authorities into force and keep it.

        Raises:
            ProtocolError: it is not signed by who may, not well-formed, or not newer than what is in force.
        """
        from firmware.authority_building import keep  # noqa: PLC0415

        payload = await verify_by(self._loop, self._membership, message, TYP_CARD_AUTHORITIES, ROLE_LIST)
        number = 0 if self.card_authorities is None else self.card_authorities.number
        keep(self._board.store, self._membership.documents_key, payload, number)
        await self._load_card_authorities()

    async def _load_card_authorities(self) -> None:
        self.card_authorities = await open_authorities(self._board, self._loop, self._membership.documents_key)

    def _note_versions(self) -> None:
        self._recorder.versions = (self._fare_tables.number(), self._lists[WANTED_DENY_LIST].number())
