"""A validator changes its key (SPEC.md "Rotation").

The new key is taken when old and new have signed for it. The old one goes on being taken until the first batch by the new one
has come: an answer may be lost, and a device that lost its new key with it would have to be enrolled again for nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.orm import Session

from clearing.access.service import record_audit
from clearing.fleet.keys import KeyStore, verify_es256
from clearing.fleet.models import Validator, ValidatorKey
from clearing.fleet.sealed import seal
from clearing.fleet.service import (
    GONE,
    QUARANTINED,
    UnattributedError,
    find_key,
    require_holds,
    settle_key,
    shared_key,
    signature_holds,
    tag_holds,
)
from clearing.fleet.switches import read_switches
from protocol import cose_mac, cose_sign
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_BUSY,
    STATUS_EPOCH,
    STATUS_KID_UNKNOWN,
    STATUS_MAINTENANCE,
    STATUS_OK,
    STATUS_REVOKED,
)
from protocol.cose import TYP_ROTATION, ec2_point
from protocol.cose_mac import MacKey
from protocol.errors import BadCose, RotationError
from protocol.rotation import Rotation, decode_rotation, next_shared_key, read_signed_rotation


@dataclass(frozen=True)
class Rotated:
    """What became of a rotation.

    Attributes:
        status: OK; EPOCH, BAD_CBOR where the new key cannot be taken, BUSY for a suspect, MAINTENANCE:
            the old one stays.
        shared: the key that authenticated the request, on profile 3.
    """

    validator: Validator
    nonce: bytes
    status: int
    shared: MacKey | None


@dataclass(frozen=True)
class _Asked:
    """A rotation that was read: signed by two keys, or tagged by a shared one."""

    rotation: Rotation
    old_kid: bytes
    payload: bytes
    proof: cose_sign.Signed | cose_mac.Mac0

    def holds(self, key: ValidatorKey, shared: MacKey | None, audience: str) -> bool:
        if isinstance(self.proof, cose_mac.Mac0):
            return shared is not None and tag_holds(self.proof, shared, audience)
        new_kid = self.rotation.kid
        new = self.proof.to_be_signed(new_kid, audience), self.proof.signatures[new_kid]
        old = self.proof.to_be_signed(self.old_kid, audience), self.proof.signatures[self.old_kid]
        return signature_holds(key, *old) and verify_es256(*ec2_point(self.rotation.key), *new)


def rotate_key(session: Session, keys: KeyStore, message: bytes, now_ms: int) -> Rotated:
    """Take a validator's new key.

    Raises:
        UnattributedError: unreadable, an unknown or revoked old key, or a signature that does not hold.
    """
    asked = _read(message)
    key, validator = find_key(session, asked.old_kid)
    session.refresh(validator, with_for_update=True)
    session.refresh(key)
    if isinstance(asked.proof, cose_mac.Mac0) != (key.sealed is not None):
        raise UnattributedError(STATUS_BAD_COSE)
    shared = shared_key(keys, key)
    require_holds(session, validator.city, lambda audience: asked.holds(key, shared, audience))
    if asked.rotation.device != validator.device_id:
        raise UnattributedError(STATUS_KID_UNKNOWN)  # somebody else's key
    status = _take(session, keys, asked, key, validator, shared, now_ms)
    return Rotated(validator, asked.rotation.nonce, status, shared)


def _read(message: bytes) -> _Asked:
    try:
        try:
            rotation, old_kid = read_signed_rotation(message)
        except BadCose:
            parsed = cose_mac.parse(message)
            if parsed.typ != TYP_ROTATION or not isinstance(parsed, cose_mac.Mac0):
                raise UnattributedError(STATUS_BAD_COSE) from None
            return _Asked(decode_rotation(parsed.payload), parsed.kid, parsed.payload, parsed)
        signed = cose_sign.parse(message)
        return _Asked(rotation, old_kid, signed.payload, signed)
    except BadCose:
        raise UnattributedError(STATUS_BAD_COSE) from None
    except RotationError:
        raise UnattributedError(STATUS_BAD_CBOR) from None


def _take(
    session: Session,
    keys: KeyStore,
    asked: _Asked,
    old: ValidatorKey,
    validator: Validator,
    shared: MacKey | None,
    now_ms: int,
) -> int:
    rotation, digest = asked.rotation, hashlib.sha256(asked.payload).digest()
    known = session.get(ValidatorKey, rotation.kid)
    if (
        known is not None
        and (known.rotation_sha256, known.revoked_at_ms) == (digest, None)
        and validator.status not in GONE
    ):
        return STATUS_OK  # the very same again: its answer was lost
    if old.revoked_at_ms is not None or validator.status in GONE:
        raise UnattributedError(STATUS_REVOKED)
    if read_switches(session).maintenance:
        return STATUS_MAINTENANCE
    if rotation.epoch != validator.epoch:
        return STATUS_EPOCH
    if validator.status == QUARANTINED:
        return STATUS_BUSY  # of two devices with one key, the quicker one must not lock the other out
    new = ValidatorKey(kid=rotation.kid, device_id=validator.device_id, created_at_ms=now_ms, replaces=old.kid)
    new.rotation_sha256 = digest
    if known is not None or not _fill_in(keys, new, rotation, shared):
        return STATUS_BAD_CBOR
    settle_key(session, old.kid, now_ms)
    # One that was asked for before and never used is not waited for any more.
    waiting = update(ValidatorKey).where(ValidatorKey.replaces == old.kid, ValidatorKey.revoked_at_ms.is_(None))
    session.execute(waiting.values(revoked_at_ms=now_ms))
    session.add(new)
    session.flush()
    detail = {"old": old.kid.hex(), "new": new.kid.hex()}
    record_audit(session, validator.device_id.hex(), now_ms, "validator.rotate", validator.device_id.hex(), detail)
    return STATUS_OK


def _fill_in(keys: KeyStore, new: ValidatorKey, rotation: Rotation, shared: MacKey | None) -> bool:
    """Put the new key into its row; false where it is not the one that follows, or of the other kind."""
    if shared is None:
        new.x, new.y = ec2_point(rotation.key)
        return True
    try:
        following = next_shared_key(shared, rotation)
    except RotationError:
        return False
    new.sealed = seal(keys, new.device_id, following)
    return True
