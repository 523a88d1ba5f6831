"""What can be asked of the network: cities, vehicles, the price of a day; and how a city package gets in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from clearing.endpoint import NotFoundError
from clearing.network.models import Carrier, City, Route, Tariff, Vehicle
from clearing.network.package import CityPackage
from clearing.network.ride_rules import RideRules, read_rules


@dataclass(frozen=True)
class TariffPeriod:
    """All prices that hold from one day to another.

    Attributes:
        fares_minor: by medium and rider category.
    """

    valid_from: str
    valid_until: str | None
    fares_minor: dict[str, dict[int, int]]


def _names(names: Mapping[str, str]) -> str:
    return json.dumps(names, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def load_package(session: Session, package: CityPackage) -> bool:
    """Bring a city package into the tables; false when it is there already, unchanged."""
    city = session.get(City, package.code)
    if city is not None and city.package_sha256 == package.sha256:
        return False
    session.merge(
        City(
            code=package.code,
            number=package.number,
            names_json=_names(package.names),
            zone=package.zone,
            currency=package.currency,
            rules_json=json.dumps(package.rules_table, default=str, sort_keys=True),
            package_sha256=package.sha256,
        )
    )
    session.flush()
    for code, names in package.carriers.items():
        session.merge(Carrier(city=package.code, code=code, names_json=_names(names)))
    session.flush()
    for number, (carrier, names) in package.routes.items():
        session.merge(Route(city=package.code, number=number, carrier=carrier, names_json=_names(names)))
    session.flush()
    for code, line in package.vehicles.items():
        session.merge(Vehicle(city=package.code, code=code, line=line, carrier=package.routes[line][0]))
    session.execute(delete(Tariff).where(Tariff.city == package.code))
    session.add_all(
        Tariff(
            city=package.code,
            valid_from=price.valid_from,
            valid_until=price.valid_until,
            medium=price.medium,
            category=price.category,
            fare_minor=price.fare_minor,
            source=price.source,
        )
        for price in package.prices
    )
    session.flush()
    return True


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


def list_cities(session: Session) -> list[City]:
    return list(session.scalars(select(City).order_by(City.code)))


def list_carriers(session: Session, city: str) -> list[Carrier]:
    return list(session.scalars(select(Carrier).where(Carrier.city == city).order_by(Carrier.code)))


def list_routes(session: Session, city: str) -> list[Route]:
    return list(session.scalars(select(Route).where(Route.city == city).order_by(Route.number)))


def list_vehicles(session: Session, city: str) -> list[Vehicle]:
    return list(session.scalars(select(Vehicle).where(Vehicle.city == city).order_by(Vehicle.code)))


def find_vehicle(session: Session, city: str, code: str) -> Vehicle | None:
    return session.get(Vehicle, (city, code))


def tariff_periods(session: Session, city: str) -> list[TariffPeriod]:
    """The dated tariffs of a city, oldest first."""
    periods: dict[tuple[str, str | None], dict[str, dict[int, int]]] = {}
    rows = session.scalars(select(Tariff).where(Tariff.city == city).order_by(Tariff.valid_from, Tariff.id))
    for row in rows:
        fares = periods.setdefault((row.valid_from, row.valid_until), {})
        fares.setdefault(row.medium, {})[row.category] = row.fare_minor
    return [TariffPeriod(first, last, fares) for (first, last), fares in periods.items()]


def fares_on(session: Session, city: str, day: str) -> dict[tuple[str, int], int]:
    """Every price of a service day, by (medium, rider category)."""
    rows = session.scalars(
        select(Tariff)
        .where(Tariff.city == city, Tariff.valid_from <= day)
        .where(or_(Tariff.valid_until.is_(None), Tariff.valid_until >= day))
    )
    return {(row.medium, row.category): row.fare_minor for row in rows}
