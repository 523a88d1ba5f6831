"""A city's rules of the ride, beside its prices: `[rules]` in `tariffs.toml`. Validators apply them offline ("Fare rules").

    [rules]
    same_trip_s = 60                    # a medium that has paid is not charged again on the same run of the vehicle
    next_trip_s = 0                     # nor on the run after it
    transfer = { within_s = 1800, rides = 1, fare_minor = 0 }
    quotas = { 4 = 2 }                  # free rides a day, by rider category
    free_days = ["2025-03-22"]          # service days on which every ride is free
    use = "pass_first"                  # or "purse_first", "account_only": which of a card's means pays
    free_when = ["journal_full"]        # and "table_expired", "keys_expired": faults of ours that give a free ride
    allow_listed = ["bank_card"]        # media that ride only when they are on the allow list

What is left out has its plain default. The city's time and the beginning of its service day are not said: they follow from
its zone. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from clearing.network.service_day import day_start_s, service_day
from protocol.errors import DocumentError
from protocol.fare_rules import (
    FREE_WHEN_FULL,
    FREE_WHEN_KEYS_EXPIRED,
    FREE_WHEN_TABLE_EXPIRED,
    USE_ACCOUNT_ONLY,
    USE_PASS_FIRST,
    USE_PURSE_FIRST,
    FareRules,
    decode_fare_rules,
)

_USES = {"purse_first": USE_PURSE_FIRST, "pass_first": USE_PASS_FIRST, "account_only": USE_ACCOUNT_ONLY}
_FAULTS = {
    "journal_full": FREE_WHEN_FULL,
    "table_expired": FREE_WHEN_TABLE_EXPIRED,
    "keys_expired": FREE_WHEN_KEYS_EXPIRED,
}
_TRANSFER = ("within_s", "rides", "fare_minor")
_NAMES = ("same_trip_s", "next_trip_s", "transfer", "quotas", "free_days", "use", "free_when", "allow_listed")
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class RideRules:
    """Rules as a fare table carries them, without what follows from the zone.

    Attributes:
        rules: as `protocol.fare_rules.FareRules`; its `allow_listed` is empty.
        allow_listed: names of media.
    """

    rules: FareRules = field(default_factory=FareRules)
    allow_listed: tuple[str, ...] = ()


def read_rules(table: Mapping[str, Any]) -> RideRules:
    """Read a city's rules.

    Raises:
        ValueError: they are not well-formed; it says which.
    """
    unknown = sorted(set(table) - set(_NAMES))
    if unknown:
        raise ValueError(f"rules: {', '.join(unknown)}: no such rule (there are {', '.join(_NAMES)})")
    rules = FareRules()
    rules.same_trip_s = table.get("same_trip_s", rules.same_trip_s)
    rules.next_trip_s = table.get("next_trip_s", rules.next_trip_s)
    transfer = table.get("transfer", {})
    if transfer:
        if sorted(transfer) != sorted(_TRANSFER):
            raise ValueError(f"rules: a transfer has {', '.join(_TRANSFER)}")
        rules.transfer_s, rules.transfers_max, rules.transfer_fare_minor = (transfer[name] for name in _TRANSFER)
    rules.quotas = {int(category): rides for category, rides in table.get("quotas", {}).items()}
    rules.free_days = sorted((date.fromisoformat(str(day)) - _EPOCH).days for day in table.get("free_days", []))
    rules.use = _chosen("use", _USES, table.get("use", "purse_first"))
    rules.free_when = sum(_chosen("free_when", _FAULTS, name) for name in set(table.get("free_when", [])))
    _require_in_range(rules)
    return RideRules(rules, tuple(sorted(set(table.get("allow_listed", [])))))


def _chosen(rule: str, choices: Mapping[str, int], name: str) -> int:
    if name not in choices:
        raise ValueError(f"rules: {rule} is {' or '.join(choices)}, not {name}")
    return choices[name]


def _require_in_range(rules: FareRules) -> None:
    said = rules.encode()
    try:
        if said:
            decode_fare_rules(said)
    except DocumentError as error:
        raise ValueError(f"rules: one of {_said(said)} is out of range ({error})") from error


def _said(said: Mapping[int, Any]) -> str:
    names = {1: "same_trip_s and next_trip_s", 2: "transfer", 3: "quotas", 4: "free_days"}
    return ", ".join(names[key] for key in sorted(said) if key in names)


def fare_rules(rules: RideRules, zone: str, now_s: int, media: Mapping[str, int]) -> FareRules:
    """The rules as a fare table carries them from a moment on, in a zone; `media` are the numbers on the wire, by name."""
    whole = FareRules(rules.rules.encode())
    start_s = day_start_s(zone, service_day(zone, now_s))
    whole.utc_offset_s = _offset_s(zone, now_s)
    whole.day_starts_s = (start_s + _offset_s(zone, start_s)) % 86_400
    whole.allow_listed = sorted({media[name] for name in rules.allow_listed if name in media})
    return whole


def _offset_s(zone: str, unix_s: int) -> int:
    offset = datetime.fromtimestamp(unix_s, ZoneInfo(zone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
