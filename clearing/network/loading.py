"""How a city package gets into the tables, and when that needs a second person.

What a package no longer names stays in the tables: taps name it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import approved_or_asked, record_audit
from clearing.endpoint import ConflictError
from clearing.network.dated_rules import dated_tables, store_tariff_rules
from clearing.network.difference import Change, CityState, changes, dated_rules, name_text, state_of, vehicle_text
from clearing.network.models import Carrier, City, CityParties, Route, RouteStop, Stop, Tariff, Vehicle
from clearing.network.package import CityPackage, Price
from clearing.network.service import (
    list_carriers,
    list_routes,
    list_stops,
    list_vehicles,
    parties_of,
    rules_of,
    store_parties,
)

_AUDITED_MAX = 100


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
            kato=package.kato,
            iso_3166_2=package.iso_3166_2,
            rules_json=json.dumps(package.rules_table, default=str, sort_keys=True),
            package_sha256=package.sha256,
        )
    )
    session.flush()
    _load_network(session, package)
    _load_tariffs(session, package)
    store_parties(session, package.code, package.parties)
    return True


def _load_network(session: Session, package: CityPackage) -> None:
    for code, names in package.carriers.items():
        session.merge(Carrier(city=package.code, code=code, names_json=_names(names)))
    session.flush()
    for number, (carrier, names) in package.routes.items():
        session.merge(Route(city=package.code, number=number, carrier=carrier, names_json=_names(names)))
    session.flush()
    for code, line in package.vehicles.items():
        carrier, plate = package.routes[line][0], package.plates.get(code)
        session.merge(Vehicle(city=package.code, code=code, line=line, carrier=carrier, plate=plate))
    session.execute(delete(RouteStop).where(RouteStop.city == package.code))
    for stop in package.stops:
        session.merge(
            Stop(
                city=package.code,
                number=stop.number,
                names_json=_names(stop.names.model_dump()),
                latitude_e6=round(stop.latitude * 1_000_000),
                longitude_e6=round(stop.longitude * 1_000_000),
            )
        )
    session.flush()
    session.add_all(
        RouteStop(city=package.code, line=line, place=place, stop=stop)
        for line, stops in package.route_stops.items()
        for place, stop in enumerate(stops, 1)
    )
    session.flush()


def _load_tariffs(session: Session, package: CityPackage) -> None:
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
            example=price.example,
        )
        for price in package.prices
    )
    store_tariff_rules(session, package.code, package.dated_rules)
    session.flush()


def loaded_state(session: Session, code: str) -> CityState | None:
    """A loaded city as it can be compared with a package; absent when it is not loaded."""
    city = session.get(City, code)
    if city is None:
        return None
    ride_rules = rules_of(city)
    vehicles = list_vehicles(session, code)
    tariffs = session.scalars(select(Tariff).where(Tariff.city == code).order_by(Tariff.id)).all()
    tables = dated_tables(session, code)
    has_parties = session.scalar(select(CityParties).where(CityParties.city == code).limit(1)) is not None
    return CityState(
        facts={name: str(getattr(city, name)) for name in ("number", "zone", "currency", "kato", "iso_3166_2")},
        places={
            **{f"carrier {row.code}": name_text(json.loads(row.names_json)) for row in list_carriers(session, code)},
            **{
                f"route {row.number}": f"{name_text(json.loads(row.names_json))}, {row.carrier}"
                for row in list_routes(session, code)
            },
            **{f"vehicle {row.code}": vehicle_text(row.line, row.plate) for row in vehicles},
            **{f"stop {row.number}": name_text(json.loads(row.names_json)) for row in list_stops(session, code)},
        },
        payees={row.code: row.carrier for row in vehicles},
        prices=[
            Price(row.valid_from, row.valid_until, row.medium, row.category, row.fare_minor, row.source, row.example)
            for row in tariffs
        ],
        rules=[
            dated_rules(first, last, tables.get(first, {}), ride_rules)
            for first, last in sorted({(row.valid_from, row.valid_until) for row in tariffs}, key=str)
        ],
        ride_rules=json.loads(city.rules_json),
        parties=parties_of(session, code) if has_parties else None,
    )


@dataclass(frozen=True)
class Loading:
    """What came of loading a package.

    Attributes:
        is_loaded: something was changed in the tables.
        waits_for_approval: number of the request that a second person must approve first.
    """

    changes: tuple[Change, ...]
    is_loaded: bool
    waits_for_approval: int | None = None


def changes_of(session: Session, package: CityPackage) -> list[Change] | None:
    """What a package would change; absent when its city is not loaded yet."""
    before = loaded_state(session, package.code)
    return None if before is None else changes(before, state_of(package))


def bring_in(
    session: Session, caller: Caller, package: CityPackage, now_ms: int, last_closed_day: str | None
) -> Loading:
    """Load a package; what it changes of money needs two persons, and closed days are not touched.

    Raises:
        ConflictError: it changes money of a day that is closed; it names each change.
    """
    found = changes_of(session, package)
    money = [change for change in found or () if change.is_money]
    too_late = [change for change in money if last_closed_day and change.since and change.since <= last_closed_day]
    if too_late:
        raise ConflictError(
            f"{package.code} is closed up to {last_closed_day}, and the package changes money from before: "
            + "; ".join(f"{change.text} (from {change.since})" for change in too_late),
            f"end what holds now, and let the change begin after {last_closed_day}",
        )
    if money:
        # What is approved is the step from what is loaded now, not the package wherever it would lead from.
        body = f"{session.get_one(City, package.code).package_sha256} {package.sha256}".encode()
        waiting = approved_or_asked(session, caller, now_ms, "city.load", package.code, body)
        if waiting is not None:
            return Loading(tuple(found or ()), False, waiting.id)
    is_loaded = load_package(session, package)
    if is_loaded:
        detail = {"sha256": package.sha256, "changes": [change.text for change in found or ()][:_AUDITED_MAX]}
        record_audit(session, caller.principal_id, now_ms, "city.load", package.code, detail)
    return Loading(tuple(found or ()), is_loaded)
