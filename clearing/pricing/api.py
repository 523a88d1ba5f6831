"""HTTP of pricing: the cleared rides of a day."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.endpoint import DatabaseOf, Day
from clearing.network.service import city_of
from clearing.pricing.proving import proofs_of
from clearing.pricing.service import list_fares

router = APIRouter(prefix="/v1")


@router.get("/fares")
def read_fares(
    _caller: Annotated[Caller, Depends(require("fare.read"))],
    database: DatabaseOf,
    city: str,
    day: Day,
    after: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> dict[str, Any]:
    """One page of cleared rides; the next one begins after `next_after`, which is null at the end.

    `card_proof` says whether a transport card has signed the ride (`proven`, `wrong`, `missing`); null where it is no such ride.
    """
    with database.reading() as session:
        city_of(session, city)
        source, _, source_key = after.partition("/")
        fares = list_fares(session, city, day, (source, source_key), limit)
        proofs = proofs_of(session, city, day, [fare.source_key for fare in fares])
    return {
        "fares": [
            {
                "source": fare.source,
                "source_key": fare.source_key,
                "carrier": fare.carrier,
                "vehicle": fare.vehicle,
                "line": fare.line,
                "medium": fare.medium,
                "category": fare.category,
                "ridden_at_s": fare.ridden_at_s,
                "scheduled_minor": fare.scheduled_minor,
                "charged_minor": fare.charged_minor,
                "correction_minor": fare.correction_minor,
                "card_proof": proofs.get(fare.source_key),
                "explanation": json.loads(fare.explanation_json),
            }
            for fare in fares
        ],
        "next_after": f"{fares[-1].source}/{fares[-1].source_key}" if len(fares) == limit else None,
    }
