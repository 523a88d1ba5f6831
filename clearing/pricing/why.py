"""Why a ride costs what it costs: a fare with its derivation in words, and the journey that it belongs to."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.endpoint import NotFoundError
from clearing.pricing.derivation import say
from clearing.pricing.gathering import day_beside
from clearing.pricing.models import Fare
from clearing.pricing.proving import proofs_of

_JOURNEY_MAX = 200


@dataclass(frozen=True)
class JourneyRide:
    """A ride of a journey.

    Attributes:
        key: `source/source key`.
        is_asked: it is the one that was asked about.
    """

    key: str
    ridden_at_s: int
    carrier: str
    vehicle: str
    line: int | None
    charged_minor: int
    rule: str
    is_asked: bool


@dataclass(frozen=True)
class Why:
    """A fare, explained.

    Attributes:
        key: `source/source key`.
        sentences: the derivation, from the tariff to what is charged.
        card_proof: whether a transport card has signed the ride; absent where it is no such ride.
        journey: the rides that belong together, in their order; the one asked about among them.
    """

    key: str
    city: str
    day: str
    ridden_at_s: int
    carrier: str
    vehicle: str
    line: int | None
    medium: str
    category: int
    riders: int
    scheduled_minor: int
    charged_minor: int
    correction_minor: int
    subsidy_minor: int
    rule: str
    sentences: tuple[str, ...]
    card_proof: str | None
    journey_key: str
    journey: tuple[JourneyRide, ...]


def why(session: Session, key: str, language: str) -> Why:
    """Explain a fare by its key, `source/source key`, such as `tap/DEVICE/EPOCH/SEQUENCE`.

    Raises:
        NotFoundError: there is no such fare.
    """
    source, _, source_key = key.partition("/")
    fare = session.scalar(select(Fare).where(Fare.source == source, Fare.source_key == source_key))
    if fare is None:
        raise NotFoundError(
            f"no fare has the key {key[:200]}",
            "it is tap/DEVICE/EPOCH/SEQUENCE or sms/SENDER/REFERENCE; a day has fares when it is closed, a refused tap has none",
        )
    explanation = json.loads(fare.explanation_json)
    journey_key = fare.journey_key or key
    return Why(
        key=key,
        city=fare.city,
        day=fare.service_day,
        ridden_at_s=fare.ridden_at_s,
        carrier=fare.carrier,
        vehicle=fare.vehicle,
        line=fare.line,
        medium=fare.medium,
        category=fare.category,
        riders=fare.riders,
        scheduled_minor=fare.scheduled_minor,
        charged_minor=fare.charged_minor,
        correction_minor=fare.correction_minor,
        subsidy_minor=fare.subsidy_minor,
        rule=fare.rule,
        sentences=tuple(say(explanation, vars(fare), language)),
        card_proof=proofs_of(session, fare.city, fare.service_day, [fare.source_key]).get(fare.source_key),
        journey_key=journey_key,
        journey=_journey(session, fare, journey_key),
    )


def _journey(session: Session, fare: Fare, journey_key: str) -> tuple[JourneyRide, ...]:
    source, _, source_key = journey_key.partition("/")
    first = (Fare.source == source) & (Fare.source_key == source_key)
    if fare.token is None:
        rides = [fare]
    else:
        # A journey has one medium, and is over within a day; without that, the question would go through every fare.
        query = select(Fare).where(Fare.city == fare.city, Fare.token == fare.token)
        days = query.where(Fare.service_day.between(day_beside(fare.service_day, -1), day_beside(fare.service_day, 1)))
        rides = list(session.scalars(days.where(first | (Fare.journey_key == journey_key)).limit(_JOURNEY_MAX)))
    return tuple(
        JourneyRide(
            f"{ride.source}/{ride.source_key}",
            ride.ridden_at_s,
            ride.carrier,
            ride.vehicle,
            ride.line,
            ride.charged_minor,
            ride.rule,
            ride is fare,
        )
        for ride in sorted(rides, key=lambda ride: (ride.ridden_at_s, ride.source, ride.source_key))
    )
