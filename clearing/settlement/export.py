"""A close as JSON or CSV for other programs: the same close gives the same bytes. Pure."""

from __future__ import annotations

import csv
import io
from typing import Any

from clearing.money import as_number
from clearing.settlement.service import CloseView


def as_dict(close: CloseView) -> dict[str, Any]:
    """Everything that a close says, for JSON."""
    totals = close.totals
    return {
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


def as_csv(close: CloseView) -> str:
    """One row for each carrier and medium."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["city", "day", "version", "carrier", "medium", "trips", "charged_minor", "correction_minor"])
    for line in close.totals.lines:
        amounts = (line.trips, line.charged_minor, line.correction_minor)
        writer.writerow([close.city, close.day, close.version, line.carrier, line.medium, *amounts])
    return out.getvalue()
