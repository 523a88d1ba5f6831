"""HTTP of the network: what is loaded."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.endpoint import DatabaseOf
from clearing.network.service import city_of, list_carriers, list_cities, list_routes, list_vehicles

router = APIRouter(prefix="/v1")


@router.get("/cities")
def read_cities(caller: Annotated[Caller, Depends(require("city.read"))], database: DatabaseOf) -> dict[str, Any]:
    allowed = caller.cities("city.read")
    with database.reading() as session:
        return {
            "cities": [
                {"code": city.code, "number": city.number, "zone": city.zone, "names": json.loads(city.names_json)}
                for city in list_cities(session)
                if allowed is None or city.code in allowed
            ]
        }


@router.get("/network")
def read_network(
    _caller: Annotated[Caller, Depends(require("city.read"))], database: DatabaseOf, city: str
) -> dict[str, Any]:
    """What drives in a city: its carriers, routes and vehicles."""
    with database.reading() as session:
        found = city_of(session, city)
        return {
            "code": found.code,
            "number": found.number,
            "zone": found.zone,
            "names": json.loads(found.names_json),
            "carriers": [
                {"code": row.code, "names": json.loads(row.names_json)} for row in list_carriers(session, city)
            ],
            "routes": [
                {"number": row.number, "carrier": row.carrier, "names": json.loads(row.names_json)}
                for row in list_routes(session, city)
            ],
            "vehicles": [
                {"code": row.code, "line": row.line, "carrier": row.carrier} for row in list_vehicles(session, city)
            ],
        }
