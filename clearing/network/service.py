"""What can be asked of the network: cities, vehicles, the price of a day, who takes part in a city's money."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from clearing.endpoint import NotFoundError
from clearing.network.models import Carrier, City, CityParties, Route, RouteStop, Stop, Tariff, Vehicle
from clearing.network.parties import Parties
from clearing.network.ride_rules import RideRules, read_rules


@dataclass(frozen=True)
class TariffPeriod:
    """All prices that hold from one day to another.

    Attributes:
        fares_minor: by medium and rider category.
        source: where it was published; `example` when it was nowhere.
    """

    valid_from: str
    valid_until: str | None
    fares_minor: dict[str, dict[int, int]]
    source: str = ""
    example: bool = False


def city_of(session: Session, code: str) -> City:
    """A city by its code.

    Raises:
        NotFoundError: it is not loaded.
    """
    city = session.get(City, code)
    if city is None:
        raise NotFoundError(f"there is no city {code}", "load its package: jolaqy db migrate --city CODE")
    return city


def lock_city(session: Session, code: str) -> City:
    """A city, held by this writing session until it ends: whoever else wants it waits. Taps and payments go on coming in.

    Raises:
        NotFoundError: it is not loaded.
    """
    # Rows that only refer to the city are not kept waiting (FOR NO KEY UPDATE); SQLite has one writer anyway.
    session.get(City, code, with_for_update={"key_share": True})
    return city_of(session, code)


def rules_of(city: City) -> RideRules:
    """A city's rules of the ride."""
    return read_rules(json.loads(city.rules_json))


def parties_of(session: Session, code: str, day: str | None = None) -> Parties:
    """Who takes part in a city's money on a service day, or as it was said last when no day is given.

    Raises:
        NotFoundError: the city is not loaded.
    """
    rows = session.scalars(
        select(CityParties).where(CityParties.city == city_of(session, code).code).order_by(CityParties.valid_from)
    ).all()
    in_force = [row for row in rows if day is None or row.valid_from <= day] or rows[:1]
    return Parties.model_validate_json(in_force[-1].parties_json) if in_force else Parties()


def store_parties(session: Session, code: str, parties: Parties) -> None:
    """Remember who takes part in a city's money from `parties.valid_from` on; what was said of later days is void."""
    session.execute(delete(CityParties).where(CityParties.city == code, CityParties.valid_from >= parties.valid_from))
    text = parties.model_dump_json(by_alias=True, exclude_defaults=True)
    session.add(CityParties(city=code, valid_from=parties.valid_from, parties_json=text))
    session.flush()


def list_cities(session: Session) -> list[City]:
    return list(session.scalars(select(City).order_by(City.code)))


def list_carriers(session: Session, city: str) -> list[Carrier]:
    return list(session.scalars(select(Carrier).where(Carrier.city == city).order_by(Carrier.code)))


def list_routes(session: Session, city: str) -> list[Route]:
    return list(session.scalars(select(Route).where(Route.city == city).order_by(Route.number)))


def list_vehicles(session: Session, city: str) -> list[Vehicle]:
    return list(session.scalars(select(Vehicle).where(Vehicle.city == city).order_by(Vehicle.code)))


def list_stops(session: Session, city: str) -> list[Stop]:
    return list(session.scalars(select(Stop).where(Stop.city == city).order_by(Stop.number)))


def list_route_stops(session: Session, city: str) -> list[RouteStop]:
    """The stops of all routes, each route's in the order in which it calls there."""
    query = select(RouteStop).where(RouteStop.city == city).order_by(RouteStop.line, RouteStop.place)
    return list(session.scalars(query))


def find_vehicle(session: Session, city: str, code: str) -> Vehicle | None:
    return session.get(Vehicle, (city, code))


def tariff_periods(session: Session, city: str) -> list[TariffPeriod]:
    """The dated tariffs of a city, oldest first."""
    periods: dict[tuple[str, str | None, str, bool], dict[str, dict[int, int]]] = {}
    rows = session.scalars(select(Tariff).where(Tariff.city == city).order_by(Tariff.valid_from, Tariff.id))
    for row in rows:
        fares = periods.setdefault((row.valid_from, row.valid_until, row.source, row.example), {})
        fares.setdefault(row.medium, {})[row.category] = row.fare_minor
    return [
        TariffPeriod(first, last, fares, source, example) for (first, last, source, example), fares in periods.items()
    ]


def fares_on(session: Session, city: str, day: str) -> dict[tuple[str, int], int]:
    """Every price of a service day, by (medium, rider category)."""
    rows = session.scalars(
        select(Tariff)
        .where(Tariff.city == city, Tariff.valid_from <= day)
        .where(or_(Tariff.valid_until.is_(None), Tariff.valid_until >= day))
    )
    return {(row.medium, row.category): row.fare_minor for row in rows}
