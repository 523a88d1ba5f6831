"""The kinds of rules that a dated tariff may have; how they are written says `clearing.network.tariff_rules`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Whom:
    """On which rides a rule holds: by media and rider categories; empty means all."""

    media: frozenset[str] = frozenset()
    categories: frozenset[int] = frozenset()

    def covers(self, medium: str, category: int) -> bool:
        return (not self.media or medium in self.media) and (not self.categories or category in self.categories)


@dataclass(frozen=True)
class Transfer:
    """Rides that cost no more than `fare_minor` within so many seconds of the last *paid* ride.

    Attributes:
        rides: how many of them; they do not lengthen the time.
        same_carrier: only on vehicles of the carrier that was paid.
        other_line: only on another line than the paid one.
    """

    within_s: int
    rides: int
    fare_minor: int
    whom: Whom = Whom()
    same_carrier: bool = False
    other_line: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether a validator can apply it offline."""
        return self.whom == Whom() and not self.same_carrier and not self.other_line


@dataclass(frozen=True)
class Cap:
    """No more than this amount in a period."""

    period: str
    amount_minor: int
    whom: Whom = Whom()


@dataclass(frozen=True)
class PassRule:
    """A pass that may be sold, and on which media it rides."""

    product: int
    names: Mapping[str, str]
    period: str
    price_minor: int
    whom: Whom


@dataclass(frozen=True)
class Ages:
    """The years of age at which a category may be held, both included; an absent end is open."""

    first: int
    last: int | None


@dataclass(frozen=True)
class Group:
    """One medium pays for several riders: its holder by the rules, the others an adult's fare each."""

    riders_max: int
    whom: Whom


@dataclass(frozen=True)
class Zones:
    """Fares by how far one rides.

    Attributes:
        order: names of the zones along the line.
        stops: zone by stop.
        lines: where zones count; empty for everywhere.
        fares_minor: by rider category: for one zone, two, three …
        pairs: fares by category that differ, by zones in the order of the line.
    """

    order: tuple[str, ...]
    stops: Mapping[int, str]
    lines: frozenset[int]
    fares_minor: Mapping[int, tuple[int, ...]]
    pairs: Mapping[tuple[str, str], Mapping[int, int]]

    def fare_minor(self, category: int, start: str, end: str) -> int | None:
        """The fare from one zone to another; absent where this category has none."""
        first, last = sorted((self.order.index(start), self.order.index(end)))
        said = self.pairs.get((self.order[first], self.order[last]), {}).get(category)
        if said is not None or category not in self.fares_minor:
            return said
        return self.fares_minor[category][last - first]

    def fares_from(self, category: int, start: str | None) -> tuple[int, ...]:
        """Every fare that a ride from a zone can have, or from anywhere when nobody knows where it began; lowest first."""
        starts = self.order if start is None else (start,)
        fares = {self.fare_minor(category, each, end) for each in starts for end in self.order}
        return tuple(sorted(fare for fare in fares if fare is not None))


@dataclass(frozen=True)
class TapOff:
    """Media that are held twice, and within which time the second tap ends the ride."""

    media: frozenset[str]
    within_s: int


@dataclass(frozen=True)
class TariffRules:
    """The rules of one dated tariff.

    Attributes:
        free_days: ISO dates of service days.
        quotas: free rides a service day, by rider category.
        agreed_minor: what the payer of a concession owes for a ride, by category; an adult's fare where it is absent.
    """

    free_days: frozenset[str] = frozenset()
    quotas: Mapping[int, int] = field(default_factory=dict)
    transfer: Transfer | None = None
    same_vehicle_s: int = 0
    group: Group | None = None
    ages: Mapping[int, Ages] = field(default_factory=dict)
    agreed_minor: Mapping[int, int] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    passes: Mapping[int, PassRule] = field(default_factory=dict)
    zones: Zones | None = None
    tap_off: TapOff | None = None

    def pass_for(self, product: int | None, medium: str, category: int) -> PassRule | None:
        """The pass that a tap names, where it may be used."""
        found = self.passes.get(product or 0)
        return found if found is not None and found.whom.covers(medium, category) else None

    def may_hold(self, category: int, age: int) -> bool:
        """Whether somebody of this age may hold a category."""
        ages = self.ages.get(category)
        return ages is None or (ages.first <= age and (ages.last is None or age <= ages.last))
