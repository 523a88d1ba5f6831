"""What can be done about validators: find out which one sent a message, list them, suspect, release or revoke one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from clearing.access.models import Approval
from clearing.access.roles import Caller
from clearing.access.service import approved_or_asked, record_audit
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.fleet.keys import KeyStore, verify_es256
from clearing.fleet.models import Validator, ValidatorKey
from clearing.fleet.sealed import open_sealed
from clearing.network.models import City
from protocol import cose, cose_mac
from protocol.ack import STATUS_BAD_COSE, STATUS_BAD_SIG, STATUS_KID_UNKNOWN, STATUS_REVOKED, STATUS_WRONG_AUDIENCE
from protocol.compat import constant_time_equal
from protocol.cose_mac import MacKey
from protocol.errors import BadCose

ACTIVE = "active"
QUARANTINED = "quarantined"
REVOKED = "revoked"
RETIRED = "retired"
# Nothing that these sign is taken any more.
GONE = frozenset({REVOKED, RETIRED})
# The profile of validators that cannot sign.
SHARED_SECRET = 3
_DEVICE_BYTES = 16
_KEY = (
    select(ValidatorKey, Validator)
    .join(Validator, Validator.device_id == ValidatorKey.device_id)
    .where(ValidatorKey.kid == bindparam("kid"))
)


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
        ack_kid: the key that its acks are signed with.
        shared: the key that it shares with us, on profile 3.
        kid: the key that signed.
        is_first_use: the key shall replace another from now on.
    """

    device: bytes
    city: str
    epoch: int
    acked_sequence: int
    head: bytes
    payload: bytes
    ack_kid: bytes | None = None
    shared: MacKey | None = None
    kid: bytes = b""
    is_first_use: bool = False


def identify(
    session: Session, message: bytes, typ: str, keys: KeyStore | None = None, *, takes_retired: bool = False
) -> Sender:
    """Find the validator that signed a message.

    Raises:
        UnattributedError: unreadable, an unknown or revoked key, a signature that does not hold or was meant for others.
    """
    try:
        parsed = cose_mac.parse(message)
    except BadCose:
        raise UnattributedError(STATUS_BAD_COSE) from None
    if parsed.typ != typ:
        raise UnattributedError(STATUS_BAD_COSE)
    key, validator = find_key(session, parsed.kid)
    # A public key is no secret: whoever knows it must not get on with a tag, and a tag proves nothing about a signature.
    if isinstance(parsed, cose_mac.Mac0) != (key.sealed is not None):
        raise UnattributedError(STATUS_BAD_COSE)
    shared = shared_key(keys, key)
    require_holds(session, validator.city, lambda audience: _holds(parsed, key, shared, audience))
    if key.revoked_at_ms is not None or (
        validator.status in GONE and not (takes_retired and validator.status == RETIRED)
    ):
        raise UnattributedError(STATUS_REVOKED)
    return Sender(
        validator.device_id,
        validator.city,
        validator.epoch,
        validator.acked_sequence,
        validator.head,
        parsed.payload,
        validator.ack_kid,
        shared,
        key.kid,
        key.replaces is not None,
    )


def find_key(session: Session, kid: bytes) -> tuple[ValidatorKey, Validator]:
    """A key by its name, and whose it is.

    Raises:
        UnattributedError: nobody's.
    """
    found = session.execute(_KEY, {"kid": kid}).one_or_none()
    if found is None:
        raise UnattributedError(STATUS_KID_UNKNOWN)
    return found[0], found[1]


def shared_key(keys: KeyStore | None, key: ValidatorKey) -> MacKey | None:
    """The secret of a key on profile 3."""
    if key.sealed is None:
        return None
    assert keys is not None
    return open_sealed(keys, key.device_id, key.sealed)


def require_holds(session: Session, city: str, holds: Callable[[str], bool]) -> None:
    """Raise unless a proof holds for a city: WRONG_AUDIENCE where it holds for another one."""
    if holds(city):
        return
    others = session.scalars(select(City.code).where(City.code != city))
    raise UnattributedError(STATUS_WRONG_AUDIENCE if any(map(holds, others)) else STATUS_BAD_SIG)


def _holds(parsed: cose.Sign1 | cose_mac.Mac0, key: ValidatorKey, shared: MacKey | None, audience: str) -> bool:
    if isinstance(parsed, cose_mac.Mac0):
        return shared is not None and tag_holds(parsed, shared, audience)
    structure = cose.signature_input(parsed.protected, cose.external_aad(audience), parsed.payload)
    return signature_holds(key, structure, parsed.signature)


def signature_holds(key: ValidatorKey, structure: bytes, signature: bytes) -> bool:
    """Whether a signature is that of a validator's key."""
    return key.x is not None and key.y is not None and verify_es256(key.x, key.y, structure, signature)


def tag_holds(parsed: cose_mac.Mac0, shared: MacKey, audience: str) -> bool:
    """Whether a tag was made with a shared key."""
    tag = shared.tag(cose_mac.mac_input(parsed.protected, cose.external_aad(audience), parsed.payload))
    return constant_time_equal(tag, parsed.tag)


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


def quarantine(validator: Validator, now_ms: int) -> None:
    """Suspect a validator: its chain goes on being stored and acknowledged, and it gets no secret key any more."""
    if validator.status not in GONE:
        validator.status = QUARANTINED
    if validator.quarantined_at_ms is None:
        validator.quarantined_at_ms = now_ms


def release_by_two(session: Session, caller: Caller, now_ms: int, device: bytes) -> Approval | None:
    """Release a validator that a second person has approved, or return the request that waits for one.

    Raises:
        ConflictError: it is not suspected.
    """
    require_suspected(find_validator(session, device))
    subject = device.hex()
    waiting = approved_or_asked(session, caller, now_ms, "validator.release", subject, subject.encode())
    if waiting is None:
        release(session, caller, now_ms, device)
    return waiting


def require_suspected(validator: Validator) -> None:
    if validator.quarantined_at_ms is None:
        raise ConflictError("this validator is not in quarantine", "nothing is to be released")


def release(session: Session, caller: Caller, now_ms: int, device: bytes) -> Validator:
    """End the suspicion: the validator may enrol again, with a new key and in a new epoch; until then nothing of it is taken.

    Raises:
        ConflictError: it is not suspected.
    """
    validator = find_validator(session, device)
    require_suspected(validator)
    validator.quarantined_at_ms = None
    validator.status = REVOKED
    revoke_keys(session, device, now_ms)
    record_audit(session, caller.principal_id, now_ms, "validator.release", device.hex(), {"city": validator.city})
    return validator


def settle_key(session: Session, kid: bytes, now_ms: int) -> None:
    """The first message by a new key has come: the one that it replaces ends."""
    key = session.get(ValidatorKey, kid, with_for_update=True)
    if key is not None and key.replaces is not None:
        old = update(ValidatorKey).where(ValidatorKey.kid == key.replaces, ValidatorKey.revoked_at_ms.is_(None))
        session.execute(old.values(revoked_at_ms=now_ms))
        key.replaces = None


def revoke_keys(session: Session, device: bytes, now_ms: int) -> None:
    """Withdraw every key of a validator."""
    keys = session.scalars(
        select(ValidatorKey).where(ValidatorKey.device_id == device, ValidatorKey.revoked_at_ms.is_(None))
    )
    for key in keys:
        key.revoked_at_ms = now_ms
