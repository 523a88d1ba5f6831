"""HTTP of ingest: the batches of validators, and the exceptions list for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from clearing.access.permission import must_reach, open_to, require
from clearing.access.roles import Caller
from clearing.cose_response import hint, read_message, signed
from clearing.endpoint import ClockOf, DatabaseOf, Day, Number
from clearing.fleet.service import UnattributedError, identify
from clearing.fleet.switches import FIRMWARE_MIN, MAINTENANCE, read_switches, turn
from clearing.ingest.admission import LIMITS
from clearing.ingest.exceptions import (
    NOTE_CHARACTERS_MAX,
    PAGE_MAX,
    REMEDIES,
    Asked,
    conflicts_of,
    find_exception,
    list_exceptions,
    resolve,
)
from clearing.ingest.models import TapException
from clearing.ingest.receiver import RETRY_WHEN_BUSY_S, Answer, Receiver
from clearing.ingest.top_up_commands import give_command
from protocol.ack import STATUS_BAD_CBOR, STATUS_BUSY, STATUS_EPOCH, STATUS_KID_UNKNOWN, STATUS_TOO_LARGE
from protocol.cose import TYP_TOP_UP_REQUEST
from protocol.errors import TopUpError
from protocol.fields import U32_MAX
from protocol.tap import Tap
from protocol.top_up import decode_top_up_request

router = APIRouter(prefix="/v1")

_from_validator = Depends(open_to("carries the signature of a validator"))


@router.post("/batches", dependencies=[_from_validator])
async def receive_batch(request: Request) -> Response:
    return await _answer(request, _receiver(request).receive)


@router.post("/rotations", dependencies=[_from_validator])
async def receive_rotation(request: Request) -> Response:
    return await _answer(request, _receiver(request).rotate)


@router.post("/retirements", dependencies=[_from_validator])
async def receive_retirement(request: Request) -> Response:
    return await _answer(request, _receiver(request).retire)


@router.post("/top-up-commands", dependencies=[_from_validator])
async def give_top_up_command(request: Request, database: DatabaseOf, clock: ClockOf) -> Response:
    """The command by which a validator loads the money that waits for the card in its field."""
    message = await read_message(request)
    if message is None:
        return hint(STATUS_TOO_LARGE)

    def answer() -> bytes:
        keys = request.app.state.keys
        with database.writing() as session:
            sender = identify(session, message, TYP_TOP_UP_REQUEST, keys)
            asked = decode_top_up_request(sender.payload)
            if asked.device != sender.device:
                raise UnattributedError(STATUS_KID_UNKNOWN)
            if asked.epoch != sender.epoch:
                raise UnattributedError(STATUS_EPOCH)
            return give_command(session, keys, sender, asked, clock.now_ms())

    try:
        return signed(await run_in_threadpool(answer))
    except UnattributedError as error:
        return hint(error.status)
    except TopUpError:
        return hint(STATUS_BAD_CBOR)


def _receiver(request: Request) -> Receiver:
    receiver: Receiver = request.app.state.receiver
    return receiver


async def _answer(request: Request, take: Callable[[bytes], Answer]) -> Response:
    message = await read_message(request)
    if message is None:
        return hint(STATUS_TOO_LARGE)
    receiver = _receiver(request)
    if receiver.waiting >= LIMITS.waiting_max:
        return hint(STATUS_BUSY, RETRY_WHEN_BUSY_S)
    receiver.waiting += 1
    try:
        answer = await run_in_threadpool(take, message)
    finally:
        receiver.waiting -= 1
    return signed(answer.body) if answer.is_ack else hint(answer.status, answer.retry_after_s)


class AdmissionAsked(BaseModel):
    """How validators shall be treated; what is absent stays as it is."""

    model_config = ConfigDict(extra="forbid")

    maintenance: bool | None = None
    firmware_min: Annotated[int, Field(ge=0, le=U32_MAX)] | None = None


@router.get("/admission")
def read_admission(
    _caller: Annotated[Caller, Depends(require("validator.read"))], database: DatabaseOf
) -> dict[str, Any]:
    with database.reading() as session:
        return asdict(read_switches(session))


@router.put("/admission")
def change_admission(
    asked: AdmissionAsked,
    caller: Annotated[Caller, Depends(require("admission.write"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        if asked.maintenance is not None:
            turn(session, caller, clock.now_ms(), MAINTENANCE, int(asked.maintenance))
        if asked.firmware_min is not None:
            turn(session, caller, clock.now_ms(), FIRMWARE_MIN, asked.firmware_min)
        session.flush()
        return asdict(read_switches(session))


class Resolution(BaseModel):
    """What came out of looking at an exception."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(min_length=1, max_length=NOTE_CHARACTERS_MAX)


@router.get("/exceptions")
def read_exceptions(
    city: str,
    _caller: Annotated[Caller, Depends(require("exception.read"))],
    database: DatabaseOf,
    day: Day | None = None,
    reason: str | None = None,
    resolved: bool | None = None,
    after: Annotated[int, Query(ge=0, le=1 << 62)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
) -> dict[str, Any]:
    with database.reading() as session:
        found = list_exceptions(session, Asked(city, day, reason, resolved, after, limit))
    return {"city": city, "day": day, "exceptions": [exception_view(row, vehicle) for row, vehicle in found]}


@router.get("/exceptions/{number}/conflicts")
def read_conflicts(
    number: Number, caller: Annotated[Caller, Depends(require("exception.read"))], database: DatabaseOf
) -> dict[str, Any]:
    """Where the chain of the exception's validator was contradicted."""
    with database.reading() as session:
        row = find_exception(session, number)
        must_reach(caller, "exception.read", row.city)
        conflicts = conflicts_of(session, row.device_id, row.epoch)
    return {
        "conflicts": [
            {
                "sequence": conflict.sequence,
                "stored": _tap_view(conflict.stored),
                "claimed": _tap_view(conflict.claimed),
                "received_at_ms": conflict.received_at_ms,
            }
            for conflict in conflicts
        ]
    }


@router.post("/exceptions/{number}/resolution")
def resolve_exception(
    number: Number,
    said: Resolution,
    caller: Annotated[Caller, Depends(require("exception.resolve"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        must_reach(caller, "exception.resolve", find_exception(session, number).city)
        return exception_view(resolve(session, caller, clock.now_ms(), number, said.note))


def exception_view(row: TapException, vehicle: str | None = None) -> dict[str, Any]:
    """An exception as JSON shows it."""
    view = {
        "id": row.id,
        "device": row.device_id.hex(),
        "epoch": row.epoch,
        "sequence": row.sequence,
        "service_day": row.service_day,
        "reason": row.reason,
        "detail": row.detail,
        "remedy": REMEDIES.get(row.reason, ""),
        "created_at_ms": row.created_at_ms,
        "resolved_at_ms": row.resolved_at_ms,
        "resolved_by": row.resolved_by,
        "resolution": row.resolution,
    }
    return view if vehicle is None else view | {"vehicle": vehicle}


def _tap_view(tap: Tap | None) -> dict[str, Any] | None:
    """What distinguishes a record from another; no token."""
    names = ("kind", "medium", "tapped_at_s", "boot", "uptime_ms", "decision", "fare_minor")
    return None if tap is None else {name: getattr(tap, name) for name in names}
