"""HTTP of media: the deny list and the allow list, as operators change them; codes have a module of their own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, require
from clearing.access.roles import Caller
from clearing.endpoint import ClockOf, DatabaseOf
from clearing.fleet.documents import ALLOW_LIST, DENY_LIST
from clearing.fleet.lists import sign_whole
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


class Office:
    """What a change of a list needs of the service."""

    def __init__(self, request: Request, database: DatabaseOf, clock: ClockOf, afterwards: BackgroundTasks) -> None:
        self._keys = request.app.state.keys
        self._database = database
        self._clock = clock
        self._afterwards = afterwards

    def add(self, caller: Caller, kind: str, asked: Added) -> dict[str, Any]:
        tokens = [parse_token(token) for token in asked.tokens]
        with self._database.writing() as session:
            now_ms = self._clock.now_ms()
            number = add_to_list(session, self._keys, caller, now_ms, kind, asked.city, tokens, asked.reason)
        self._make_whole_afterwards(kind, asked.city)
        return {"city": asked.city, "number": number, "added": len(tokens)}

    def remove(self, caller: Caller, kind: str, asked: Removed) -> dict[str, Any]:
        tokens = [parse_token(token) for token in asked.tokens]
        with self._database.writing() as session:
            number = take_off_list(session, self._keys, caller, self._clock.now_ms(), kind, asked.city, tokens)
        self._make_whole_afterwards(kind, asked.city)
        return {"city": asked.city, "number": number}

    def _make_whole_afterwards(self, kind: str, city: str) -> None:
        """Once the answer is sent: nobody waits for it."""
        self._afterwards.add_task(sign_whole, self._database, self._keys, kind, city)


OfficeOf = Annotated[Office, Depends(Office)]


@_lists.post("/lists/deny")
def deny(asked: Added, caller: DenyWriter, office: OfficeOf) -> dict[str, Any]:
    must_reach(caller, "deny.write", asked.city)
    return office.add(caller, DENY_LIST, asked)


@_lists.post("/lists/deny/removals")
def remove_denied(asked: Removed, caller: DenyWriter, office: OfficeOf) -> dict[str, Any]:
    must_reach(caller, "deny.write", asked.city)
    return office.remove(caller, DENY_LIST, asked)


@_lists.post("/lists/allow")
def allow(asked: Added, caller: AllowWriter, office: OfficeOf) -> dict[str, Any]:
    must_reach(caller, "allow.write", asked.city)
    return office.add(caller, ALLOW_LIST, asked)


@_lists.post("/lists/allow/removals")
def remove_allowed(asked: Removed, caller: AllowWriter, office: OfficeOf) -> dict[str, Any]:
    must_reach(caller, "allow.write", asked.city)
    return office.remove(caller, ALLOW_LIST, asked)


router = APIRouter()
router.include_router(_lists)
router.include_router(code_api.router)
