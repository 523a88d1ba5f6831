"""The rows that a batch becomes. Pure: records and their validator in, rows for bulk inserts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clearing.fleet.models import Validator
from clearing.ingest.run import Placed
from clearing.ingest.suspicion import Suspicion, clock_is_usable, suspicions_about
from clearing.network.service_day import service_day
from protocol.tap import Tap

UNREADABLE = 0

_COPIED = (
    "kind",
    "medium",
    "token_key_version",
    "token",
    "evidence",
    "tapped_at_s",
    "clock_quality",
    "uptime_ms",
    "boot",
    "product",
    "fare_minor",
    "category",
    "line",
    "trip",
    "stop",
    "decision",
    "balance_minor",
    "fare_table",
    "deny_list",
)
_NOTHING_READ: dict[str, Any] = dict.fromkeys((*_COPIED, "card_counter", "reference_first", "reference_last")) | {
    "kind": UNREADABLE,
    "clock_quality": 0,
    "uptime_ms": 0,
    "boot": 0,
    "test": False,
}


@dataclass
class Rows:
    """Rows of `tap` (but for `batch_id`) and of `tap_exception`."""

    taps: list[dict[str, Any]] = field(default_factory=list)
    exceptions: list[dict[str, Any]] = field(default_factory=list)


def rows_of(
    validator: Validator, zone: str, records: Sequence[Placed], moments: Mapping[int, int], now_ms: int
) -> Rows:
    """The rows of the fresh records of a batch; `moments` are the re-based ones, by sequence."""
    rows = Rows()
    for placed in records:
        moment_s = moments.get(placed.sequence)
        tap = _tap_row(validator, zone, placed, moment_s, now_ms)
        rows.taps.append(tap)
        rows.exceptions += [
            exception_row(validator, placed.sequence, suspicion, tap["service_day"], now_ms)
            for suspicion in _suspicions(placed, moment_s, now_ms // 1000)
        ]
    return rows


def counted_at_s(clock_quality: int, tapped_at_s: int, rebased_at_s: int | None, received_s: int) -> int:
    """The moment that counts for a record: re-based, else by its own clock, else when it came."""
    if rebased_at_s is not None:
        return rebased_at_s
    return tapped_at_s if clock_is_usable(clock_quality, tapped_at_s, received_s) else received_s


def _suspicions(placed: Placed, moment_s: int | None, received_s: int) -> list[Suspicion]:
    if placed.tap is None:
        return [Suspicion("unreadable", placed.fault)]
    return suspicions_about(placed.tap, received_s, moment_s)


def _tap_row(validator: Validator, zone: str, placed: Placed, moment_s: int | None, now_ms: int) -> dict[str, Any]:
    received_s = now_ms // 1000
    tap = placed.tap
    fields = _NOTHING_READ | {"tapped_at_s": received_s} if tap is None else _fields(tap)
    at_s = received_s
    if tap is not None:
        at_s = counted_at_s(tap.clock_quality, tap.tapped_at_s, moment_s, received_s)
    return {
        "device_id": validator.device_id,
        "epoch": validator.epoch,
        "sequence": placed.sequence,
        "record": placed.record,
        "city": validator.city,
        "carrier": validator.carrier,
        "vehicle": validator.vehicle,
        "service_day": service_day(zone, at_s),
        "received_at_ms": now_ms,
        "rebased_at_s": moment_s,
        **fields,
    }


def _fields(tap: Tap) -> dict[str, Any]:
    fields = {name: getattr(tap, name) for name in _COPIED}
    fields["card_counter"] = tap.counter
    first = last = None
    if isinstance(tap.reference, list):
        first, last = tap.reference
    elif tap.reference is not None and not isinstance(tap.reference, bool):
        first = last = tap.reference
    fields |= {"reference_first": first, "reference_last": last, "test": tap.reference is True}
    return fields


def exception_row(validator: Validator, sequence: int, suspicion: Suspicion, day: str, now_ms: int) -> dict[str, Any]:
    """A row of the exceptions list."""
    return {
        "device_id": validator.device_id,
        "epoch": validator.epoch,
        "sequence": sequence,
        "reason": suspicion.reason,
        "detail": suspicion.detail,
        "city": validator.city,
        "service_day": day,
        "created_at_ms": now_ms,
        "resolved_at_ms": None,
        "resolved_by": None,
        "resolution": None,
    }
