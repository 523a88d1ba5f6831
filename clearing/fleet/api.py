"""HTTP of the fleet: enrolment and signed documents for validators, invitations and lists for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from clearing.access.permission import must_reach, open_to, require
from clearing.access.roles import Caller
from clearing.cose_response import hint, read_message, signed
from clearing.database import Database
from clearing.endpoint import ClockOf, DatabaseOf, NotFoundError, Number
from clearing.fleet.card_authorities import PublishedKey, replace_card_authorities
from clearing.fleet.documents import (
    ALLOW_LIST,
    CARD_AUTHORITIES,
    DENY_LIST,
    FARE_TABLE,
    TOP_UP_LIST,
    find_document,
)
from clearing.fleet.enrolment import enrol, invite
from clearing.fleet.kept_lists import find_delta, find_part
from clearing.fleet.key_bundles import issue_key_bundle
from clearing.fleet.key_sets import find_key_set
from clearing.fleet.models import Validator
from clearing.fleet.service import (
    UnattributedError,
    find_validator,
    list_validators,
    parse_device,
    release_by_two,
    revoke,
)
from clearing.fleet.tagged import tag_document
from protocol.ack import STATUS_TOO_LARGE
from protocol.limits import CARD_AUTHORITIES_MAX, CARD_REVOCATIONS_MAX

router = APIRouter(prefix="/v1")

_public = Depends(open_to("a public document that carries its own signature"))


class Invited(BaseModel):
    """A vehicle that shall get a validator."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=32)
    vehicle: str = Field(max_length=32)


class AuthorityKey(BaseModel):
    """A scheme's key, as its bulletin has it."""

    model_config = ConfigDict(extra="forbid")

    rid: str = Field(pattern="^[0-9a-fA-F]{10}$")
    index: int = Field(ge=0, le=255)
    modulus: str = Field(pattern="^[0-9a-fA-F]{128,496}$")
    exponent: int = Field(ge=3, le=65537)
    expires_yymm: str = Field(pattern="^[0-9]{4}$")
    sha1: str = Field(default="", pattern="^([0-9a-fA-F]{40})?$")


