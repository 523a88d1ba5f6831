"""What a close says of a day, as canonical JSON, and the entries it books. Pure.

The same rides give the same bytes. A version books the difference to what the versions before it have booked, so that all
versions together always book the day once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from clearing.access.audit import canonical_json
from clearing.ledger.chart import agents_account, funding_account, payable_account, purses_account, refund_account
from clearing.ledger.entries import Entry, entry_of
from clearing.pricing.shares import MediumTotal, share_of

# By these the rider has paid what the record says; by others the counterparty will be asked for the fare alone.
_TAKEN_ON_THE_SPOT = frozenset({"transport_card", "cash", "sms"})


@dataclass(frozen=True)
class Line:
    """Rides of one carrier by one medium.

    Attributes:
        charged_minor: fares.
        correction_minor: taken on the bus beyond that.
    """

    carrier: str
    medium: str
    trips: int
    charged_minor: int
    correction_minor: int


@dataclass(frozen=True)
class CarrierTotal:
    """Rides and fares of one carrier."""

    code: str
    name: str
    trips: int
    fares_minor: int


@dataclass(frozen=True)
class Totals:
    """Everything that a close says.

    Attributes:
        lines: rides by carrier and medium, sorted.
        carriers: names by code are not part of the totals; `carriers` is derived.
        refused: refusals by validators.
        unknown, unknown_minor: debits of which nobody knows whether the card committed them, and what they would be worth.
        exceptions: records on the exceptions list.
        top_ups, top_ups_minor: loaded onto transport cards by agents.
    """

    lines: tuple[Line, ...]
    refused: int
    unknown: int
    unknown_minor: int
    exceptions: int
    top_ups: int
    top_ups_minor: int

    @property
    def media(self) -> list[MediumTotal]:
        found: dict[str, tuple[int, int]] = {}
        for line in self.lines:
            trips, fares_minor = found.get(line.medium, (0, 0))
            found[line.medium] = (trips + line.trips, fares_minor + line.charged_minor)
        return [MediumTotal(medium, *found[medium]) for medium in sorted(found)]

    def carriers(self, names: Mapping[str, str]) -> list[CarrierTotal]:
        found: dict[str, tuple[int, int]] = {}
        for line in self.lines:
            trips, fares_minor = found.get(line.carrier, (0, 0))
            found[line.carrier] = (trips + line.trips, fares_minor + line.charged_minor)
        return [CarrierTotal(code, names.get(code, code), *found[code]) for code in sorted(found)]

    @property
    def rides(self) -> int:
        return sum(line.trips for line in self.lines)

    @property
    def fares_minor(self) -> int:
        return sum(line.charged_minor for line in self.lines)

    @property
    def share_trips_percent(self) -> Decimal | None:
        return share_of(self.media).trips_percent

    @property
    def share_revenue_percent(self) -> Decimal | None:
        return share_of(self.media).revenue_percent

    def to_json(self) -> str:
        """Canonical JSON: one text for one set of totals."""
        value: dict[str, Any] = asdict(self)
        value["lines"] = [asdict(line) for line in self.lines]
        return canonical_json(value)


def totals_from_json(text: str) -> Totals:
    value = json.loads(text)
    return Totals(lines=tuple(Line(**line) for line in value.pop("lines")), **value)


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def legs_by_subject(city: str, totals: Totals | None) -> dict[str, dict[str, int]]:
    """Amounts by account for each subject of a day (`carrier/medium`, `top-ups`), as they stand after these totals."""
    subjects: dict[str, dict[str, int]] = {}
    if totals is None:
        return subjects
    for line in totals.lines:
        taken = line.charged_minor + (line.correction_minor if line.medium in _TAKEN_ON_THE_SPOT else 0)
        subjects[f"{line.carrier}/{line.medium}"] = {
            funding_account(city, line.carrier, line.medium): taken,
            payable_account(city, line.carrier): -line.charged_minor,
            refund_account(city): line.charged_minor - taken,
        }
    subjects["top-ups"] = {agents_account(city): totals.top_ups_minor, purses_account(city): -totals.top_ups_minor}
    return subjects


def entries_between(city: str, day: str, version: int, before: Totals | None, after: Totals) -> list[Entry]:
    """The entries that a version books: what the day is worth after it, less what was booked before it."""
    old, new = legs_by_subject(city, before), legs_by_subject(city, after)
    entries = []
    for subject in sorted({*old, *new}):
        legs = dict(new.get(subject, {}))
        for account, amount in old.get(subject, {}).items():
            legs[account] = legs.get(account, 0) - amount
        key = f"close/{city}/{day}/{version}/{subject}"
        entry = entry_of(key, city, day, f"{day}: {subject.replace('/', ', ')}", legs)
        if entry is not None:
            entries.append(entry)
    return entries


def sum_lines(rows: Iterable[tuple[str, str, int, int, int]]) -> tuple[Line, ...]:
    """Lines in their one order."""
    return tuple(Line(*row) for row in sorted(rows))
