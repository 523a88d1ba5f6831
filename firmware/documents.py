"""Fetches what the last ack asked for: key sets first, then what decides, then secret keys.

It has a back-off of its own: a document that is broken must not hold up the taps, nor the other documents.
"""

from __future__ import annotations

from binascii import hexlify
from typing import TYPE_CHECKING

from firmware.back_off import back_off_ms
from firmware.links.http import HttpError, fetch
from firmware.outbox import TIMEOUT_MS
from protocol.ack import (
    WANTED_CA_KEYS,
    WANTED_FARE_TABLE,
    WANTED_KEY_BUNDLE,
    WANTED_KEY_SET,
    WANTED_NEXT_FARE_TABLE,
)
from protocol.compat import forget
from protocol.errors import ProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from firmware.boards.board import Board
    from firmware.clock import ServiceTime
    from firmware.keys import Identity, Membership
    from firmware.loop import Loop
    from firmware.rules import Rules

_NEEDED_SELDOM = (
    "firmware.authority_building",
    "firmware.key_sets",
    "firmware.list_building",
    "firmware.list_changing",
    "firmware.list_fetching",
    "firmware.list_messages",
    "firmware.renewal",
    "protocol.card_authorities",
    "protocol.cose_sign",
    "protocol.key_bundle",
    "protocol.keyset",
)


class Documents:
    """What is still to be fetched.

    Attributes:
        wanted: numbers that the service wants here, by `protocol.ack.WANTED_…`; None before the first ack.
    """

    def __init__(
        self,
        board: Board,
        loop: Loop,
        identity: Identity,
        membership: Membership,
        rules: Rules,
        time: ServiceTime,
    ) -> None:
        self._board = board
        self._loop = loop
        self._identity = identity
        self._membership = membership
        self._rules = rules
        self._time = time
        self.wanted: dict[int, int] | None = None
        self._failures = 0
        self._due_ms = 0

    def due_ms(self) -> int | None:
        """Return when there is something to fetch, or None."""
        is_wanted = self._key_set_wanted() or self._bundle_wanted() or self._rules.missing(self.wanted)
        return self._due_ms if is_wanted else None

    async def fetch(self) -> None:
        """Fetch what is missing; what fails is tried again later."""
        failed = not await self._fetch_key_sets()
        missing = self._rules.missing(self.wanted)
        for kind in sorted(missing):
            failed = not await self._fetch_one(kind, missing[kind]) or failed
        failed = not await self._fetch_bundle() or failed
        forget(*_NEEDED_SELDOM)
        self._failures = self._failures + 1 if failed else 0
        self._due_ms = self._loop.now_ms() + (back_off_ms(self._board, self._failures) if failed else 0)

    async def _fetch_one(self, kind: int, number: int) -> bool:
        if kind in {WANTED_FARE_TABLE, WANTED_NEXT_FARE_TABLE}:
            return await self._has_taken("/v1/fare-tables/" + str(number), self._rules.accept_fare_table)
        if kind == WANTED_CA_KEYS:
            return await self._has_taken("/v1/card-authorities/" + str(number), self._rules.accept_card_authorities)
        try:
            await self._rules.fetch_list(kind, number)
        except (HttpError, ProtocolError) as error:
            self._board.log("list " + str(number) + ": " + str(error))
            return False
        return True

    # Keys.

    def _bundle_wanted(self) -> int:
        """Return the number of the secret keys that are wanted and not held; 0 for none."""
        number = (self.wanted or {}).get(WANTED_KEY_BUNDLE, 0)
        return number if number > self._membership.bundle_number() else 0

    async def _fetch_bundle(self) -> bool:
        number = self._bundle_wanted()
        if not number:
            return True
        from firmware.renewal import take_bundle  # noqa: PLC0415

        path = "/v1/key-bundles/" + hexlify(self._identity.device).decode() + "/" + str(number)
        return await self._has_taken(
            path, lambda message: take_bundle(self._board, self._loop, self._identity, self._membership, message)
        )

    def _key_set_wanted(self) -> int:
        """Return the number of the key set that is wanted and not held; 0 for none."""
        held = self._membership.key_set
        number = (self.wanted or {}).get(WANTED_KEY_SET, 0)
        return 0 if held is None or number <= held.number else number

    async def _fetch_key_sets(self) -> bool:
        """Fetch the key sets up to the one wanted, one after another; return whether that one is held now."""
        while self._key_set_wanted():
            if not await self.fetch_next_key_set():
                return False
        return True

    async def fetch_next_key_set(self) -> bool:
        """Fetch the key set after the one held, and let it count; return whether there was one."""
        from firmware.key_sets import take_next  # noqa: PLC0415

        held = self._membership.key_set
        if held is None:
            return False
        number = held.number + 1
        # One on the way to a newer one may have expired meanwhile.
        is_last = number >= (self.wanted or {}).get(WANTED_KEY_SET, 0)
        now_s = self._time.now_s() if is_last else None
        return await self._has_taken(
            "/v1/key-sets/" + str(number) + "?city=" + self._membership.enrolled.audience,
            lambda message: take_next(self._board, self._loop, self._membership, message, now_s),
        )

    async def _has_taken(self, path: str, take: Callable[[bytes], Coroutine[Any, Any, None]]) -> bool:
        """Fetch a document and take it; return whether that went well, and say what did not."""
        try:
            status, answer = await fetch(self._board, self._loop, "GET", path, [], TIMEOUT_MS)
            if status != 200:
                raise RemoteProtocolError("it is not there: HTTP " + str(status))
            await take(answer)
        except (HttpError, ProtocolError) as error:
            self._board.log("document " + path + ": " + str(error))
            return False
        return True
