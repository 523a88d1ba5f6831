"""A city's rules of the ride, as far as a validator applies them offline: key 6 of a fare table (SPEC.md "Fare rules").

A rule that a table does not carry has its plain default; what a validator cannot know (caps, debts, a medium's rides on other
buses) clearing puts right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cbor import is_integer
from protocol.compat import const
from protocol.errors import DocumentError
from protocol.limits import ZONE_RANGES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

USE_PURSE_FIRST = const(0)
USE_PASS_FIRST = const(1)
USE_ACCOUNT_ONLY = const(2)

FREE_WHEN_FULL = const(1)
FREE_WHEN_TABLE_EXPIRED = const(2)
FREE_WHEN_KEYS_EXPIRED = const(4)

_PASSBACK = const(1)
_TRANSFER = const(2)
_QUOTAS = const(3)
_FREE_DAYS = const(4)
_DAY = const(5)
_USE = const(6)
_FREE_WHEN = const(7)
_ALLOW_LISTED = const(8)
_ZONES = const(9)

_SAME_TRIP_S = const(60)
_SECONDS_MAX = const(86_400)
_TRANSFERS_MAX = const(100)
_FARE_MINOR_MAX = const(100_000_000)
_U16_MAX = const(0xFFFF)
_U32_MAX = const(0xFFFFFFFF)
# As many as a pass on a card can tell apart.
ZONE_MAX = const(16)
_DAYS_MAX = const(64)
_ZONE_S_MAX = const(50_400)
DAY_S = const(86_400)


class FareRules:
    """What holds beside the prices.

    Attributes:
        same_trip_s, next_trip_s: for how long a medium that has paid is not charged again on the same run of the vehicle,
            and on the run after it: on a ring route riders sit while one becomes the other.
        transfer_s, transfers_max, transfer_fare_minor: within so many seconds of the last *paid* ride, so many rides cost
            no more than that; 0 for no transfers.
        quotas: free rides a day, by rider category.
        free_days: days, counted from 1 January 1970 in the city's time, on which every ride is free.
        utc_offset_s, day_starts_s: the city's time, and the second of the day at which a service day begins.
        use: `USE_…`: which of a card's means pays.
        free_when: sum of `FREE_WHEN_…`: which faults of the validator give a free ride.
        allow_listed: media (`protocol.tap.MEDIUM_…`) that ride only when they are on the allow list.
        zones: [first stop, last stop, zone], sorted: in which zone (1 to 16) the stops with these numbers lie.
    """

    __slots__ = (
        "allow_listed",
        "day_starts_s",
        "free_days",
        "free_when",
        "next_trip_s",
        "quotas",
        "same_trip_s",
        "transfer_fare_minor",
        "transfer_s",
        "transfers_max",
        "use",
        "utc_offset_s",
        "zones",
    )

    def __init__(self, fields: dict[int, Any] | None = None) -> None:
        said = fields or {}
        self.same_trip_s, self.next_trip_s = said.get(_PASSBACK, (_SAME_TRIP_S, 0))
        self.transfer_s, self.transfers_max, self.transfer_fare_minor = said.get(_TRANSFER, (0, 0, 0))
        self.quotas: dict[int, int] = said.get(_QUOTAS, {})
        self.free_days: list[int] = said.get(_FREE_DAYS, [])
        self.utc_offset_s, self.day_starts_s = said.get(_DAY, (0, 0))
        self.use: int = said.get(_USE, USE_PURSE_FIRST)
        self.free_when: int = said.get(_FREE_WHEN, 0)
        self.allow_listed: list[int] = said.get(_ALLOW_LISTED, [])
        self.zones: list[list[int]] = said.get(_ZONES, [])

    def day_of(self, unix_s: int) -> int:
        """Return the service day of a moment, counted from 1 January 1970."""
        day: int = (unix_s + self.utc_offset_s - self.day_starts_s) // DAY_S
        return day

    def zone_of(self, stop: int | None) -> int | None:
        """Return the zone of a stop; None where it is in none, or nobody knows which stop it is."""
        if stop is not None:
            for first, last, zone in self.zones:
                if first <= stop <= last:
                    return zone
        return None

    def encode(self) -> dict[int, Any]:
        """Return what stands under key 6: only what is not the default."""
        said = {
            _PASSBACK: [self.same_trip_s, self.next_trip_s],
            _TRANSFER: [self.transfer_s, self.transfers_max, self.transfer_fare_minor],
            _QUOTAS: self.quotas,
            _FREE_DAYS: self.free_days,
            _DAY: [self.utc_offset_s, self.day_starts_s],
            _USE: self.use,
            _FREE_WHEN: self.free_when,
            _ALLOW_LISTED: self.allow_listed,
            _ZONES: self.zones,
        }
        plain: dict[int, Any] = {_PASSBACK: [_SAME_TRIP_S, 0], _TRANSFER: [0, 0, 0], _DAY: [0, 0]}
        return {key: value for key, value in said.items() if value and value != plain.get(key)}


def decode_fare_rules(fields: Any) -> FareRules:  # noqa: ANN401 - whatever was decoded
    """Return the rules that stand under key 6.

    Raises:
        DocumentError: they are none.
    """
    if not isinstance(fields, dict) or not fields:
        raise DocumentError("fare rules are a map, and left out when all are plain")
    for key, value in fields.items():
        if key not in _CHECKS or not _CHECKS[key](value):
            raise DocumentError("fare rules: key " + str(key) + " is not a rule, or out of range")
    return FareRules(fields)


def _are_within(values: Any, limits: tuple[tuple[int, int], ...]) -> bool:  # noqa: ANN401
    if not isinstance(values, list) or len(values) != len(limits):
        return False
    return all(is_integer(values[at], limits[at][0], limits[at][1]) for at in range(len(limits)))


def _are_quotas(value: Any) -> bool:  # noqa: ANN401
    if not isinstance(value, dict):
        return False
    return all(is_integer(key, 0, _U16_MAX) and is_integer(value[key], 1, _TRANSFERS_MAX) for key in value)


def _are_numbers(value: Any, greatest: int) -> bool:  # noqa: ANN401
    if not isinstance(value, list) or len(value) > _DAYS_MAX:
        return False
    if not all(is_integer(each, 0, greatest) for each in value):
        return False
    return all(value[at - 1] < value[at] for at in range(1, len(value)))


def _are_zones(value: Any) -> bool:  # noqa: ANN401
    if not isinstance(value, list) or len(value) > ZONE_RANGES_MAX:
        return False
    if not all(_are_within(each, ((0, _U32_MAX), (0, _U32_MAX), (1, ZONE_MAX))) for each in value):
        return False
    return all(each[0] <= each[1] for each in value) and all(
        value[at - 1][1] < value[at][0] for at in range(1, len(value))
    )


_CHECKS: dict[int, Callable[[Any], bool]] = {
    _PASSBACK: lambda value: _are_within(value, ((0, _SECONDS_MAX), (0, _SECONDS_MAX))),
    _TRANSFER: lambda value: _are_within(value, ((0, _SECONDS_MAX), (0, _TRANSFERS_MAX), (0, _FARE_MINOR_MAX))),
    _QUOTAS: _are_quotas,
    _FREE_DAYS: lambda value: _are_numbers(value, _U16_MAX),
    _DAY: lambda value: _are_within(value, ((-_ZONE_S_MAX, _ZONE_S_MAX), (0, _SECONDS_MAX - 1))),
    _USE: lambda value: is_integer(value, 0, USE_ACCOUNT_ONLY),
    _FREE_WHEN: lambda value: is_integer(value, 0, 7),
    _ALLOW_LISTED: lambda value: _are_numbers(value, 7),
    _ZONES: _are_zones,
}
