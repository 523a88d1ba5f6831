"""Decides when the outbox sends and what an answer means, by the state table of `protocol.sync`, and by nothing else.

A batch goes out when enough taps wait, when the oldest has waited long enough, or when the service has not been heard for long.
Whatever has come about is an event; the table says what to do, and each action is a method of that name here, which may
bring about another event. An answer that is not signed changes nothing here but the time of the next try. What a device
does once in years, `firmware.leaving` adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.back_off import back_off_ms, between_half_and_all
from firmware.documents import Documents
from firmware.links.http import HttpError
from firmware.outbox import Outbox, Unanswered
from protocol import sync
from protocol.compat import const
from protocol.errors import ProtocolError, UnknownKid

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from firmware.boards.board import Board
    from firmware.journal import Journal
    from firmware.keys import Identity, Membership
    from firmware.loop import Loop
    from firmware.records import Records
    from firmware.rules import Rules
    from protocol.ack import Ack

_TAPS_WAITING_MAX = const(32)
_PAUSE_MS = const(1_000)
_HEARTBEAT_MS = const(900_000)
_RETRY_AFTER_S_MAX = const(3_600)
_HELP_MS = const(3_600_000)
_REFUSALS_MAX = const(3)


class Uploader(Outbox):
    """The outbox at work.

    Attributes:
        state: one of the device's states of `protocol.sync`.
        interval_ms: how long a tap may wait.
    """

    def __init__(
        self,
        board: Board,
        loop: Loop,
        identity: Identity,
        membership: Membership,
        journal: Journal,
        recorder: Records,
        rules: Rules,
        interval_ms: int,
    ) -> None:
        super().__init__(board, loop, identity, membership, journal, recorder)
        self.state = sync.IDLE
        self.interval_ms = interval_ms
        self._documents = Documents(board, loop, identity, membership, rules, self._time)
        self._ack: Ack | None = None
        self._heard_ms: int | None = None
        self._not_before_ms = 0
        self._failures = 0
        self._refusals = 0

    async def run(self) -> None:
        """Upload until the device is retired."""
        while self.state != sync.RETIRED:
            documents_ms = self._documents.due_ms()
            now_ms = self._loop.now_ms()
            if self._due_ms() <= now_ms:
                await self.happen(self.what_is_due())
            elif documents_ms is not None and documents_ms <= now_ms:
                await self._documents.fetch()
            else:
                self._journal.erase_ahead(self._is_kept)
                self._recorder.recorded.lower()
                moments = [self._due_ms()] if documents_ms is None else [self._due_ms(), documents_ms]
                await self._loop.port_ready(self._recorder.recorded, min(moments))

    async def happen(self, event: int | None) -> None:
        """Do what the table says on an event, and on those that it brings about, until the device is at rest."""
        while event is not None:
            self.state, action = sync.next_state(sync.DEVICE, self.state, event)
            event = await getattr(self, action)()

    def _due_ms(self) -> int:
        """Return when something is due, as things stand."""
        if self._heard_ms is None or self._waiting() >= _TAPS_WAITING_MAX:
            return self._not_before_ms
        return max(self._not_before_ms, self._heard_ms + (self.interval_ms if self._waiting() else _HEARTBEAT_MS))

    def what_is_due(self) -> int:
        """Return the event that something is due, by what the device knows."""
        now_s = self._time.now_s()
        if now_s is not None and not self._membership.is_valid_at(now_s):
            return sync.EXPIRED
        return sync.DOUBT if self._journal.is_unsure else sync.DUE

    # The actions of the table.

    async def send(self) -> int:
        return await self._tried(self._send_batch(asks=False))

    async def ask(self) -> int:
        return await self._tried(self._send_batch(asks=True))

    async def fetch_keys(self) -> int:
        self._ack = None
        return sync.KEYS_TAKEN if await self._documents.fetch_next_key_set() else sync.KEYS_MISSING

    async def go_on(self) -> None:
        self._failures = self._refusals = 0
        self._allow_more()
        self._recorder.record_free_rides()
        pause_ms = 1 if self._waiting() >= self._batch_records() else _PAUSE_MS
        self._rest(max(self._retry_after_ms(), pause_ms))

    async def go_back(self) -> None:
        await self.go_on()

    async def back_off(self) -> None:
        self._failures += 1
        self._rest(max(self._retry_after_ms(), self._back_off_ms(self._failures)))

    async def wait(self) -> None:
        if not self._retry_after_ms():
            await self.back_off()
        else:
            self._rest(self._retry_after_ms())

    async def shrink(self) -> None:
        self._allow_fewer()
        await self.back_off()

    async def call_for_help(self) -> None:
        self._failures += 1
        self._board.driver.write(b"service: must enrol\n" if self.state == sync.MUST_ENROL else b"service: upgrade\n")
        if self.state == sync.MUST_ENROL and self._board.store.size("rotated"):
            from firmware.rotating import say_again  # noqa: PLC0415

            say_again(self._board, self._membership)
        self._rest(between_half_and_all(self._board, _HELP_MS))

    # What they share.

    async def _tried(self, attempt: Coroutine[Any, Any, tuple[Ack, int]]) -> int:
        """Await an exchange and return what came of it."""
        first = self._next_sequence
        self._ack = None
        try:
            self._ack, count = await attempt
        except (HttpError, ProtocolError) as error:
            self._board.log("sync: " + str(error))
            return self._event_of(error)
        self._heard_ms = self._loop.now_ms()
        self._documents.wanted = self._ack.wanted
        event = self._counted(sync.event_of(self._ack.status, is_signed=True))
        if event in {sync.TAKEN, sync.BEHIND_US} and count and self._next_sequence == first:
            event = sync.NOT_TAKEN
        if event not in {sync.TAKEN, sync.BEHIND_US}:
            self._board.log("sync: nothing was taken, status " + str(self._ack.status))
        return event

    def _event_of(self, error: Exception) -> int:
        if isinstance(error, Unanswered):
            return self._counted(error.event)
        if isinstance(error, UnknownKid) and self._membership.key_set is not None:
            return sync.UNKNOWN_KEY
        return sync.NO_ANSWER

    def _counted(self, event: int) -> int:
        """Return the event, or that it has come again and again."""
        self._refusals = self._refusals + 1 if event == sync.REFUSED else self._refusals
        return sync.REFUSED_OFTEN if event == sync.REFUSED and self._refusals >= _REFUSALS_MAX else event

    def _rest(self, duration_ms: int) -> None:
        self._not_before_ms = self._loop.now_ms() + duration_ms

    def _retry_after_ms(self) -> int:
        """Return how long the last ack asks to wait; 0 without one."""
        seconds = 0 if self._ack is None else self._ack.retry_after_s or 0
        return min(seconds, _RETRY_AFTER_S_MAX) * 1000

    def _back_off_ms(self, failures: int) -> int:
        return back_off_ms(self._board, failures)
