"""HTTP of ingest: the batches of validators, and the exceptions list for people."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from clearing.access.permission import open_to, require
from clearing.access.roles import Caller
from clearing.cose_response import hint, read_message, signed
from clearing.endpoint import DatabaseOf
from clearing.ingest.receiver import RETRY_WHEN_BUSY_S, Receiver
from clearing.ingest.service import list_exceptions
from protocol.ack import STATUS_BUSY, STATUS_TOO_LARGE

router = APIRouter(prefix="/v1")

# A rush is told to come back later instead of piling up.
WAITING_MAX = 256


@router.post("/batches", dependencies=[Depends(open_to("carries the signature of a validator"))])
async def receive_batch(request: Request) -> Response:
    message = await read_message(request)
    if message is None:
        return hint(STATUS_TOO_LARGE)
    receiver: Receiver = request.app.state.receiver
    if receiver.waiting >= WAITING_MAX:
        return hint(STATUS_BUSY, RETRY_WHEN_BUSY_S)
    receiver.waiting += 1
    try:
        answer = await run_in_threadpool(receiver.receive, message)
    finally:
        receiver.waiting -= 1
    return signed(answer.body) if answer.is_ack else hint(answer.status, answer.retry_after_s)


@router.get("/exceptions")
def read_exceptions(
    city: str, day: str, _caller: Annotated[Caller, Depends(require("fare.read"))], database: DatabaseOf
) -> dict[str, Any]:
    with database.reading() as session:
        rows = list_exceptions(session, city, day)
    return {
        "city": city,
        "day": day,
        "exceptions": [
            {
                "device": row.device_id.hex(),
                "epoch": row.epoch,
                "sequence": row.sequence,
                "reason": row.reason,
                "detail": row.detail,
                "created_at_ms": row.created_at_ms,
                "resolved_at_ms": row.resolved_at_ms,
            }
            for row in rows
        ],
    }
