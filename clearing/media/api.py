"""HTTP of media: the deny list and the allow list, as operators change them; codes have a module of their own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.endpoint import ClockOf, DatabaseOf
from clearing.fleet.documents import ALLOW_LIST, DENY_LIST
from clearing.media import code_api
from clearing.media.service import add_to_list, take_off_list
from clearing.media.tokens import parse_token

_lists = APIRouter(prefix="/v1")

Tokens = Annotated[list[str], Field(min_length=1, max_length=1500)]


class Added(BaseModel):
    """Media to put on a city's list."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=32)
    tokens: Tokens
    reason: str = Field(default="reported", max_length=64)


class Removed(BaseModel):
    """Media to take off a city's list."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=32)
    tokens: Tokens


DenyWriter = Annotated[Caller, Depends(require("deny.write"))]
AllowWriter = Annotated[Caller, Depends(require("allow.write"))]


@_lists.post("/lists/deny")
def deny(asked: Added, request: Request, caller: DenyWriter, database: DatabaseOf, clock: ClockOf) -> dict[str, Any]:
    must_reach(caller, "deny.write", asked.city)
    return _add(asked, request, caller, database, clock, DENY_LIST)


@_lists.post("/lists/deny/removals")
def remove_denied(
    asked: Removed, request: Request, caller: DenyWriter, database: DatabaseOf, clock: ClockOf
) -> dict[str, Any]:
    must_reach(caller, "deny.write", asked.city)
    return _remove(asked, request, caller, database, clock, DENY_LIST)


@_lists.post("/lists/allow")
def allow(asked: Added, request: Request, caller: AllowWriter, database: DatabaseOf, clock: ClockOf) -> dict[str, Any]:
    must_reach(caller, "allow.write", asked.city)
    return _add(asked, request, caller, database, clock, ALLOW_LIST)


@_lists.post("/lists/allow/removals")
def remove_allowed(
    asked: Removed, request: Request, caller: AllowWriter, database: DatabaseOf, clock: ClockOf
) -> dict[str, Any]:
    must_reach(caller, "allow.write", asked.city)
    return _remove(asked, request, caller, database, clock, ALLOW_LIST)


def _add(
    asked: Added, request: Request, caller: Caller, database: DatabaseOf, clock: ClockOf, kind: str
) -> dict[str, Any]:
    tokens = [parse_token(token) for token in asked.tokens]
    keys = request.app.state.keys
    with database.writing() as session:
        number = add_to_list(session, keys, caller, clock.now_ms(), kind, asked.city, tokens, asked.reason)
    return {"city": asked.city, "number": number, "added": len(tokens)}


def _remove(
    asked: Removed, request: Request, caller: Caller, database: DatabaseOf, clock: ClockOf, kind: str
) -> dict[str, Any]:
    tokens = [parse_token(token) for token in asked.tokens]
    keys = request.app.state.keys
    with database.writing() as session:
        number = take_off_list(session, keys, caller, clock.now_ms(), kind, asked.city, tokens)
    return {"city": asked.city, "number": number}


router = APIRouter()
router.include_router(_lists)
router.include_router(code_api.router)
