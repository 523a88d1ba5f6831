"""The cashless share and what it is made of. Pure.

Definitions: `trips/1` is cleared rides not paid in cash among all cleared rides, in per cent; `revenue/1` is the same by charged
fares. Free rides count as trips. Both are rounded half to even to two decimals, and absent where there is no whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from clearing.money import percent
from clearing.network.package import CASH

DEFINITION_TRIPS = "trips/1"
DEFINITION_REVENUE = "revenue/1"


@dataclass(frozen=True)
class MediumTotal:
    """Rides and fares by one medium."""

    medium: str
    trips: int
    fares_minor: int


@dataclass(frozen=True)
class Share:
    """The cashless share of some rides, with its numerators and denominators."""

    trips: int
    trips_cashless: int
    revenue_minor: int
    revenue_cashless_minor: int

    @property
    def trips_percent(self) -> Decimal | None:
        return percent(self.trips_cashless, self.trips)

    @property
    def revenue_percent(self) -> Decimal | None:
        return percent(self.revenue_cashless_minor, self.revenue_minor)


def share_of(totals: Iterable[MediumTotal]) -> Share:
    """Add up a share from totals by medium."""
    rows = list(totals)
    cashless = [row for row in rows if row.medium != CASH]
    return Share(
        sum(row.trips for row in rows),
        sum(row.trips for row in cashless),
        sum(row.fares_minor for row in rows),
        sum(row.fares_minor for row in cashless),
    )
