"""HTTP of the fleet: enrolment and signed documents for validators, invitations and lists for people."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, open_to, require
from clearing.access.roles import Caller
from clearing.cose_response import hint, read_message, signed
from clearing.endpoint import ClockOf, DatabaseOf, NotFoundError
from clearing.fleet.documents import DENY_LIST, FARE_TABLE, find_document
from clearing.fleet.enrolment import enrol, invite
from clearing.fleet.models import Validator
from clearing.fleet.service import UnattributedError, find_validator, list_validators, parse_device, revoke
from protocol.ack import STATUS_TOO_LARGE

router = APIRouter(prefix="/v1")

_public = Depends(open_to("a public document that carries its own signature"))


class Invited(BaseModel):
    """A vehicle that shall get a validator."""

    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=32)
    vehicle: str = Field(max_length=32)


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


@router.get("/fare-tables/{number}", dependencies=[_public])
def read_fare_table(number: int, database: DatabaseOf) -> Response:
    return _document(database, FARE_TABLE, number)


@router.get("/lists/deny/{number}", dependencies=[_public])
def read_deny_list(number: int, database: DatabaseOf) -> Response:
    return _document(database, DENY_LIST, number)


def _document(database: DatabaseOf, kind: str, number: int) -> Response:
    with database.reading() as session:
        document = find_document(session, kind, number)
    if document is None:
        raise NotFoundError(f"there is no {kind} {number}", "the number wanted is in every ack")
    return signed(document.body)


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
        "epoch": validator.epoch,
        "acked_sequence": validator.acked_sequence,
        "enrolled_at_ms": validator.enrolled_at_ms,
        "last_seen_ms": validator.last_seen_ms,
        "firmware": validator.firmware,
        "slots_free": validator.slots_free,
        "torn_slots": validator.torn_slots,
        "power_cuts": validator.power_cuts,
    }
