"""The city that a page is about, and what every page asks of its reader."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from pydantic import BeforeValidator
from sqlalchemy.orm import Session

from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.dashboard.rendering import language_of
from clearing.endpoint import Day, NotFoundError
from clearing.network.models import City
from clearing.network.service import list_cities

Reader = Annotated[Caller, Depends(require("page.read"))]
# A form sends an empty text for what was not chosen.
AskedDay = Annotated[Day | None, BeforeValidator(lambda text: text or None)]


@dataclass(frozen=True)
class Place:
    """The city that a page is about.

    Attributes:
        name: in the reader's language.
        query: what a link to another page about it must carry; empty when it is this reader's first city anyway.
        others: further cities that the reader may look at: query and name.
    """

    code: str
    name: str
    zone: str
    query: str
    others: tuple[tuple[str, str], ...]


def find_place(request: Request, session: Session, caller: Caller, asked: str | None) -> Place:
    cities = {city.code: city for city in list_cities(session) if caller.may("page.read", city.code)}
    city = cities.get(asked) if asked else next(iter(cities.values()), None)
    if city is None:
        raise NotFoundError(
            f"there is no city {asked or ''}".rstrip(), "load its package: jolaqy db migrate --city CODE"
        )
    first = next(iter(cities))

    def query(code: str) -> str:
        return "" if code == first else f"?city={code}"

    others = tuple((f"?city={other.code}", _name(other, request)) for other in cities.values() if other is not city)
    return Place(city.code, _name(city, request), city.zone, query(city.code), others)


def _name(city: City, request: Request) -> str:
    return str(json.loads(city.names_json).get(language_of(request), city.code))


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, each once."""
    body = (await request.body()).decode(errors="replace")
    return dict(parse_qsl(body))


Form = Annotated[dict[str, str], Depends(read_form)]
