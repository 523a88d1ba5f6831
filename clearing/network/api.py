"""HTTP of the network: what is loaded, what a ride costs, who takes part in the money."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.endpoint import DatabaseOf, Day
from clearing.network.dated_rules import dated_tables
from clearing.network.service import (
    city_of,
    list_carriers,
    list_cities,
    list_route_stops,
    list_routes,
    list_stops,
    list_vehicles,
    parties_of,
    tariff_periods,
)

router = APIRouter(prefix="/v1")


@router.get("/cities")
def read_cities(caller: Annotated[Caller, Depends(require("city.read"))], database: DatabaseOf) -> dict[str, Any]:
    allowed = caller.cities("city.read")
    with database.reading() as session:
        return {
            "cities": [
                {
                    "code": city.code,
                    "number": city.number,
                    "zone": city.zone,
                    "kato": city.kato,
                    "iso_3166_2": city.iso_3166_2,
                    "names": json.loads(city.names_json),
                }
                for city in list_cities(session)
                if allowed is None or city.code in allowed
            ]
        }


@router.get("/network")
def read_network(
    _caller: Annotated[Caller, Depends(require("city.read"))], database: DatabaseOf, city: str
) -> dict[str, Any]:
    """What drives in a city: its carriers, routes, vehicles and stops."""
    with database.reading() as session:
        found = city_of(session, city)
        stops: dict[int, list[int]] = {}
        for row in list_route_stops(session, city):
            stops.setdefault(row.line, []).append(row.stop)
        return {
            "code": found.code,
            "number": found.number,
            "zone": found.zone,
            "kato": found.kato,
            "iso_3166_2": found.iso_3166_2,
            "names": json.loads(found.names_json),
            "carriers": [
                {"code": row.code, "names": json.loads(row.names_json)} for row in list_carriers(session, city)
            ],
            "routes": [
                {
                    "number": row.number,
                    "carrier": row.carrier,
                    "names": json.loads(row.names_json),
                    "stops": stops.get(row.number, []),
                }
                for row in list_routes(session, city)
            ],
            "vehicles": [
                {"code": row.code, "line": row.line, "carrier": row.carrier, "plate": row.plate}
                for row in list_vehicles(session, city)
            ],
            "stops": [
                {
                    "number": row.number,
                    "names": json.loads(row.names_json),
                    "latitude": row.latitude_e6 / 1_000_000,
                    "longitude": row.longitude_e6 / 1_000_000,
                }
                for row in list_stops(session, city)
            ],
        }


@router.get("/tariffs")
def read_tariffs(
    _caller: Annotated[Caller, Depends(require("city.read"))], database: DatabaseOf, city: str
) -> dict[str, Any]:
    """The dated tariffs of a city, oldest first: prices by medium and rider category, and where they were published."""
    with database.reading() as session:
        found = city_of(session, city)
        tables = dated_tables(session, city)
        periods = [
            {
                "valid_from": period.valid_from,
                "valid_until": period.valid_until,
                "source": period.source,
                "example": period.example,
                "fares_minor": period.fares_minor,
                "rules": tables.get(period.valid_from, {}),
            }
            for period in tariff_periods(session, city)
        ]
        return {
            "code": found.code,
            "currency": found.currency,
            "tariffs": periods,
            "ride_rules": json.loads(found.rules_json),
        }


@router.get("/parties")
def read_parties(
    _caller: Annotated[Caller, Depends(require("ledger.read"))],
    database: DatabaseOf,
    city: str,
    day: Day | None = None,
) -> dict[str, Any]:
    """Who takes part in a city's money on a service day, or as it was said last."""
    with database.reading() as session:
        return {"code": city, "parties": parties_of(session, city, day).model_dump(mode="json", by_alias=True)}
