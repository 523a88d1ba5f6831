"""What can be done about access: issue tokens, find out who calls, ask for and decide approvals, keep the audit log."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from clearing.access.audit import GENESIS, Line, canonical_json, chain_faults, next_hash
from clearing.access.models import Approval, AuditRecord, Grant, Principal
from clearing.access.roles import ROLES, Caller, Scope
from clearing.endpoint import ConflictError, ForbiddenError, InvalidError, NotFoundError

LOCAL = "local"
_TOKEN_PREFIX = "jolaqy_"  # noqa: S105 - so that a leaked token is recognised; not a token
_AUDIT_LOCK = 0x4A514155


def token_hash(token: str) -> bytes:
    """What is stored of a token; it is random and long, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()


def issue_token(session: Session, name: str, kind: str, scopes: Sequence[Scope], now_ms: int) -> str:
    """Make a principal with a bearer token; a token of the same name stops working. The token is seen this once."""
    unknown = sorted({scope.role for scope in scopes} - set(ROLES))
    if unknown or not scopes:
        raise InvalidError(f"unknown role: {', '.join(unknown) or 'none given'}", f"roles: {', '.join(sorted(ROLES))}")
    token = _TOKEN_PREFIX + secrets.token_urlsafe(32)
    principal = session.scalar(select(Principal).where(Principal.name == name))
    if principal is not None and principal.id == LOCAL:
        raise ConflictError(f"the name {name} is taken by the local administrator", "choose another name")
    if principal is None:
        principal = Principal(id=secrets.token_hex(16), name=name, kind=kind, created_at_ms=now_ms)
        session.add(principal)
    principal.token_hash, principal.disabled = token_hash(token), False
    session.flush()
    for grant in session.scalars(select(Grant).where(Grant.principal_id == principal.id)):
        session.delete(grant)
    session.add_all(
        Grant(principal_id=principal.id, role=scope.role, city=scope.city, carrier=scope.carrier) for scope in scopes
    )
    detail = {"roles": [[scope.role, scope.city, scope.carrier] for scope in scopes]}
    record_audit(session, LOCAL, now_ms, "token.issue", name, detail)
    return token


def caller_by_token(session: Session, token: str) -> Caller | None:
    """The principal who holds a token, unless it is disabled."""
    return _caller(session, select(Principal).where(Principal.token_hash == token_hash(token)))


def local_caller(session: Session) -> Caller | None:
    """Whoever sits at the machine itself."""
    return _caller(session, select(Principal).where(Principal.id == LOCAL))


def _caller(session: Session, query: Select[Principal]) -> Caller | None:
    principal = session.scalar(query)
    if principal is None or principal.disabled:
        return None
    grants = session.scalars(select(Grant).where(Grant.principal_id == principal.id).order_by(Grant.id))
    scopes = tuple(Scope(grant.role, grant.city, grant.carrier) for grant in grants)
    return Caller(principal.id, principal.name, scopes)


def record_audit(
    session: Session, principal_id: str, now_ms: int, action: str, subject: str, detail: Mapping[str, object]
) -> None:
    """Append to the audit log, in the transaction of what it speaks of."""
    if session.get_bind().dialect.name == "postgresql":
        # SQLite has one writer; here two would find the same last record, and one of them would fail.
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _AUDIT_LOCK})
    previous = session.scalar(select(AuditRecord.hash).order_by(AuditRecord.id.desc()).limit(1)) or GENESIS
    line = Line(now_ms, principal_id, action, subject, canonical_json(detail))
    session.add(
        AuditRecord(
            at_ms=line.at_ms,
            principal_id=line.principal_id,
            action=line.action,
            subject=line.subject,
            detail_json=line.detail_json,
            previous_hash=previous,
            hash=next_hash(previous, line),
        )
    )
    session.flush()


def audit_faults(session: Session) -> list[str]:
    """Every fault in the audit log; an empty list means that the chain holds from its beginning."""
    records = session.scalars(select(AuditRecord).order_by(AuditRecord.id))
    return chain_faults(
        [
            (Line(row.at_ms, row.principal_id, row.action, row.subject, row.detail_json), row.previous_hash, row.hash)
            for row in records
        ]
    )


def ask_approval(session: Session, caller: Caller, now_ms: int, action: str, subject: str, body: bytes) -> Approval:
    """Ask that a second person approve exactly this."""
    approval = Approval(
        action=action,
        subject=subject,
        body_sha256=hashlib.sha256(body).hexdigest(),
        requested_by=caller.principal_id,
        requested_at_ms=now_ms,
    )
    session.add(approval)
    session.flush()
    record_audit(session, caller.principal_id, now_ms, "approval.request", f"{approval.id}", {"action": action})
    return approval


def decide_approval(session: Session, caller: Caller, now_ms: int, approval_id: int, approve: bool) -> Approval:
    """Decide what somebody else asked for; once."""
    approval = session.get(Approval, approval_id, with_for_update=True)
    if approval is None:
        raise NotFoundError(f"there is no request {approval_id}")
    if approval.requested_by == caller.principal_id:
        raise ForbiddenError("whoever asked cannot approve", "a second person must decide")
    if approval.decision is not None:
        raise ConflictError(f"request {approval_id} was {approval.decision} already")
    approval.decided_by, approval.decided_at_ms = caller.principal_id, now_ms
    approval.decision = "approved" if approve else "rejected"
    record_audit(
        session, caller.principal_id, now_ms, "approval.decide", f"{approval_id}", {"decision": approval.decision}
    )
    return approval


def approved_or_asked(
    session: Session, caller: Caller, now_ms: int, action: str, subject: str, body: bytes
) -> Approval | None:
    """Use up the approval for exactly this; where there is none, return the request that waits for one."""
    digest = hashlib.sha256(body).hexdigest()
    same = select(Approval).where(
        Approval.action == action,
        Approval.subject == subject,
        Approval.body_sha256 == digest,
        Approval.used_at_ms.is_(None),
    )
    if session.scalar(same.where(Approval.decision == "approved").limit(1)) is not None:
        use_approval(session, now_ms, action, subject, body)
        return None
    waiting = session.scalar(same.where(Approval.decision.is_(None)).order_by(Approval.id).limit(1))
    return waiting or ask_approval(session, caller, now_ms, action, subject, body)


def use_approval(session: Session, now_ms: int, action: str, subject: str, body: bytes) -> None:
    """Use up the approval for exactly this, or refuse to go on.

    Raises:
        ForbiddenError: nobody approved this action, subject and body, or the approval was used.
    """
    approval = session.scalar(
        select(Approval)
        .where(Approval.action == action, Approval.subject == subject, Approval.decision == "approved")
        .where(Approval.body_sha256 == hashlib.sha256(body).hexdigest(), Approval.used_at_ms.is_(None))
        .order_by(Approval.id)
        .limit(1)
        .with_for_update()
    )
    if approval is None:
        raise ForbiddenError(f"{action} of {subject} needs the approval of a second person", "ask for it first")
    approval.used_at_ms = now_ms