class Authorities(BaseModel):
    """Whose bank cards a city believes; what was revoked is RID, index and serial number, 18 hexadecimal digits."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=32)
    keys: list[AuthorityKey] = Field(min_length=1, max_length=CARD_AUTHORITIES_MAX)
    revoked: list[Annotated[str, Field(pattern="^[0-9a-fA-F]{18}$")]] = Field(
        default_factory=list, max_length=CARD_REVOCATIONS_MAX
    )


@router.post("/enrolments", dependencies=[Depends(open_to("carries the proof of an invitation and a signature"))])
async def enrol_validator(request: Request, database: DatabaseOf, clock: ClockOf) -> Response:
    message = await read_message(request)
    if message is None:
        return hint(STATUS_TOO_LARGE)

    def answer() -> bytes:
        with database.writing() as session:
            return enrol(session, request.app.state.keys, message, clock.now_ms())

    try:
        return signed(await run_in_threadpool(answer))
    except UnattributedError as error:
        return hint(error.status)


@dataclass(frozen=True)
class Asker:
    """Whoever asks for a document.

    Attributes:
        kid: of the key that it shares with us, on profile 3; such a validator gets a tag in place of the signature.
    """

    database: Database
    request: Request
    kid: str | None

    def answer(self, session: Session, body: bytes | None, name: str) -> Response:
        if body is not None and self.kid is not None:
            body = tag_document(session, self.request.app.state.keys, body, self.kid)
        return _found(body, name)


def _asker(request: Request, database: DatabaseOf, kid: str | None = None) -> Asker:
    return Asker(database, request, kid)


AskerOf = Annotated[Asker, Depends(_asker)]


@router.get("/fare-tables/{number}", dependencies=[_public])
def read_fare_table(number: Number, asker: AskerOf) -> Response:
    return _document(asker, FARE_TABLE, number)


@router.get("/lists/deny/{number}", dependencies=[_public])
def read_deny_list(number: Number, asker: AskerOf) -> Response:
    return _document(asker, DENY_LIST, number)


@router.get("/lists/deny/{number}/{part}", dependencies=[_public])
def read_deny_list_part(number: Number, part: Number, asker: AskerOf) -> Response:
    return _part(asker, DENY_LIST, number, part)


@router.get("/lists/deny/{number}/from/{held}", dependencies=[_public])
def read_deny_list_delta(number: Number, held: Number, asker: AskerOf) -> Response:
    return _delta(asker, DENY_LIST, number, held)


@router.get("/lists/allow/{number}", dependencies=[_public])
def read_allow_list(number: Number, asker: AskerOf) -> Response:
    return _document(asker, ALLOW_LIST, number)


@router.get("/lists/allow/{number}/{part}", dependencies=[_public])
def read_allow_list_part(number: Number, part: Number, asker: AskerOf) -> Response:
    return _part(asker, ALLOW_LIST, number, part)


@router.get("/lists/allow/{number}/from/{held}", dependencies=[_public])
def read_allow_list_delta(number: Number, held: Number, asker: AskerOf) -> Response:
    return _delta(asker, ALLOW_LIST, number, held)


@router.get("/lists/top-up/{number}", dependencies=[_public])
def read_top_up_list(number: Number, asker: AskerOf) -> Response:
    return _document(asker, TOP_UP_LIST, number)


@router.get("/lists/top-up/{number}/{part}", dependencies=[_public])
def read_top_up_list_part(number: Number, part: Number, asker: AskerOf) -> Response:
    return _part(asker, TOP_UP_LIST, number, part)


@router.get("/lists/top-up/{number}/from/{held}", dependencies=[_public])
def read_top_up_list_delta(number: Number, held: Number, asker: AskerOf) -> Response:
    return _delta(asker, TOP_UP_LIST, number, held)


@router.get("/card-authorities/{number}", dependencies=[_public])
def read_card_authorities(number: Number, asker: AskerOf) -> Response:
    return _document(asker, CARD_AUTHORITIES, number)


@router.post("/card-authorities")
def replace_authorities(
    asked: Authorities,
    request: Request,
    caller: Annotated[Caller, Depends(require("authority.write"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    must_reach(caller, "authority.write", asked.city)
    published = [PublishedKey(**key.model_dump()) for key in asked.keys]
    keys = request.app.state.keys
    with database.writing() as session:
        number = replace_card_authorities(session, keys, caller, clock.now_ms(), asked.city, published, asked.revoked)
    return {"city": asked.city, "number": number, "keys": len(asked.keys), "revoked": len(asked.revoked)}


@router.get("/key-sets/{number}", dependencies=[_public])
def read_key_set(number: Number, database: DatabaseOf, city: str | None = None) -> Response:
    """A key set; the city may be left out where the service has one only."""
    with database.reading() as session:
        key_set = find_key_set(session, number, city)
    return _found(None if key_set is None else key_set.body, f"key set {number}")


@router.get("/key-bundles/{device}/{number}", dependencies=[Depends(open_to("wrapped for one validator alone"))])
def read_key_bundle(device: str, number: Number, request: Request, database: DatabaseOf, clock: ClockOf) -> Response:
    with database.writing() as session:
        body = issue_key_bundle(session, request.app.state.keys, parse_device(device), number, clock.now_ms())
    return _found(body, f"key bundle {number} for this validator")


def _document(asker: Asker, kind: str, number: int) -> Response:
    with asker.database.reading() as session:
        document = find_document(session, kind, number)
        return asker.answer(session, None if document is None else document.body, f"{kind} {number}")


def _part(asker: Asker, kind: str, number: int, part: int) -> Response:
    with asker.database.reading() as session:
        return asker.answer(session, find_part(session, kind, number, part), f"part {part} of {kind} {number}")


def _delta(asker: Asker, kind: str, number: int, held: int) -> Response:
    with asker.database.reading() as session:
        return asker.answer(session, find_delta(session, kind, number, held), f"change from {held} to {kind} {number}")


def _found(body: bytes | None, name: str) -> Response:
    if body is None:
        raise NotFoundError(f"there is no {name}", "the number wanted is in every ack")
    return signed(body)


@router.post("/validators/invitations", status_code=201)
def invite_validator(
    invited: Invited,
    request: Request,
    caller: Annotated[Caller, Depends(require("validator.invite"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, str]:
    must_reach(caller, "validator.invite", invited.city)
    with database.writing() as session:
        code = invite(session, request.app.state.keys, caller, clock.now_ms(), invited.city, invited.vehicle)
    return {"code": code, "city": invited.city, "vehicle": invited.vehicle}


@router.get("/validators")
def read_validators(
    caller: Annotated[Caller, Depends(require("validator.read"))], database: DatabaseOf
) -> dict[str, Any]:
    with database.reading() as session:
        validators = list_validators(session, caller.cities("validator.read"))
    return {"validators": [validator_view(validator) for validator in validators]}


@router.post("/validators/{device}/revocation")
def revoke_validator(
    device: str,
    caller: Annotated[Caller, Depends(require("validator.revoke"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        device_id = parse_device(device)
        must_reach(caller, "validator.revoke", find_validator(session, device_id).city)
        return validator_view(revoke(session, caller, clock.now_ms(), device_id))


@router.post("/validators/{device}/release")
def release_validator(
    device: str,
    caller: Annotated[Caller, Depends(require("validator.release"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> JSONResponse:
    """End a quarantine; 202 while a second person has not approved it."""
    with database.writing() as session:
        device_id = parse_device(device)
        must_reach(caller, "validator.release", find_validator(session, device_id).city)
        waiting = release_by_two(session, caller, clock.now_ms(), device_id)
        view = validator_view(find_validator(session, device_id))
    if waiting is not None:
        return JSONResponse({"waits_for_approval": waiting.id, "validator": view}, 202)
    return JSONResponse(view)


def validator_view(validator: Validator) -> dict[str, Any]:
    """A validator as JSON shows it."""
    return {
        "device": validator.device_id.hex(),
        "city": validator.city,
        "carrier": validator.carrier,
        "vehicle": validator.vehicle,
        "line": validator.line,
        "profile": validator.profile,
        "status": validator.status,
        "quarantined_at_ms": validator.quarantined_at_ms,
        "epoch": validator.epoch,
        "acked_sequence": validator.acked_sequence,
        "enrolled_at_ms": validator.enrolled_at_ms,
        "last_seen_ms": validator.last_seen_ms,
        "firmware": validator.firmware,
        "slots_free": validator.slots_free,
        "torn_slots": validator.torn_slots,
        "power_cuts": validator.power_cuts,
    }
