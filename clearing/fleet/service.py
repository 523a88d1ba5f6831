"""What can be done about validators: find out which one sent a message, list them, revoke one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import InvalidError, NotFoundError
from clearing.fleet.keys import verify_es256
from clearing.fleet.models import Validator, ValidatorKey
from clearing.network.models import City
from protocol import cose
from protocol.ack import STATUS_BAD_COSE, STATUS_BAD_SIG, STATUS_KID_UNKNOWN, STATUS_REVOKED, STATUS_WRONG_AUDIENCE
from protocol.errors import BadCose

ACTIVE = "active"
QUARANTINED = "quarantined"
REVOKED = "revoked"
_DEVICE_BYTES = 16


class UnattributedError(Exception):
    """A message that cannot be attributed to a validator in good standing.

    Attributes:
        status: why, `STATUS_…` of the wire.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


@dataclass(frozen=True)
class Sender:
    """The validator whose signature a message carries, as far as it was stored when it was looked up.

    Attributes:
        city: its code; the audience of what is signed for the validator.
        payload: what was signed.
    """

    device: bytes
    city: str
    epoch: int
    acked_sequence: int
    head: bytes
    payload: bytes


def identify(session: Session, message: bytes, typ: str) -> Sender:
    """Find the validator that signed a message.

    Raises:
        UnattributedError: unreadable, an unknown or revoked key, a signature that does not hold or was meant for others.
    """
    try:
        parsed = cose.parse(message)
    except BadCose:
        raise UnattributedError(STATUS_BAD_COSE) from None
    if parsed.typ != typ:
        raise UnattributedError(STATUS_BAD_COSE)
    found = session.execute(
        select(ValidatorKey, Validator)
        .join(Validator, Validator.device_id == ValidatorKey.device_id)
        .where(ValidatorKey.kid == parsed.kid)
    ).one_or_none()
    if found is None:
        raise UnattributedError(STATUS_KID_UNKNOWN)
    key, validator = found
    if not _holds(parsed, key, validator.city):
        others = session.scalars(select(City.code).where(City.code != validator.city))
        meant_for_others = any(_holds(parsed, key, city) for city in others)
        raise UnattributedError(STATUS_WRONG_AUDIENCE if meant_for_others else STATUS_BAD_SIG)
    if key.revoked_at_ms is not None or validator.status == REVOKED:
        raise UnattributedError(STATUS_REVOKED)
    return Sender(
        validator.device_id,
        validator.city,
        validator.epoch,
        validator.acked_sequence,
        validator.head,
        parsed.payload,
    )


def _holds(parsed: cose.Sign1, key: ValidatorKey, audience: str) -> bool:
    structure = cose.signature_input(parsed.protected, cose.external_aad(audience), parsed.payload)
    return verify_es256(key.x, key.y, structure, parsed.signature)


def list_validators(session: Session, cities: frozenset[str] | None = None) -> list[Validator]:
    """The validators of these cities (of all, when none are named), by vehicle."""
    query = select(Validator).order_by(Validator.city, Validator.vehicle, Validator.device_id)
    return list(session.scalars(query if cities is None else query.where(Validator.city.in_(cities))))


def parse_device(text: str) -> bytes:
    """A device id from its 32 hexadecimal digits.

    Raises:
        InvalidError: not a device id.
    """
    try:
        device = bytes.fromhex(text)
    except ValueError:
        device = b""
    if len(device) != _DEVICE_BYTES:
        raise InvalidError("a device id is 32 hexadecimal digits", "look it up: jolaqy validator list")
    return device


def find_validator(session: Session, device: bytes) -> Validator:
    """A validator by its device id.

    Raises:
        NotFoundError: it was never enrolled.
    """
    validator = session.get(Validator, device)
    if validator is None:
        raise NotFoundError("there is no such validator", "look it up: jolaqy validator list")
    return validator


def revoke(session: Session, caller: Caller, now_ms: int, device: bytes) -> Validator:
    """Trust nothing more that a validator signs; what it delivered before stays."""
    validator = find_validator(session, device)
    validator.status = REVOKED
    revoke_keys(session, device, now_ms)
    record_audit(session, caller.principal_id, now_ms, "validator.revoke", device.hex(), {"city": validator.city})
    return validator


def revoke_keys(session: Session, device: bytes, now_ms: int) -> None:
    """Withdraw every key of a validator."""
    keys = session.scalars(
        select(ValidatorKey).where(ValidatorKey.device_id == device, ValidatorKey.revoked_at_ms.is_(None))
    )
    for key in keys:
        key.revoked_at_ms = now_ms
