"""HTTP of the network: what is loaded."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.endpoint import DatabaseOf
from clearing.network.service import list_cities

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
