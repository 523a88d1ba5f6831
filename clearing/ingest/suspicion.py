"""What about a stored record a person should look at. Pure; it never blocks anything.

The sequence is the truth, not the clock: a tap with a clock that cannot be right is still money, and is counted on the day
on which it came.
"""

from __future__ import annotations

from dataclasses import dataclass

from clearing.network.package import is_fare
from protocol.batch import Batch
from protocol.tap import (
    CLOCK_UNKNOWN,
    KIND_FAULT,
    KIND_INTENT,
    KIND_LOST_RANGE,
    KIND_OFF,
    KIND_ON,
    KIND_SINGLE,
    KIND_TAMPER,
    Tap,
)

_AHEAD_S_MAX = 300
_LATE_S_MAX = 35 * 86_400
_OFF_S_MAX = 300
# Reasons that go away when somebody tells the record its time.
CLOCK_REASONS = ("clock_unknown", "clock_ahead")
MONEY_KINDS = frozenset({KIND_SINGLE, KIND_ON, KIND_OFF, KIND_INTENT})


@dataclass(frozen=True)
class Suspicion:
    """A reason (a short code) and a sentence about it."""

    reason: str
    detail: str


def clock_is_usable(clock_quality: int, tapped_at_s: int, received_s: int) -> bool:
    """Whether the device's clock can say when this was."""
    return clock_quality != CLOCK_UNKNOWN and tapped_at_s <= received_s + _AHEAD_S_MAX


def clock_is_far_off(batch: Batch, received_s: int) -> bool:
    """Whether a validator believes to know the time and is wrong."""
    return batch.clock_quality != CLOCK_UNKNOWN and abs(batch.device_time_s - received_s) > _OFF_S_MAX


def suspicions_about(tap: Tap, received_s: int, rebased_at_s: int | None = None) -> list[Suspicion]:
    """Everything suspicious about one readable record; one that was re-based is not suspected for its own clock."""
    found = []
    if tap.kind in MONEY_KINDS:
        found += _about_clock(tap, received_s) if rebased_at_s is None else _about_delay(rebased_at_s, received_s)
        if tap.fare_minor is not None and not is_fare(tap.fare_minor):
            found.append(Suspicion("fare_implausible", f"{tap.fare_minor} tiyn cannot be a fare; the tariff counts"))
    if tap.kind == KIND_LOST_RANGE and isinstance(tap.reference, list):
        first, last = tap.reference
        found.append(Suspicion("lost_range", f"the validator cannot read its records {first} to {last} any more"))
        if first != tap.sequence or last < first:
            found.append(Suspicion("lost_range_odd", f"record {tap.sequence} speaks of {first} to {last}"))
    if tap.kind == KIND_TAMPER:
        found.append(Suspicion("tamper", "the validator reports that it was opened or altered"))
    if tap.kind == KIND_FAULT:
        found.append(Suspicion("fault", "the validator reports a fault"))
    return found


def suspicion_about_overwritten(tap: Tap, oldest_kept: int | None) -> Suspicion | None:
    """What a lost range says that ends before the oldest record which the validator keeps.

    It overwrites nothing that was not acknowledged, so somebody promised that these records are stored, and they are not:
    this database was restored from before that (SPEC.md "Refill").
    """
    if tap.kind != KIND_LOST_RANGE or not isinstance(tap.reference, list) or oldest_kept is None:
        return None
    first, last = tap.reference
    if not first == tap.sequence <= last < oldest_kept:
        return None
    detail = f"records {first} to {last} were acknowledged once, are not here, and the validator keeps them no longer"
    return Suspicion("missing_after_restore", detail)


def _about_clock(tap: Tap, received_s: int) -> list[Suspicion]:
    if tap.clock_quality == CLOCK_UNKNOWN:
        return [Suspicion("clock_unknown", "the validator did not know the time; counted on the day of reception")]
    if tap.tapped_at_s > received_s + _AHEAD_S_MAX:
        ahead_s = tap.tapped_at_s - received_s
        return [Suspicion("clock_ahead", f"tapped {ahead_s} s after reception; counted on the day of reception")]
    return _about_delay(tap.tapped_at_s, received_s)


def _about_delay(at_s: int, received_s: int) -> list[Suspicion]:
    if at_s < received_s - _LATE_S_MAX:
        return [Suspicion("late", f"tapped {(received_s - at_s) // 86_400} days before reception")]
    return []
