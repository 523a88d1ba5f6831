"""HTTP of media: the deny list, as operators change it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.endpoint import ClockOf, DatabaseOf
from clearing.media.service import allow, deny
from clearing.media.tokens import parse_token

router = APIRouter(prefix="/v1")

Tokens = Annotated[list[str], Field(min_length=1, max_length=1500)]


class Denied(BaseModel):
    """Media to put on a city's deny list."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=32)
    tokens: Tokens
    reason: str = Field(default="reported", max_length=64)


class Allowed(BaseModel):
    """Media to take off a city's deny list."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=32)
    tokens: Tokens


DenyWriter = Annotated[Caller, Depends(require("deny.write"))]


@router.post("/lists/deny")
def add(asked: Denied, request: Request, caller: DenyWriter, database: DatabaseOf, clock: ClockOf) -> dict[str, Any]:
    must_reach(caller, "deny.write", asked.city)
    tokens = [parse_token(token) for token in asked.tokens]
    with database.writing() as session:
        number = deny(session, request.app.state.keys, caller, clock.now_ms(), asked.city, tokens, asked.reason)
    return {"city": asked.city, "number": number, "added": len(tokens)}


@router.post("/lists/deny/removals")
def remove(
    asked: Allowed, request: Request, caller: DenyWriter, database: DatabaseOf, clock: ClockOf
) -> dict[str, Any]:
    must_reach(caller, "deny.write", asked.city)
    tokens = [parse_token(token) for token in asked.tokens]
    with database.writing() as session:
        number = allow(session, request.app.state.keys, caller, clock.now_ms(), asked.city, tokens)
    return {"city": asked.city, "number": number}
