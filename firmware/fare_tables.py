"""The fare table in force, and the one that comes next: a new tariff is on every bus before its first minute.

What was verified once is kept with an HMAC by a key of the device, and believed by that after a start: the key that signed it may
not be in the key set any more, while it is still in force. A file without one, of an older firmware, is verified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from firmware.signing import verify_by
from protocol import cose
from protocol.compat import const, constant_time_equal, hmac_sha256
from protocol.cose import TYP_FARE_TABLE
from protocol.errors import DocumentError
from protocol.fare_table import decode_fare_table
from protocol.keyset import ROLE_FARE_TABLE
from protocol.tap import CLOCK_UNKNOWN

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.keys import Membership
    from firmware.loop import Loop
    from protocol.fare_table import FareTable

_FILE = "fare-table"
_NEXT_FILE = "fare-table.next"
_HMAC_BYTES = const(32)


class FareTables:
    """What is sold, now and next."""

    def __init__(self, board: Board, loop: Loop, membership: Membership) -> None:
        self._board = board
        self._loop = loop
        self._membership = membership
        self._current: FareTable | None = None
        self._next: FareTable | None = None

    def current(self) -> FareTable | None:
        """Return the table in force; the next one takes its place in its first second, if the clock is known."""
        if self._next is not None:
            now_s, quality = read_clock(self._board)
            if quality != CLOCK_UNKNOWN and self._next.valid_from_s <= now_s:
                self._current, self._next = self._next, None
                self._board.store.rename(_NEXT_FILE, _FILE)
        return self._current

    def number(self) -> int:
        """Return the number of the table in force; 0 without one."""
        current = self.current()
        return 0 if current is None else current.number

    def next_number(self) -> int:
        """Return the number of the next table; once it has come into force, that one's."""
        return self.number() if self._next is None else self._next.number

    async def load(self) -> None:
        """Read what is kept.

        Raises:
            ProtocolError: it is no fare table, or nobody vouches for it.
        """
        self._next = await self._read(_NEXT_FILE)
        self._current = await self._read(_FILE)

    async def _read(self, name: str) -> FareTable | None:
        kept = self._board.store.read(name)
        if kept is None:
            return None
        message = kept[:-_HMAC_BYTES]
        if constant_time_equal(kept[-_HMAC_BYTES:], self._hmac(message)):
            return decode_fare_table(cose.parse(message).payload)
        table = await self._verified(kept)
        self._board.store.write(name, kept + self._hmac(kept))
        return table

    async def accept(self, message: bytes) -> None:
        """Put a fare table into force, now or later, and keep it.

        Raises:
            ProtocolError: it is not signed by who may, not well-formed, or not newer than what is in force.
        """
        table = await self._verified(message)
        current = self.current()
        if current is not None and (table.valid_from_s, table.number) <= (current.valid_from_s, current.number):
            raise DocumentError("number " + str(table.number) + " is not newer than what is in force")
        now_s, quality = read_clock(self._board)
        is_next = quality != CLOCK_UNKNOWN and table.valid_from_s > now_s
        self._board.store.write(_NEXT_FILE if is_next else _FILE, message + self._hmac(message))
        if is_next:
            self._next = table
        else:
            self._current = table

    async def _verified(self, message: bytes) -> FareTable:
        return decode_fare_table(
            await verify_by(self._loop, self._membership, message, TYP_FARE_TABLE, ROLE_FARE_TABLE)
        )

    def _hmac(self, message: bytes) -> bytes:
        return hmac_sha256(self._membership.documents_key, message)
