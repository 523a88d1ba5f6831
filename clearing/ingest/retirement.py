"""The last word of a validator (SPEC.md "Retirement"): it may erase itself when everything that it ever recorded is stored."""

from __future__ import annotations

import hashlib

from sqlalchemy.orm import Session

from clearing.access.service import record_audit
from clearing.fleet.models import Validator
from clearing.fleet.service import RETIRED, UnattributedError, quarantine
from clearing.ingest.evidence import keep_evidence
from clearing.ingest.suspicion import Suspicion
from protocol.ack import STATUS_EPOCH, STATUS_FORK, STATUS_GAP, STATUS_OK, STATUS_REVOKED
from protocol.rotation import Retirement

_FORK = Suspicion("fork", "its last word names another chain than ours: a cloned or damaged validator")


def retire(
    session: Session, message: bytes, payload: bytes, retirement: Retirement, now_ms: int
) -> tuple[Validator, int]:
    """Let a validator go whose signature held; returns it and the status of the answer.

    Raises:
        UnattributedError: it has gone already, with another word.
    """
    validator = session.get_one(Validator, retirement.device, with_for_update=True)
    digest = hashlib.sha256(payload).digest()
    if validator.status == RETIRED:
        if validator.last_word != digest:
            raise UnattributedError(STATUS_REVOKED)
        return validator, STATUS_OK
    validator.last_seen_ms = now_ms
    status = _judge(validator, retirement)
    if status == STATUS_FORK:
        quarantine(validator, now_ms)
        keep_evidence(session, validator, message, status, retirement.last_sequence, _FORK, now_ms)
    if status == STATUS_OK:
        validator.status, validator.last_word = RETIRED, digest
        detail = {"epoch": validator.epoch, "sequence": validator.acked_sequence}
        device = validator.device_id.hex()
        record_audit(session, device, now_ms, "validator.retire", device, detail)
    return validator, status


def _judge(validator: Validator, retirement: Retirement) -> int:
    if retirement.epoch != validator.epoch:
        return STATUS_EPOCH
    if retirement.last_sequence > validator.acked_sequence:
        return STATUS_GAP
    is_ours = (retirement.last_sequence, retirement.head) == (validator.acked_sequence, validator.head)
    return STATUS_OK if is_ours else STATUS_FORK
