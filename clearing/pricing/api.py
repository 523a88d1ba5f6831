"""HTTP of pricing: the cleared rides of a day, why one costs what it costs, and what a proposed tariff would do."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.endpoint import DatabaseOf, Day
from clearing.network.service import city_of
from clearing.pricing.proposal import PROPOSAL_BYTES_MAX, read_proposal
from clearing.pricing.proving import proofs_of
from clearing.pricing.service import list_fares
from clearing.pricing.what_if import trial_as_dict, try_tariff
from clearing.pricing.why import why

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
                "riders": fare.riders,
                "subsidy_minor": fare.subsidy_minor,
                "journey_key": fare.journey_key,
                "card_proof": proofs.get(fare.source_key),
                "explanation": json.loads(fare.explanation_json),
            }
            for fare in fares
        ],
        "next_after": f"{fares[-1].source}/{fares[-1].source_key}" if len(fares) == limit else None,
    }


@router.get("/fares/why")
def explain_fare(
    caller: Annotated[Caller, Depends(require("fare.read"))],
    database: DatabaseOf,
    key: Annotated[str, Query(min_length=3, max_length=200)],
    language: Literal["kk", "ru", "en"] = "en",
) -> dict[str, Any]:
    """Why a ride costs what it costs, in words, with the journey that it belongs to."""
    with database.reading() as session:
        found = why(session, key, language)
    must_reach(caller, "fare.read", found.city)
    return asdict(found)


class TariffProposed(BaseModel):
    """A proposed tariff, as a `tariffs.toml`, and past days on which to try it."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=64)
    first_day: Day
    last_day: Day
    tariffs: str = Field(max_length=PROPOSAL_BYTES_MAX)
    dated: bool = False


@router.post("/tariffs/try")
def try_proposal(
    asked: TariffProposed, caller: Annotated[Caller, Depends(require("fare.read"))], database: DatabaseOf
) -> dict[str, Any]:
    """Price past rides again under a proposed tariff; nothing is written."""
    must_reach(caller, "fare.read", asked.city)
    with database.reading() as session:
        city_of(session, asked.city)
        proposal = read_proposal(session, asked.city, asked.tariffs)
        trial = try_tariff(session, asked.city, proposal, (asked.first_day, asked.last_day), dated=asked.dated)
    return trial_as_dict(trial)
