"""Who is let in, and who is told when to come back: the limits on what validators may ask, all of them, and who goes first.

Whoever is told to wait has lost nothing: what was not stored stays on the bus. A fleet that comes back all at once after an
outage is spread: each validator is given a time of its own, always the same for the same load. Buses that run out of room, or
bring much at once, are let in before those that only say that they are there.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from clearing.fleet.switches import Switches
from protocol.ack import STATUS_BUSY, STATUS_MAINTENANCE, STATUS_RATE, STATUS_UPGRADE
from protocol.batch import Batch

_MILLI = 1000
_NONCES = 8


@dataclass(frozen=True)
class Limits:
    """All limits.

    Attributes:
        waiting_max: messages that wait in one process; beyond it a message is not even looked at.
        waiting_busy: from here on only urgent batches are let in.
        wait_ms_max: the same, when the time until an answer is expected to be longer.
        urgent_slots_free: a validator with less room than this is urgent.
        urgent_records: so is one that brings so much at once: it has a backlog.
        burst_batches, batches_per_s: of one validator; messages that come again are not counted.
        validators_max: how many are remembered for that.
        retry_s: soonest time to come back.
        spread_s_max: over how long a fleet is spread when the service is full.
        maintenance_retry_s, maintenance_spread_s: the same while it is closed.
        upgrade_retry_s: when to look again for a newer firmware.
    """

    waiting_max: int = 256
    waiting_busy: int = 96
    wait_ms_max: int = 8_000
    urgent_slots_free: int = 512
    urgent_records: int = 32
    burst_batches: int = 600
    batches_per_s: int = 5
    validators_max: int = 65_536
    retry_s: int = 10
    spread_s_max: int = 600
    maintenance_retry_s: int = 120
    maintenance_spread_s: int = 300
    upgrade_retry_s: int = 3_600


LIMITS = Limits()


@dataclass(frozen=True)
class Refusal:
    """Why a batch is not taken now, and when it may come again."""

    status: int
    retry_after_s: int


@dataclass
class _Bucket:
    """What one validator may still send.

    Attributes:
        tokens_milli: thousandths of a batch.
        nonces: of the last messages that were counted.
    """

    tokens_milli: int
    filled_at_ms: int
    nonces: list[bytes] = field(default_factory=list)


def share_of_spread(device: bytes, width_s: int) -> int:
    """A validator's own time within a spread: always the same, and the times of a fleet are even."""
    return int.from_bytes(hashlib.sha256(device).digest()[:4], "big") * width_s >> 32


def is_urgent(batch: Batch, limits: Limits = LIMITS) -> bool:
    """Whether a validator should not wait."""
    is_short_of_room = batch.flash is not None and batch.flash[0] < limits.urgent_slots_free
    return is_short_of_room or len(batch.records) >= limits.urgent_records


class Admission:
    """Decides about batches whose signature held. One for a process."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()
        self._lock = Lock()
        self._mean_ms = 0.0

    def refusal(self, batch: Batch, switches: Switches, waiting: int, now_ms: int) -> Refusal | None:
        """Why a batch is not taken now; nothing when it is."""
        limits = self._limits
        if switches.maintenance:
            return self.closed(batch.device)
        if batch.firmware < switches.firmware_min:
            return Refusal(STATUS_UPGRADE, limits.upgrade_retry_s)
        wait_s = self._wait_for_token_s(batch, now_ms)
        if wait_s:
            return Refusal(STATUS_RATE, wait_s)
        if self._is_full(waiting) and not is_urgent(batch, limits):
            return Refusal(STATUS_BUSY, limits.retry_s + share_of_spread(batch.device, self._spread_s(waiting)))
        return None

    def closed(self, device: bytes) -> Refusal:
        """What everybody is told while the service is closed."""
        limits = self._limits
        own_s = share_of_spread(device, limits.maintenance_spread_s)
        return Refusal(STATUS_MAINTENANCE, limits.maintenance_retry_s + own_s)

    def note_work(self, took_ms: int) -> None:
        """Take into account how long a batch took."""
        self._mean_ms += (took_ms - self._mean_ms) / 16

    def _is_full(self, waiting: int) -> bool:
        return waiting > self._limits.waiting_busy or waiting * self._mean_ms > self._limits.wait_ms_max

    def _spread_s(self, waiting: int) -> int:
        """The fuller the service, the longer the time over which those who come back are spread."""
        return self._limits.spread_s_max * min(waiting, self._limits.waiting_max) // self._limits.waiting_max

    def _wait_for_token_s(self, batch: Batch, now_ms: int) -> int:
        limits = self._limits
        with self._lock:
            bucket = self._buckets.pop(batch.device, None) or _Bucket(limits.burst_batches * _MILLI, now_ms)
            self._buckets[batch.device] = bucket
            while len(self._buckets) > limits.validators_max:
                self._buckets.popitem(last=False)
            filled = bucket.tokens_milli + max(now_ms - bucket.filled_at_ms, 0) * limits.batches_per_s
            bucket.tokens_milli, bucket.filled_at_ms = min(filled, limits.burst_batches * _MILLI), now_ms
            if batch.nonce in bucket.nonces:
                return 0  # whoever repeats what a bus has said must not use up what it may say
            if bucket.tokens_milli < _MILLI:
                lacking = _MILLI - bucket.tokens_milli
                return max(1, -(-lacking // (limits.batches_per_s * _MILLI)))
            bucket.tokens_milli -= _MILLI
            bucket.nonces = [batch.nonce, *bucket.nonces][:_NONCES]
            return 0
