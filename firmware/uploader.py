"""Sends the journal to the clearing service and frees what is acknowledged: never more than a verified ack allows.

A batch goes out when enough taps wait, when the oldest has waited long enough, or when the service has not been heard for long.
Whatever goes wrong on the way, the answer is the same: back off, longer each time and never in step with other buses, and send
again; the service knows what it has. An answer that is not signed changes nothing here but the time of the next try.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.links.http import HttpError, fetch
from firmware.signing import sign, verify
from protocol.ack import decode_ack, decode_error
from protocol.batch import Batch, encode_batch
from protocol.compat import const
from protocol.cose import TYP_ACK, TYP_BATCH
from protocol.errors import ProtocolError, RemoteProtocolError
from protocol.tap import CLOCK_SYNCHRONISED, CLOCK_UNKNOWN

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.journal import Journal
    from firmware.keys import Identity, Membership
    from firmware.loop import Loop
    from firmware.recorder import Recorder
    from firmware.rules import Rules
    from protocol.ack import Ack

FIRMWARE_BUNDLE = const(1)
_RECORDS_MAX = const(48)
_BATCH_BYTES_MAX = const(6000)
_TAPS_WAITING_MAX = const(32)
_CHECK_MS = const(30_000)
_HEARTBEAT_MS = const(900_000)
_TIMEOUT_MS = const(20_000)
_BACK_OFF_MS = const(10_000)
_BACK_OFF_MS_MAX = const(600_000)
_CLOCK_STEP_S = const(5)
_ROUND_TRIP_MS_MAX = const(10_000)


class Uploader:
    """The one outbox.

    Attributes:
        interval_ms: how long a tap may wait.
    """

    def __init__(
        self,
        board: Board,
        loop: Loop,
        identity: Identity,
        membership: Membership,
        journal: Journal,
        recorder: Recorder,
        rules: Rules,
        interval_ms: int,
    ) -> None:
        self._board = board
        self._loop = loop
        self._identity = identity
        self._signer = identity.signer()
        self._membership = membership
        self._journal = journal
        self._recorder = recorder
        self._rules = rules
        self.interval_ms = interval_ms
        self._next_sequence = journal.acked + 1
        self._records_max = _RECORDS_MAX
        self._heard_ms: int | None = None
        self._failures = 0

    async def run(self) -> None:
        """Upload for ever."""
        while True:
            if self._is_due():
                await self._loop.sleep_ms(await self._sync_and_say_when())
            else:
                self._journal.erase_ahead()
                await self._loop.sleep_ms(_CHECK_MS)

    def _waiting(self) -> int:
        return self._journal.next_sequence - self._next_sequence

    def _is_due(self) -> bool:
        if self._heard_ms is None or self._waiting() >= _TAPS_WAITING_MAX:
            return True
        silent_ms = self._loop.now_ms() - self._heard_ms
        return silent_ms >= (self.interval_ms if self._waiting() else _HEARTBEAT_MS)

    async def _sync_and_say_when(self) -> int:
        """Send one batch and return how long to wait before the next look, in milliseconds."""
        try:
            ack = await self.sync()
        except (HttpError, ProtocolError) as error:
            self._failures += 1
            self._board.log("sync: " + str(error))
            return self._back_off_ms()
        self._failures = 0
        self._recorder.record_free_rides()
        if ack.retry_after_s:
            return ack.retry_after_s * 1000
        return 1 if self._waiting() >= self._records_max else _CHECK_MS

    def _back_off_ms(self) -> int:
        longest = min(_BACK_OFF_MS << min(self._failures - 1, 10), _BACK_OFF_MS_MAX)
        jitter = int.from_bytes(self._board.random_bytes(2), "big")
        return longest // 2 + longest * jitter // 0x20000

    async def sync(self) -> Ack:
        """Send one batch, take its ack, and fetch what the ack asks for.

        Raises:
            HttpError: the service cannot be reached.
            ProtocolError: what came back is no ack for this batch.
        """
        nonce = self._board.random_bytes(8)
        sent_ms = self._loop.now_ms()
        message = await self._batch(nonce)
        status, answer = await fetch(self._board, self._loop, "POST", "/v1/batches", message, _TIMEOUT_MS)
        ack = await self._ack_in(status, answer, nonce)
        self._take_ack(ack)
        self._heard_ms = self._loop.now_ms()
        self._take_time(ack, self._heard_ms - sent_ms)
        for kind, path in self._rules.missing(ack.wanted):
            status, answer = await fetch(self._board, self._loop, "GET", path, b"", _TIMEOUT_MS)
            if status != 200:
                raise RemoteProtocolError("a wanted document is not there: HTTP " + str(status))
            await self._rules.accept(kind, answer)
        return ack

    async def _batch(self, nonce: bytes) -> bytes:
        journal = self._journal
        first = self._next_sequence
        before, records, after, _ = journal.records_from(first, self._records_max, _BATCH_BYTES_MAX)
        unix_s, quality = self._board.clock()
        batch = Batch(
            device=self._identity.device,
            epoch=self._membership.enrolled.epoch,
            first_sequence=first,
            records=records,
            head_before=before,
            head_after=after,
            nonce=nonce,
            device_time_s=unix_s,
            clock_quality=quality,
            firmware=FIRMWARE_BUNDLE,
            flash=(journal.free_slots, journal.oldest_sequence, journal.torn, self._recorder.boot),
        )
        audience = self._membership.enrolled.audience
        return await sign(self._loop, self._signer, encode_batch(batch), TYP_BATCH, audience)

    async def _ack_in(self, status: int, answer: bytes, nonce: bytes) -> Ack:
        if status != 200:
            raise RemoteProtocolError("the service says " + _unsigned_reason(status, answer))
        membership = self._membership
        payload = await verify(
            self._loop, membership.verifier, answer, TYP_ACK, membership.enrolled.audience, membership.ack_kid
        )
        ack = decode_ack(payload)
        if ack.nonce != nonce or ack.device != self._identity.device or ack.epoch != membership.enrolled.epoch:
            raise RemoteProtocolError("an ack for another batch")
        return ack

    def _take_ack(self, ack: Ack) -> None:
        """Free what the service has, if its chain is ours; go back where it has less than we thought."""
        head = self._journal.head_at(ack.sequence)
        if head is None or head != ack.head:
            raise RemoteProtocolError("the service's chain is not ours at sequence " + str(ack.sequence))
        self._journal.acknowledge(ack.sequence)
        self._next_sequence = ack.sequence + 1
        if ack.records_max:
            self._records_max = min(ack.records_max, _RECORDS_MAX)

    def _take_time(self, ack: Ack, round_trip_ms: int) -> None:
        if round_trip_ms > _ROUND_TRIP_MS_MAX:
            return
        unix_s, quality = self._board.clock()
        self._board.set_clock(ack.server_time_s * 1000 + ack.server_time_ms, CLOCK_SYNCHRONISED)
        step_s = ack.server_time_s - unix_s
        if quality != CLOCK_UNKNOWN and abs(step_s) > _CLOCK_STEP_S:
            self._recorder.clock_stepped(step_s)


def _unsigned_reason(status: int, answer: bytes) -> str:
    try:
        return "status " + str(decode_error(answer).status)
    except ProtocolError:
        return "HTTP " + str(status)
