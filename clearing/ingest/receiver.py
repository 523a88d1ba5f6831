"""The way of a message: verify, decode, store, COMMIT, sign the ack. The hot path; nothing here is validated by a model.

Every answer to a batch whose signature holds is a signed ack. What cannot be attributed to a validator gets an unsigned
hint: it says nothing that the sender did not know, and changes nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from clearing.checkpoint import COMMITTED, RECEIVED, SIGNED, STORED, VERIFIED, checkpoint
from clearing.clock import Clock
from clearing.database import Database
from clearing.endpoint import ConflictError
from clearing.fleet.key_sets import is_due, keep_key_set, newest_key_set
from clearing.fleet.keys import Es256Signer, KeyStore
from clearing.fleet.models import Validator
from clearing.fleet.rotation import rotate_key
from clearing.fleet.service import Sender, UnattributedError, identify, settle_key
from clearing.fleet.switches import Switches, read_switches
from clearing.ingest.admission import LIMITS, Admission, Limits
from clearing.ingest.retirement import retire
from clearing.ingest.run import Run, place_records
from clearing.ingest.store import Receipt, store_batch
from clearing.ingest.top_ups import is_about_top_ups, settle_top_ups
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BUSY,
    STATUS_KID_UNKNOWN,
    STATUS_MAINTENANCE,
    STATUS_TOO_LARGE,
    STATUS_UPGRADE,
    WANTED_BUNDLE,
    Ack,
    encode_ack,
)
from protocol.batch import NONCE_BYTES, decode_batch
from protocol.cose import TYP_ACK, TYP_BATCH, TYP_RETIREMENT, sign1
from protocol.cose_mac import MacKey, mac0
from protocol.errors import BatchError, RotationError
from protocol.limits import BATCH_RECORDS_MAX, MESSAGE_BYTES_MAX
from protocol.rotation import decode_retirement

RETRY_WHEN_BUSY_S = LIMITS.retry_s
RETRY_WHEN_SUSPECTED_S = 3_600
_HOUR_MS = 3_600_000
_log = logging.getLogger("jolaqy")


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

    def __init__(self, database: Database, keys: KeyStore, clock: Clock, limits: Limits = LIMITS) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self.waiting = 0
        self._admission = Admission(limits)
        self._key_sets_looked_at_ms: dict[str, int] = {}

    def receive(self, message: bytes) -> Answer:
        """Store a batch and answer it."""
        return self._answer(message, TYP_BATCH, self._take_batch)

    def retire(self, message: bytes) -> Answer:
        """Let a validator go."""
        return self._answer(message, TYP_RETIREMENT, self._take_retirement)

    def rotate(self, message: bytes) -> Answer:
        """Take a validator's new key."""
        if len(message) > MESSAGE_BYTES_MAX:
            return Answer(STATUS_TOO_LARGE)
        try:
            with self._database.writing() as session:
                rotated = rotate_key(session, self._keys, message, self._clock.now_ms())
                receipt = _standing(rotated.validator, rotated.status, rotated.nonce)
        except UnattributedError as error:
            return Answer(error.status)
        except OperationalError:
            return Answer(STATUS_BUSY, retry_after_s=RETRY_WHEN_BUSY_S)
        retry_after_s = RETRY_WHEN_SUSPECTED_S if receipt.status == STATUS_BUSY else None
        if receipt.status == STATUS_MAINTENANCE:
            retry_after_s = self._admission.closed(receipt.device).retry_after_s
        return self.acknowledge(receipt, retry_after_s, rotated.shared)

    def _answer(self, message: bytes, typ: str, take: Callable[[bytes, Sender, Switches], Answer]) -> Answer:
        if len(message) > MESSAGE_BYTES_MAX:
            return Answer(STATUS_TOO_LARGE)
        checkpoint(RECEIVED)
        try:
            with self._database.reading() as session:
                sender = identify(session, message, typ, self._keys, takes_retired=typ == TYP_RETIREMENT)
                switches = read_switches(session)
        except UnattributedError as error:
            return Answer(error.status)
        except OperationalError:
            return Answer(STATUS_BUSY, retry_after_s=RETRY_WHEN_BUSY_S)
        checkpoint(VERIFIED)
        return take(message, sender, switches)

    def _take_batch(self, message: bytes, sender: Sender, switches: Switches) -> Answer:
        try:
            batch = decode_batch(sender.payload)
        except BatchError:
            return self._refuse(sender, STATUS_BAD_CBOR, bytes(NONCE_BYTES))
        if batch.device != sender.device:
            return Answer(STATUS_KID_UNKNOWN)  # somebody else's key
        began_ms = self._clock.now_ms()
        refusal = self._admission.refusal(batch, switches, self.waiting, began_ms)
        if refusal is not None:
            wanted = {WANTED_BUNDLE: switches.firmware_min} if refusal.status == STATUS_UPGRADE else {}
            return self._refuse(sender, refusal.status, batch.nonce, refusal.retry_after_s, wanted)
        self._keep_key_set(sender.city)
        try:
            if sender.is_first_use:
                with self._database.writing() as session:
                    settle_key(session, sender.kid, self._clock.now_ms())
            receipt = self.store(message, place_records(batch))
        except OperationalError:
            return self._refuse(sender, STATUS_BUSY, batch.nonce, RETRY_WHEN_BUSY_S)
        self._admission.note_work(self._clock.now_ms() - began_ms)
        return self.acknowledge(receipt, shared=sender.shared)

    def _take_retirement(self, message: bytes, sender: Sender, switches: Switches) -> Answer:
        try:
            retirement = decode_retirement(sender.payload)
        except RotationError:
            return self._refuse(sender, STATUS_BAD_CBOR, bytes(NONCE_BYTES))
        if retirement.device != sender.device:
            return Answer(STATUS_KID_UNKNOWN)
        if switches.maintenance:
            closed = self._admission.closed(sender.device)
            return self._refuse(sender, closed.status, retirement.nonce, closed.retry_after_s)
        try:
            with self._database.writing() as session:
                validator, status = retire(session, message, sender.payload, retirement, self._clock.now_ms())
                receipt = _standing(validator, status, retirement.nonce)
        except UnattributedError as error:
            return Answer(error.status)
        except OperationalError:
            return self._refuse(sender, STATUS_BUSY, retirement.nonce, RETRY_WHEN_BUSY_S)
        return self.acknowledge(receipt, shared=sender.shared)

    def _refuse(
        self,
        sender: Sender,
        status: int,
        nonce: bytes,
        retry_after_s: int | None = None,
        wanted: dict[int, int] | None = None,
    ) -> Answer:
        """Nothing was stored: what was durable before still is."""
        receipt = Receipt(
            sender.device,
            sender.city,
            sender.epoch,
            sender.acked_sequence,
            sender.head,
            status,
            nonce,
            wanted or {},
            sender.ack_kid,
        )
        return self.acknowledge(receipt, retry_after_s, sender.shared)

    def store(self, message: bytes, run: Run) -> Receipt:
        """Store a batch whose signature held; when this returns, it is durable."""
        with self._database.writing() as session:
            receipt = store_batch(session, message, run, self._clock.now_ms())
            if is_about_top_ups(run.placed):
                place = (receipt.device, receipt.epoch)
                settle_top_ups(session, self._keys, *place, run.placed, self._clock.now_ms())
            checkpoint(STORED)
        checkpoint(COMMITTED)
        return receipt

    def _keep_key_set(self, city: str) -> None:
        """Renew the key set in time; looked at once an hour."""
        now_ms = self._clock.now_ms()
        if now_ms - self._key_sets_looked_at_ms.get(city, -_HOUR_MS) < _HOUR_MS:
            return
        self._key_sets_looked_at_ms[city] = now_ms
        with self._database.reading() as session:
            newest = newest_key_set(session, city)
        if newest is None or not is_due(newest, now_ms // 1000):
            return
        try:
            with self._database.writing() as session:
                keep_key_set(session, self._keys, city, now_ms)
        except (OperationalError, ConflictError):
            _log.exception("the key set of %s must be renewed and was not", city)

    def acknowledge(self, receipt: Receipt, retry_after_s: int | None = None, shared: MacKey | None = None) -> Answer:
        """Sign what is durable; to a validator of profile 3 with the key that it shares with us."""
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
        if shared is not None:
            body = mac0(encode_ack(ack), TYP_ACK, receipt.city, shared)
        else:
            body = sign1(encode_ack(ack), TYP_ACK, receipt.city, self._signer(receipt.ack_kid))
        checkpoint(SIGNED)
        return Answer(receipt.status, body)

    def _signer(self, kid: bytes | None) -> Es256Signer:
        signer = self._keys.ack_signer(kid)
        if kid is not None and signer.kid != kid:
            self._keys.reload()  # rotated by another process
            signer = self._keys.ack_signer(kid)
        return signer


def _standing(validator: Validator, status: int, nonce: bytes) -> Receipt:
    """What is durable of a validator, with nothing wanted."""
    return Receipt(
        validator.device_id,
        validator.city,
        validator.epoch,
        validator.acked_sequence,
        validator.head,
        status,
        nonce,
        ack_kid=validator.ack_kid,
    )
