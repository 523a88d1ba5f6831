"""Signs that two devices speak with one key. Pure.

A journal is written by one device: its count of starts never goes back, its uptime grows within a start, it chooses a new
nonce for each message, and nobody taps faster than a reader can read. What breaks one of these was not written by one device.
The same sequence with other content is told by the chain itself (`run.judge`).
"""

from __future__ import annotations

from collections.abc import Sequence

from clearing.ingest.run import Placed
from clearing.ingest.suspicion import Suspicion
from protocol.tap import KIND_INTENT, KIND_LOST_RANGE, KIND_ON, KIND_SINGLE

NONCES_KEPT = 16
# So many rides in so short a time: a reader needs more for each, and so does a driver's finger.
PACE_RIDES = 32
PACE_MS = 3_000
_NONCE_BYTES = 8
_ENTRY_BYTES = 16
_RIDES = frozenset({KIND_SINGLE, KIND_ON, KIND_INTENT})

# Start and uptime of a record.
Moment = tuple[int, int]


def moments_of(records: Sequence[Placed]) -> list[tuple[int, Moment]]:
    """Sequence, start and uptime of the records that have them."""
    return [
        (each.sequence, (each.tap.boot, each.tap.uptime_ms))
        for each in records
        if each.tap is not None and each.tap.kind != KIND_LOST_RANGE
    ]


def suspicion_about_order(last: Moment | None, records: Sequence[Placed]) -> tuple[int, Suspicion] | None:
    """The first record that an earlier moment of the same device follows, and what is suspicious about it."""
    for sequence, moment in moments_of(records):
        if last is not None and moment < last:
            what = f"start {moment[0]} after start {last[0]}"
            if moment[0] == last[0]:
                what = f"{moment[1]} ms after its start follow on {last[1]} ms"
            return sequence, Suspicion(
                "clone_suspected", f"its own time goes back: {what}; two devices may write one journal"
            )
        last = moment
    return None


def suspicion_about_pace(records: Sequence[Placed]) -> tuple[int, Suspicion] | None:
    """The first of more rides than one device can take."""
    rides = [
        (each.sequence, each.tap.boot, each.tap.uptime_ms)
        for each in records
        if each.tap is not None and each.tap.kind in _RIDES
    ]
    for first, last in zip(rides, rides[PACE_RIDES - 1 :], strict=False):
        if first[1] == last[1] and last[2] - first[2] < PACE_MS:
            detail = f"{PACE_RIDES} rides within {last[2] - first[2]} ms; no device takes so many"
            return first[0], Suspicion("clone_suspected", detail)
    return None


def note_nonce(kept: bytes | None, nonce: bytes, digest: bytes) -> tuple[bytes, bool]:
    """Remember a message by its nonce.

    Returns the nonces to keep, newest first, and whether this one was used before, for something else.
    """
    entry = nonce + digest[: _ENTRY_BYTES - _NONCE_BYTES]
    entries = [kept[start : start + _ENTRY_BYTES] for start in range(0, len(kept), _ENTRY_BYTES)] if kept else []
    if entry in entries:
        return b"".join(entries), False
    is_reused = any(each[:_NONCE_BYTES] == nonce for each in entries)
    return b"".join([entry, *entries][:NONCES_KEPT]), is_reused
