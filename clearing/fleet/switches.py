"""Switches that a person turns and every process of the service obeys at once: they lie in the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import InvalidError
from clearing.fleet.models import ServiceSwitch
from protocol.fields import U32_MAX

MAINTENANCE = "maintenance"
FIRMWARE_MIN = "firmware_min"
_SWITCHES = select(ServiceSwitch.name, ServiceSwitch.value)


@dataclass(frozen=True)
class Switches:
    """How they stand.

    Attributes:
        maintenance: nothing that validators send is stored for now.
        firmware_min: number of the oldest firmware bundle that is still spoken with; 0 for any.
    """

    maintenance: bool = False
    firmware_min: int = 0


def read_switches(session: Session) -> Switches:
    rows = {row.name: row.value for row in session.execute(_SWITCHES)}
    return Switches(bool(rows.get(MAINTENANCE, 0)), rows.get(FIRMWARE_MIN, 0))


def turn(session: Session, caller: Caller, now_ms: int, name: str, value: int) -> None:
    """Turn a switch.

    Raises:
        InvalidError: it cannot be turned so far.
    """
    if not 0 <= value <= (1 if name == MAINTENANCE else U32_MAX):
        raise InvalidError(f"{name} cannot be {value}", "a bundle's number has 32 bits")
    session.merge(ServiceSwitch(name=name, value=value, changed_by=caller.name, changed_at_ms=now_ms))
    record_audit(session, caller.principal_id, now_ms, "admission.write", name, {"value": value})
