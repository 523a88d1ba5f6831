"""Sends the journal to the clearing service and frees what is acknowledged: never more than a verified ack allows.

A batch goes out when enough taps wait, when the oldest has waited long enough, or when the service has not been heard for long.
Whatever goes wrong on the way, the answer is the same: back off, longer each time and never in step with other buses, and send
again; the service knows what it has. An answer that is not signed changes nothing here but the time of the next try. Documents
have a back-off of their own: one that is broken must not hold up the taps.

Where the journal has lost something it cannot know whether the service had it before, and a guess would look like a fork. Then
it first asks, by a batch without records that begins beyond its end, how far the service's chain goes and what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.links.http import HttpError, fetch
from firmware.signing import sign, verify
from protocol.ack import decode_ack, decode_error
from protocol.batch import Batch, encode_batch_parts
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
_PAUSE_MS = const(1_000)
_HEARTBEAT_MS = const(900_000)
_TIMEOUT_MS = const(20_000)
_BACK_OFF_MS = const(10_000)
_BACK_OFF_MS_MAX = const(600_000)
_RETRY_AFTER_S_MAX = const(3_600)
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
        self._wanted: dict[int, int] | None = None
        self._document_failures = 0
        self._documents_due_ms = 0

    async def run(self) -> None:
        """Upload for ever."""
        while True:
            now_ms = self._loop.now_ms()
            if self._due_ms() <= now_ms:
                await self._loop.sleep_ms(await self._sync_and_say_when())
            elif self._next_look_ms() <= now_ms:
                await self._fetch_documents()
            else:
                self._journal.erase_ahead()
                self._recorder.recorded.lower()
                await self._loop.port_ready(self._recorder.recorded, self._next_look_ms())

    def _waiting(self) -> int:
        return self._journal.next_sequence - self._next_sequence

    def _due_ms(self) -> int:
        """Return when the next batch is due, as things stand."""
        if self._heard_ms is None or self._waiting() >= _TAPS_WAITING_MAX:
            return self._loop.now_ms()
        return self._heard_ms + (self.interval_ms if self._waiting() else _HEARTBEAT_MS)

    def _next_look_ms(self) -> int:
        """Return when there is something to do, if no tap is added."""
        return min(self._due_ms(), self._documents_due_ms) if self._rules.missing(self._wanted) else self._due_ms()

    async def _sync_and_say_when(self) -> int:
        """Send one batch and return how long to wait before the next look, in milliseconds."""
        first = self._next_sequence
        try:
            ack, count = await self.sync()
        except (HttpError, ProtocolError) as error:
            self._failures += 1
            self._board.log("sync: " + str(error))
            return self._back_off_ms(self._failures)
        retry_after_ms = min(ack.retry_after_s or 0, _RETRY_AFTER_S_MAX) * 1000
        if count and self._next_sequence == first:
            self._failures += 1
            self._board.log("sync: nothing was taken, status " + str(ack.status))
            return max(retry_after_ms, self._back_off_ms(self._failures))
        self._failures = 0
        self._recorder.record_free_rides()
        if retry_after_ms:
            return retry_after_ms
        if self._waiting() >= self._records_max:
            return 1
        if self._documents_due_ms <= self._loop.now_ms():
            await self._fetch_documents()
        return _PAUSE_MS

    def _back_off_ms(self, failures: int) -> int:
        longest = min(_BACK_OFF_MS << min(failures - 1, 10), _BACK_OFF_MS_MAX)
        jitter = int.from_bytes(self._board.random_bytes(2), "big")
        return longest // 2 + longest * jitter // 0x20000

    async def sync(self) -> tuple[Ack, int]:
        """Send one batch, take its ack, and return it and how many records were sent.

        Raises:
            HttpError: the service cannot be reached.
            ProtocolError: what came back is no ack for this batch.
        """
        nonce = self._board.random_bytes(8)
        sent_ms = self._loop.now_ms()
        message, count = await self._batch(nonce)
        status, answer = await fetch(self._board, self._loop, "POST", "/v1/batches", message, _TIMEOUT_MS)
        ack = await self._ack_in(status, answer, nonce)
        self._take_ack(ack)
        self._heard_ms = self._loop.now_ms()
        self._wanted = ack.wanted
        self._take_time(ack, self._heard_ms - sent_ms)
        return ack, count

    async def _fetch_documents(self) -> None:
        """Fetch what the last ack asked for; what fails is tried again later."""
        for kind, path in self._rules.missing(self._wanted):
            try:
                status, answer = await fetch(self._board, self._loop, "GET", path, [], _TIMEOUT_MS)
                if status != 200:
                    raise RemoteProtocolError("it is not there: HTTP " + str(status))
                await self._rules.accept(kind, answer)
                self._document_failures = 0
            except (HttpError, ProtocolError) as error:
                self._document_failures += 1
                self._documents_due_ms = self._loop.now_ms() + self._back_off_ms(self._document_failures)
                self._board.log("document " + path + ": " + str(error))
                return

    async def _batch(self, nonce: bytes) -> tuple[list[bytes], int]:
        journal = self._journal
        first = self._next_sequence
        before, records, after, _ = journal.records_from(first, self._records_max, _BATCH_BYTES_MAX)
        if journal.is_unsure:
            first, records, after = journal.next_sequence + 1, [], before
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
        message = await sign(self._loop, self._signer, encode_batch_parts(batch), TYP_BATCH, audience)
        return message, len(records)

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
        if not self._journal.join(ack.sequence, ack.head):
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
