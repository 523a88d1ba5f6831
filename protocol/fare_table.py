"""The tariff as sent to buses: what a ride costs by medium and rider category (SPEC.md "Fare table").

It travels as COSE_Sign1 with typ "fare-table". A validator that has none, or one past its expiry, sells nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.cbor import is_integer
from protocol.compat import const
from protocol.errors import CborError, DocumentError
from protocol.fare_rules import FareRules, decode_fare_rules

if TYPE_CHECKING:
    from typing import Any

FARE_TABLE_VERSION = const(1)
_U16_MAX = const(0xFFFF)
_U32_MAX = const(0xFFFFFFFF)
_FARE_MINOR_MAX = const(100_000_000)


class FareTable:
    """A tariff for buses.

    Attributes:
        number: grows with every issue.
        valid_from_s, expires_s: unix seconds; outside of them nothing is sold by it.
        city: number of the city.
        fares: fare in tiyn by medium, then by category.
        rules: what holds beside the prices.
    """

    __slots__ = ("city", "expires_s", "fares", "number", "rules", "valid_from_s")

    def __init__(
        self,
        number: int,
        valid_from_s: int,
        expires_s: int,
        city: int,
        fares: dict[int, dict[int, int]],
        rules: FareRules | None = None,
    ) -> None:
        self.number = number
        self.valid_from_s = valid_from_s
        self.expires_s = expires_s
        self.city = city
        self.fares = fares
        self.rules = rules or FareRules()

    def fare_minor(self, medium: int, category: int) -> int | None:
        """Return the fare in tiyn, or None where the tariff does not sell to that medium and category."""
        by_category = self.fares.get(medium)
        return None if by_category is None else by_category.get(category)

    def is_valid_at(self, unix_s: int) -> bool:
        return self.valid_from_s <= unix_s < self.expires_s


def encode_fare_table(table: FareTable) -> bytes:
    fields: dict[int, Any] = {
        0: FARE_TABLE_VERSION,
        1: table.number,
        2: table.valid_from_s,
        3: table.expires_s,
        4: table.city,
        5: table.fares,
    }
    rules = table.rules.encode()
    if rules:
        fields[6] = rules
    return cbor.encode(fields)


def decode_fare_table(payload: bytes) -> FareTable:
    """Return the fare table.

    Raises:
        DocumentError: the payload is not one.
    """
    try:
        fields = cbor.decode(payload)
    except CborError as error:
        raise DocumentError("fare table: not deterministic CBOR: " + str(error)) from None
    if not isinstance(fields, dict) or sorted(fields) not in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6]):
        raise DocumentError("a fare table has the keys 0 to 5, and 6 with rules")
    if not is_integer(fields[0], FARE_TABLE_VERSION, FARE_TABLE_VERSION):
        raise DocumentError("not fare table version 1")
    for key, greatest in ((1, _U32_MAX), (2, _U32_MAX), (3, _U32_MAX), (4, _U16_MAX)):
        require_unsigned(fields[key], greatest, "fare table: key " + str(key))
    if not isinstance(fields[5], dict):
        raise DocumentError("fares are a map by medium")
    for medium, by_category in fields[5].items():
        require_unsigned(medium, _U16_MAX, "fare table: medium")
        if not isinstance(by_category, dict):
            raise DocumentError("fares of a medium are a map by category")
        for category, fare in by_category.items():
            require_unsigned(category, _U16_MAX, "fare table: category")
            require_unsigned(fare, _FARE_MINOR_MAX, "fare table: fare")
    rules = decode_fare_rules(fields[6]) if 6 in fields else None
    if rules is not None and rules.encode() != fields[6]:
        raise DocumentError("fare rules: what is the default is left out")
    return FareTable(fields[1], fields[2], fields[3], fields[4], fields[5], rules)


def require_unsigned(value: Any, greatest: int, what: str) -> None:  # noqa: ANN401 - whatever was decoded
    """Raise DocumentError unless `value` is an integer from 0 to `greatest`."""
    if not is_integer(value, 0, greatest):
        raise DocumentError(what + " is out of range")
