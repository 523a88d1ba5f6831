"""The one outbox: makes batches of the journal, and frees what is acknowledged, never more than a verified ack allows.

It sends what it is told to send, once; when and what, `firmware.uploader` knows. Where the journal has lost something it cannot
know whether the service had it before. Then it asks, by a batch without records that begins beyond its end, how far the service's
chain goes and what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import ServiceTime, read_clock
from firmware.links.http import fetch
from firmware.signing import sign, verify_by
from protocol import sync
from protocol.ack import STATUS_EPOCH, decode_ack, decode_error
from protocol.batch import Batch, encode_batch_parts
from protocol.compat import collect_garbage, const
from protocol.cose import TYP_ACK, TYP_BATCH
from protocol.errors import ProtocolError, RemoteProtocolError
from protocol.keyset import ROLE_ACK
from protocol.tap import CLOCK_SYNCHRONISED, CLOCK_UNKNOWN, decode_tap

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.journal import Journal
    from firmware.keys import Identity, Membership
    from firmware.loop import Loop
    from firmware.records import Records
    from protocol.ack import Ack

FIRMWARE_BUNDLE = const(1)
TIMEOUT_MS = const(20_000)
_RECORDS_MAX = const(48)
_BATCH_BYTES_MAX = const(6000)
_BYTES_A_RECORD_MAX = const(495)
# Acknowledged records, for a service that is restored from a backup.
_KEPT_S = const(86_400)
_CLOCK_STEP_S = const(5)
_ROUND_TRIP_MS_MAX = const(10_000)


class Unanswered(RemoteProtocolError):  # noqa: N818 - a state, on which the table says what is done
    """No ack that counts.

    Attributes:
        event: what it is to the state table.
        is_signed: the service has said so.
    """

    def __init__(self, reason: str, event: int, is_signed: bool = False) -> None:
        super().__init__(reason)
        self.event = event
        self.is_signed = is_signed


class Outbox:
    """Sends records and takes acks."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        identity: Identity,
        membership: Membership,
        journal: Journal,
        recorder: Records,
    ) -> None:
        self._board = board
        self._loop = loop
        self._identity = identity
        self._membership = membership
        self._journal = journal
        self._recorder = recorder
        self._time = ServiceTime(loop)
        self._next_sequence = journal.acked + 1
        self._records_max = _RECORDS_MAX
        # Less after a batch was called too large; it grows again with each that is taken.
        self._records_allowed = _RECORDS_MAX

    def _waiting(self) -> int:
        return self._journal.next_sequence - self._next_sequence

    def _batch_records(self) -> int:
        """Return how many records a batch may hold."""
        return min(self._records_max, self._records_allowed)

    async def _send_batch(self, asks: bool) -> tuple[Ack, int]:
        """Send one batch, or ask, take the ack, and return it and how many records were sent.

        Raises:
            HttpError: the service cannot be reached.
            ProtocolError: what came back is no ack for this batch; or something turned out to be lost.
        """
        collect_garbage()
        nonce = self._board.random_bytes(8)
        sent_ms = self._loop.now_ms()
        batch = self._batch(nonce, asks)
        ack = await self._exchange("/v1/batches", await self._sign(encode_batch_parts(batch), TYP_BATCH), nonce)
        self._take_ack(ack)
        self._take_time(ack, self._loop.now_ms() - sent_ms)
        return ack, len(batch.records)

    def _batch(self, nonce: bytes, asks: bool) -> Batch:
        journal = self._journal
        first = journal.next_sequence + 1 if asks else self._next_sequence
        count = self._batch_records()
        size = min(_BATCH_BYTES_MAX, count * _BYTES_A_RECORD_MAX)
        before, records, after, _ = journal.records_from(first, count, size)
        if journal.is_unsure and not asks:
            raise Unanswered("something is lost: the service is asked first", sync.DOUBT)
        unix_s, quality = read_clock(self._board)
        return Batch(
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

    async def _sign(self, payload: list[bytes], typ: str) -> list[bytes]:
        return await sign(self._loop, self._identity.signer(), payload, typ, self._membership.enrolled.audience)

    async def _exchange(self, path: str, message: list[bytes], nonce: bytes) -> Ack:
        """Send a message and return the ack for it, verified."""
        status, answer = await fetch(self._board, self._loop, "POST", path, message, TIMEOUT_MS)
        return await self._ack_in(status, answer, nonce)

    async def _ack_in(self, status: int, answer: bytes, nonce: bytes) -> Ack:
        if status != 200:
            raise _unsigned(status, answer)
        membership = self._membership
        ack = decode_ack(await verify_by(self._loop, membership, answer, TYP_ACK, ROLE_ACK))
        if ack.nonce != nonce or ack.device != self._identity.device:
            raise RemoteProtocolError("an ack for another batch")
        if not membership.is_valid_at(ack.server_time_s):
            raise Unanswered("the key set has expired", sync.UNKNOWN_KEY)
        if ack.epoch != membership.enrolled.epoch:
            event = sync.event_of(ack.status, is_signed=True) if ack.status == STATUS_EPOCH else sync.NO_ANSWER
            raise Unanswered("an ack for another batch", event, is_signed=True)
        self._time.take(ack)
        return ack

    def _take_ack(self, ack: Ack) -> None:
        """Free what the service has, if its chain is ours; go back where it has less than we thought."""
        if not self._journal.join(ack.sequence, ack.head):
            raise Unanswered("the service's chain is not ours at sequence " + str(ack.sequence), sync.NOT_TAKEN)
        self._journal.acknowledge(ack.sequence)
        self._next_sequence = ack.sequence + 1
        if ack.records_max:
            self._records_max = min(ack.records_max, _RECORDS_MAX)

    def _take_time(self, ack: Ack, round_trip_ms: int) -> None:
        if round_trip_ms > _ROUND_TRIP_MS_MAX:
            return
        unix_s, quality = read_clock(self._board)
        self._board.set_clock(ack.server_time_s * 1000 + ack.server_time_ms, CLOCK_SYNCHRONISED)
        step_s = ack.server_time_s - unix_s
        if quality != CLOCK_UNKNOWN and abs(step_s) > _CLOCK_STEP_S:
            self._recorder.clock_stepped(step_s)

    def _is_kept(self, record: bytes) -> bool:
        """Return whether an acknowledged record is younger than a day; of what nobody knows the time it is held to be."""
        now_s, quality = read_clock(self._board)
        try:
            tap = decode_tap(record)
        except ProtocolError:
            return False
        if CLOCK_UNKNOWN in {quality, tap.clock_quality}:
            return True
        return now_s - tap.tapped_at_s < _KEPT_S

    def _allow_fewer(self) -> None:
        self._records_allowed = max(self._batch_records() // 4, 1)

    def _allow_more(self) -> None:
        self._records_allowed = min(self._records_allowed * 2, _RECORDS_MAX)


def _unsigned(status: int, answer: bytes) -> Unanswered:
    try:
        code = decode_error(answer).status
    except ProtocolError:
        return Unanswered("the service says HTTP " + str(status), sync.NO_ANSWER)
    return Unanswered("the service says status " + str(code), sync.event_of(code, is_signed=False))
