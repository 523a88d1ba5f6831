"""The way of a message: verify, decode, store, COMMIT, sign the ack. The hot path; nothing here is validated by a model.

Every answer to a batch whose signature holds is a signed ack. What cannot be attributed to a validator gets an unsigned
hint: it says nothing that the sender did not know, and changes nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from clearing.checkpoint import COMMITTED, RECEIVED, SIGNED, STORED, VERIFIED, checkpoint
from clearing.clock import Clock
from clearing.database import Database
from clearing.fleet.keys import KeyStore
from clearing.fleet.service import Sender, UnattributedError, identify
from clearing.ingest.run import Run, place_records
from clearing.ingest.store import Receipt, store_batch
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BUSY,
    STATUS_KID_UNKNOWN,
    STATUS_TOO_LARGE,
    Ack,
    encode_ack,
)
from protocol.batch import NONCE_BYTES, decode_batch
from protocol.cose import TYP_ACK, TYP_BATCH, sign1
from protocol.errors import BatchError
from protocol.limits import BATCH_RECORDS_MAX, MESSAGE_BYTES_MAX

RETRY_WHEN_BUSY_S = 10


@dataclass(frozen=True)
class Answer:
    """What goes back to the validator.

    Attributes:
        status: `STATUS_…` of the wire.
        body: the signed ack; empty for a hint, which is not signed.
        retry_after_s: only with a hint.
    """

    status: int
    body: bytes = b""
    retry_after_s: int | None = None

    @property
    def is_ack(self) -> bool:
        return bool(self.body)


class Receiver:
    """Receives the messages of validators.

    Attributes:
        waiting: messages that have come in and are not answered yet; counted by whoever brings them.
    """

    def __init__(self, database: Database, keys: KeyStore, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self.waiting = 0

    def receive(self, message: bytes) -> Answer:
        """Store a message and answer it."""
        if len(message) > MESSAGE_BYTES_MAX:
            return Answer(STATUS_TOO_LARGE)
        checkpoint(RECEIVED)
        try:
            with self._database.reading() as session:
                sender = identify(session, message, TYP_BATCH)
        except UnattributedError as error:
            return Answer(error.status)
        except OperationalError:
            return Answer(STATUS_BUSY, retry_after_s=RETRY_WHEN_BUSY_S)
        checkpoint(VERIFIED)
        try:
            batch = decode_batch(sender.payload)
        except BatchError:
            return self.acknowledge(_unchanged(sender, STATUS_BAD_CBOR, bytes(NONCE_BYTES)))
        if batch.device != sender.device:
            return Answer(STATUS_KID_UNKNOWN)  # somebody else's key
        try:
            receipt = self.store(message, place_records(batch))
        except OperationalError:
            return self.acknowledge(_unchanged(sender, STATUS_BUSY, batch.nonce), RETRY_WHEN_BUSY_S)
        return self.acknowledge(receipt)

    def store(self, message: bytes, run: Run) -> Receipt:
        """Store a batch whose signature held; when this returns, it is durable."""
        with self._database.writing() as session:
            receipt = store_batch(session, message, run, self._clock.now_ms())
            checkpoint(STORED)
        checkpoint(COMMITTED)
        return receipt

    def acknowledge(self, receipt: Receipt, retry_after_s: int | None = None) -> Answer:
        """Sign what is durable."""
        server_time_s, server_time_ms = divmod(self._clock.now_ms(), 1000)
        ack = Ack(
            device=receipt.device,
            epoch=receipt.epoch,
            sequence=receipt.sequence,
            head=receipt.head,
            nonce=receipt.nonce,
            server_time_s=server_time_s,
            server_time_ms=server_time_ms,
            status=receipt.status,
            retry_after_s=retry_after_s,
            records_max=BATCH_RECORDS_MAX,
            wanted=receipt.wanted or None,
        )
        body = sign1(encode_ack(ack), TYP_ACK, receipt.city, self._keys.ack)
        checkpoint(SIGNED)
        return Answer(receipt.status, body)


def _unchanged(sender: Sender, status: int, nonce: bytes) -> Receipt:
    """Nothing was stored: what was durable before still is."""
    return Receipt(sender.device, sender.city, sender.epoch, sender.acked_sequence, sender.head, status, nonce)
