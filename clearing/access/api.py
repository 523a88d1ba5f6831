"""HTTP of access: approvals by a second person, and the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy import select

from clearing.access.models import Approval, AuditRecord
from clearing.access.permission import require
from clearing.access.roles import Caller
from clearing.access.service import ask_approval, audit_faults, decide_approval
from clearing.endpoint import ClockOf, DatabaseOf

router = APIRouter(prefix="/v1")


class ApprovalAsked(BaseModel):
    """What a second person shall approve; `body` is the exact text of the request it stands for."""

    action: str = Field(max_length=64)
    subject: str = Field(max_length=256)
    body: str = Field(max_length=16_384)


class Decision(BaseModel):
    approve: bool


def _view(approval: Approval) -> dict[str, Any]:
    return {
        "id": approval.id,
        "action": approval.action,
        "subject": approval.subject,
        "body_sha256": approval.body_sha256,
        "requested_by": approval.requested_by,
        "decided_by": approval.decided_by,
        "decision": approval.decision,
    }


@router.get("/approvals")
def list_approvals(
    _caller: Annotated[Caller, Depends(require("approval.read"))], database: DatabaseOf
) -> dict[str, list[dict[str, Any]]]:
    with database.reading() as session:
        return {"approvals": [_view(row) for row in session.scalars(select(Approval).order_by(Approval.id))]}


@router.post("/approvals", status_code=201)
def request_approval(
    asked: ApprovalAsked,
    caller: Annotated[Caller, Depends(require("approval.request"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        approval = ask_approval(session, caller, clock.now_ms(), asked.action, asked.subject, asked.body.encode())
    return _view(approval)


@router.post("/approvals/{approval_id}/decision")
def decide(
    approval_id: int,
    decision: Decision,
    caller: Annotated[Caller, Depends(require("approval.decide"))],
    database: DatabaseOf,
    clock: ClockOf,
) -> dict[str, Any]:
    with database.writing() as session:
        approval = decide_approval(session, caller, clock.now_ms(), approval_id, decision.approve)
    return _view(approval)


@router.get("/audit")
def read_audit(
    _caller: Annotated[Caller, Depends(require("audit.read"))], database: DatabaseOf, after: int = 0, limit: int = 100
) -> dict[str, Any]:
    with database.reading() as session:
        rows = session.scalars(
            select(AuditRecord).where(AuditRecord.id > after).order_by(AuditRecord.id).limit(min(limit, 1000))
        )
        records = [
            {
                "id": row.id,
                "at_ms": row.at_ms,
                "principal_id": row.principal_id,
                "action": row.action,
                "subject": row.subject,
                "detail": row.detail_json,
                "hash": row.hash.hex(),
            }
            for row in rows
        ]
        return {"records": records, "faults": audit_faults(session)}
