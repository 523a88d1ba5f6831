"""What a close says of a day, as canonical JSON. Pure.

The same rides give the same bytes on every machine and either database: no moment of a clock, no number of a row and no name of
whoever closed the day is in them. `format` says how the text is to be read; closes of format 1 had lines and counts alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from clearing.access.audit import canonical_json
from clearing.ledger.entries import Entry
from clearing.pricing.shares import MediumTotal, share_of

FORMAT = 2


@dataclass(frozen=True, order=True)
class Line:
    """Rides of one carrier by one medium, of one counterparty and one fare operator.

    Attributes:
        charged_minor: fares.
        correction_minor: taken on the bus beyond that.
        party: code of the counterparty that owes the fares; empty where the package names none, and for purses and cash.
        operator: code of the fare operator that clears them; `commission_bp` is what it keeps, in basis points.
    """

    carrier: str
    medium: str
    trips: int
    charged_minor: int
    correction_minor: int
    party: str = ""
    operator: str = ""
    commission_bp: int = 0


@dataclass(frozen=True, order=True)
class SubsidyLine:
    """What a payer of concessions owes for rides of one category with one carrier."""

    carrier: str
    payer: str
    category: int
    rides: int
    subsidy_minor: int


@dataclass(frozen=True, order=True)
class AgentLine:
    """Top-ups that one agent has sold; `waiting_minor` of them were not loaded at once, but wait for their card."""

    party: str
    top_ups: int
    sold_minor: int
    waiting_minor: int


@dataclass(frozen=True, order=True)
class PoolLine:
    """Carriers that share their fares, net of commission, by weights: those of the package, or their rides of the day."""

    code: str
    weights: tuple[tuple[str, int], ...]


@dataclass(frozen=True, order=True)
class AdjustmentLine:
    """A correction that two persons have made.

    Attributes:
        legs: (account, tiyn), debit positive; none where it only lets in what came after the day was final.
    """

    reference: str
    kind: str
    reason: str
    legs: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Evidence:
    """The root over everything that the day's money follows from (`clearing.settlement.evidence`).

    Attributes:
        root: of the RFC 6962 tree over the salted leaves, hexadecimal.
        leaves: how many; of these the taps by verdict, `missing` ranges of sequence numbers, and what channels brought.
    """

    root: str
    leaves: int
    accepted: int
    refused: int
    not_counted: int
    missing: int
    channels: int


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
        lines: rides by carrier and medium, sorted; names of carriers are not part of the totals.
        refused: refusals by validators.
        unknown, unknown_minor: debits of which nobody knows whether the card committed them, and what they would be worth.
        exceptions: records on the exceptions list.
        top_ups, top_ups_minor: sold by agents; `agents` says by whom.
        applied_minor: top-ups that had waited and were loaded onto their cards.
        transfers: what carriers get (or give, negative) of fares that other carriers have taken, for journeys with changes.
    """

    lines: tuple[Line, ...]
    refused: int
    unknown: int
    unknown_minor: int
    exceptions: int
    top_ups: int
    top_ups_minor: int
    agents: tuple[AgentLine, ...] = ()
    applied_minor: int = 0
    subsidies: tuple[SubsidyLine, ...] = ()
    pools: tuple[PoolLine, ...] = ()
    transfers: tuple[tuple[str, int], ...] = ()
    adjustments: tuple[AdjustmentLine, ...] = ()
    evidence: Evidence | None = None

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
    def subsidies_minor(self) -> int:
        return sum(line.subsidy_minor for line in self.subsidies)

    @property
    def share_trips_percent(self) -> Decimal | None:
        return share_of(self.media).trips_percent

    @property
    def share_revenue_percent(self) -> Decimal | None:
        return share_of(self.media).revenue_percent


def document_of(city: str, day: str, version: int, totals: Totals, entries: Iterable[Entry]) -> str:
    """The text of a close: one for one set of totals and entries; its SHA-256 is the close's."""
    booked = {
        entry.entry_key: {posting.account: posting.amount_minor for posting in entry.postings} for entry in entries
    }
    value = {"format": FORMAT, "city": city, "day": day, "version": version, "totals": asdict(totals)}
    return canonical_json(value | {"entries": booked})


def totals_from_json(text: str) -> Totals:
    """The totals of a stored close of any format."""
    value = json.loads(text)
    written = value["totals"] if "format" in value else value
    evidence = written.get("evidence")
    return Totals(
        **written
        | {
            "lines": tuple(Line(**line) for line in written["lines"]),
            "agents": tuple(AgentLine(**line) for line in written.get("agents", ())),
            "subsidies": tuple(SubsidyLine(**line) for line in written.get("subsidies", ())),
            "pools": tuple(PoolLine(line["code"], _pairs(line["weights"])) for line in written.get("pools", ())),
            "transfers": _pairs(written.get("transfers", ())),
            "adjustments": tuple(
                AdjustmentLine(**line | {"legs": _pairs(line["legs"])}) for line in written.get("adjustments", ())
            ),
            "evidence": None if evidence is None else Evidence(**evidence),
        }
    )


def _pairs(written: Iterable[Any]) -> tuple[tuple[str, int], ...]:
    return tuple((name, amount) for name, amount in written)


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sum_lines(rows: Iterable[tuple[Any, ...]]) -> tuple[Line, ...]:
    """Lines in their one order."""
    return tuple(sorted(Line(*row) for row in rows))
