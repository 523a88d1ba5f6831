"""What settlement has to show, as JSON or CSV for other programs: the same close gives the same bytes. Pure."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from clearing.money import as_number
from clearing.settlement.adjustments import AdjustmentView
from clearing.settlement.difference import Change
from clearing.settlement.evidence import Proof
from clearing.settlement.payouts import PayoutView
from clearing.settlement.service import CloseView
from clearing.settlement.statements import Statement


def as_dict(close: CloseView) -> dict[str, Any]:
    """Everything that a close says, for JSON; whether it is final is said where that was asked for a moment."""
    totals = close.totals
    said = {
        "city": close.city,
        "day": close.day,
        "version": close.version,
        "closed_at_ms": close.closed_at_ms,
        "sha256": close.sha256,
        "rides": totals.rides,
        "fares_minor": totals.fares_minor,
        "refused": totals.refused,
        "unknown": totals.unknown,
        "unknown_minor": totals.unknown_minor,
        "exceptions": totals.exceptions,
        "top_ups": totals.top_ups,
        "top_ups_minor": totals.top_ups_minor,
        "cashless_share_trips_percent": as_number(totals.share_trips_percent),
        "cashless_share_revenue_percent": as_number(totals.share_revenue_percent),
        "media": [{"medium": row.medium, "trips": row.trips, "fares_minor": row.fares_minor} for row in totals.media],
        "carriers": [
            {"carrier": row.code, "name": row.name, "trips": row.trips, "fares_minor": row.fares_minor}
            for row in close.carriers
        ],
        "subsidies_minor": totals.subsidies_minor,
        "adjustments": [
            {"reference": line.reference, "kind": line.kind, "reason": line.reason, "legs": dict(line.legs)}
            for line in totals.adjustments
        ],
        "evidence": None if totals.evidence is None else asdict(totals.evidence),
        "rides_difference": close.rides_difference,
        "fares_difference_minor": close.fares_difference_minor,
        "entries": [
            {
                "entry_key": entry.entry_key,
                "description": entry.description,
                "postings": [
                    {"account": account, "kind": kind, "amount_minor": amount}
                    for account, kind, amount in entry.postings
                ],
            }
            for entry in close.entries
        ],
    }
    return said if close.state is None else said | {"state": close.state}


def as_csv(close: CloseView) -> str:
    """One row for each carrier and medium."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["city", "day", "version", "carrier", "medium", "trips", "charged_minor", "correction_minor"])
    for line in close.totals.lines:
        amounts = (line.trips, line.charged_minor, line.correction_minor)
        writer.writerow([close.city, close.day, close.version, line.carrier, line.medium, *amounts])
    return out.getvalue()


def proof_as_dict(proof: Proof) -> dict[str, Any]:
    """A proof of inclusion for JSON."""
    return {
        "leaf": proof.text,
        "salt": proof.salt.hex(),
        "index": proof.index,
        "size": proof.size,
        "path": [each.hex() for each in proof.path],
        "root": proof.root.hex(),
    }


def change_as_dict(change: Change, language: str) -> dict[str, Any]:
    """A change between two versions for JSON."""
    said = {"what": change.what, "of": dict(change.of), "before": change.before, "after": change.after}
    return said | {"change": change.change, "is_money": change.is_money, "text": change.in_words(language)}


def adjustment_as_dict(view: AdjustmentView) -> dict[str, Any]:
    """An adjustment for JSON."""
    return asdict(view) | {"legs": dict(view.legs)}


def payout_as_dict(view: PayoutView) -> dict[str, Any]:
    """A payout for JSON."""
    return asdict(view) | {"netted": dict(view.netted)}


def statement_as_dict(statement: Statement) -> dict[str, Any]:
    """A statement for JSON."""
    accounts = [asdict(row) | {"closing_minor": row.closing_minor} for row in statement.accounts]
    return asdict(statement) | {"accounts": accounts, "versions": dict(statement.versions)}
