"""How a validator becomes known: a one-time code for a vehicle, and the enrolment that uses it up.

The request is signed with the key that it registers and proves the secret of the code; the answer is signed with the ack
key that the code named. On profile 3 both have a tag by a key that is made from that secret. An answer that was lost on the
way can be asked for again, by the same request only.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass

from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import ConflictError, NotFoundError
from clearing.fleet.key_bundles import forget_key_bundles, secret_keys, today
from clearing.fleet.key_sets import announce, is_due, keep_key_set, newest_key_set
from clearing.fleet.keys import Aes, KeyStore, OneKeyVerifier
from clearing.fleet.models import Invitation, IssuedKeySet, Validator, ValidatorKey
from clearing.fleet.sealed import seal
from clearing.fleet.service import (
    ACTIVE,
    SHARED_SECRET,
    UnattributedError,
    revoke_keys,
    shared_key,
    tag_holds,
)
from clearing.fleet.switches import read_switches
from clearing.network.models import Vehicle
from clearing.network.service import city_of, find_vehicle
from protocol import cbor, cose_mac, enrolment
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_BAD_SIG,
    STATUS_KEY_EXPIRED,
    STATUS_KID_UNKNOWN,
    STATUS_MAINTENANCE,
    STATUS_REVOKED,
)
from protocol.batch import genesis_head
from protocol.compat import constant_time_equal
from protocol.cose import TYP_ENROLLED, TYP_ENROLMENT, ec2_point, key_thumbprint, sign1, verify1
from protocol.cose_mac import MacKey
from protocol.errors import BadCose, CoseError, EnrolmentError
from protocol.keywrap import wrap

_log = logging.getLogger("jolaqy")
# Before it is enrolled, a validator does not know for whom it signs; the answer is for its city, and says which that is.
ANY_AUDIENCE = ""
INVITATION_LASTS_MS = 7 * 86_400_000
_CODE_ID_BYTES = 8
_SECRET_BYTES = 16


def invite(session: Session, keys: KeyStore, caller: Caller, now_ms: int, city: str, vehicle: str) -> str:
    """Make a one-time code for a validator in a vehicle; it is shown this once.

    Raises:
        NotFoundError: there is no such city or vehicle.
    """
    city_of(session, city)
    keys.reload()
    if find_vehicle(session, city, vehicle) is None:
        raise NotFoundError(f"{city} has no vehicle {vehicle}", "vehicles are listed in the city package")
    invitation = enrolment.Invitation(
        secrets.token_bytes(_CODE_ID_BYTES), secrets.token_bytes(_SECRET_BYTES), keys.ack.kid
    )
    session.add(
        Invitation(
            code_id=invitation.code_id,
            secret=invitation.secret,
            city=city,
            vehicle=vehicle,
            created_by=caller.principal_id,
            created_at_ms=now_ms,
            expires_at_ms=now_ms + INVITATION_LASTS_MS,
            ack_kid=keys.ack.kid,
        )
    )
    session.flush()
    record_audit(session, caller.principal_id, now_ms, "validator.invite", f"{city}/{vehicle}", {})
    return enrolment.print_invitation(invitation)


@dataclass(frozen=True)
class _Asked:
    """A request that was read: its own key has signed it, or, on profile 3, it has a tag that the invitation must explain."""

    payload: bytes
    request: enrolment.EnrolmentRequest
    tagged: cose_mac.Mac0 | None

    def require_tag(self, shared: MacKey | None) -> None:
        """Raise unless the tag was made with the key that the validator shares with us."""
        if self.tagged is None or shared is None:
            holds = self.tagged is None and shared is None
        else:
            named = cose_mac.named_kid(self.request.key)
            holds = named == self.tagged.kid == shared.kid and tag_holds(self.tagged, shared, ANY_AUDIENCE)
        if not holds:
            raise UnattributedError(STATUS_BAD_SIG)


def enrol(session: Session, keys: KeyStore, message: bytes, now_ms: int) -> bytes:
    """Register the device that sent this request and return the signed answer.

    Raises:
        UnattributedError: unreadable, an unknown, used or expired code, or a proof or signature that does not hold.
    """
    asked = _read(message)
    request = asked.request
    if read_switches(session).maintenance:
        raise UnattributedError(STATUS_MAINTENANCE)
    keys.reload()
    invitation = session.get(Invitation, request.code_id, with_for_update=True)
    if invitation is None:
        raise UnattributedError(STATUS_KID_UNKNOWN)
    if invitation.secret is None:
        return _answer_again(session, keys, invitation, asked, now_ms)
    if now_ms >= invitation.expires_at_ms:
        raise UnattributedError(STATUS_KEY_EXPIRED)
    code = enrolment.Invitation(invitation.code_id, invitation.secret, keys.ack.kid)
    if not constant_time_equal(code.proof(request.device, cbor.encode(request.key)), request.proof):
        raise UnattributedError(STATUS_BAD_SIG)
    shared = cose_mac.first_key(invitation.secret, request.device) if request.profile == SHARED_SECRET else None
    asked.require_tag(shared)
    vehicle = session.get_one(Vehicle, (invitation.city, invitation.vehicle))
    validator = _register(session, request, vehicle, _key_row(keys, request, shared, now_ms), now_ms)
    bundle = secret_keys(keys, today(now_ms), vehicle.city, vehicle.code)
    invitation.wrapped_keys = wrap(Aes(), code.key_encryption_key(), bundle.encode())
    invitation.used_at_ms, invitation.device_id = now_ms, request.device
    invitation.request_sha256, invitation.secret = hashlib.sha256(asked.payload).digest(), None
    detail = {"vehicle": vehicle.code, "epoch": validator.epoch, "profile": request.profile}
    record_audit(session, invitation.created_by, now_ms, "validator.enrol", request.device.hex(), detail)
    return _answer(session, keys, validator, invitation, shared, now_ms)


def _read(message: bytes) -> _Asked:
    """What a request says, once its own key has been shown to have signed it; a tag is looked at later."""
    try:
        parsed = cose_mac.parse(message)
        if parsed.typ != TYP_ENROLMENT:
            raise UnattributedError(STATUS_BAD_COSE)
        request = enrolment.decode_request(parsed.payload)
        if isinstance(parsed, cose_mac.Mac0) != (request.profile == SHARED_SECRET):
            raise UnattributedError(STATUS_BAD_COSE)
        if isinstance(parsed, cose_mac.Mac0):
            return _Asked(parsed.payload, request, parsed)
        verifier = OneKeyVerifier(key_thumbprint(request.key), *ec2_point(request.key))
        return _Asked(verify1(message, TYP_ENROLMENT, ANY_AUDIENCE, verifier), request, None)
    except BadCose:
        raise UnattributedError(STATUS_BAD_COSE) from None
    except EnrolmentError:
        raise UnattributedError(STATUS_BAD_CBOR) from None
    except CoseError:
        raise UnattributedError(STATUS_BAD_SIG) from None


def _key_row(keys: KeyStore, request: enrolment.EnrolmentRequest, shared: MacKey | None, now_ms: int) -> ValidatorKey:
    """The key of a request, as it is stored."""
    row = ValidatorKey(device_id=request.device, created_at_ms=now_ms, revoked_at_ms=None)
    row.x = row.y = row.sealed = row.replaces = row.rotation_sha256 = None
    if shared is None:
        row.kid = key_thumbprint(request.key)
        row.x, row.y = ec2_point(request.key)
    else:
        row.kid, row.sealed = shared.kid, seal(keys, request.device, shared)
    return row


def _register(
    session: Session, request: enrolment.EnrolmentRequest, vehicle: Vehicle, key: ValidatorKey, now_ms: int
) -> Validator:
    """Enter the validator and its key; a device that comes again begins a new epoch, and its old keys end."""
    holder = session.get(ValidatorKey, key.kid)
    if holder is not None and holder.device_id != request.device:
        raise UnattributedError(STATUS_KID_UNKNOWN)
    known = session.get(Validator, request.device, with_for_update=True)
    if known is not None and known.quarantined_at_ms is not None:
        raise UnattributedError(STATUS_REVOKED)  # until two persons have released it
    revoke_keys(session, request.device, now_ms)
    forget_key_bundles(session, request.device)
    epoch = known.epoch + 1 if known else 1
    validator = session.merge(
        Validator(
            device_id=request.device,
            city=vehicle.city,
            carrier=vehicle.carrier,
            vehicle=vehicle.code,
            line=vehicle.line,
            profile=request.profile,
            status=ACTIVE,
            epoch=epoch,
            acked_sequence=0,
            head=genesis_head(request.device, epoch),
            enrolled_at_ms=now_ms,
            key_set_told=None,
            boot=None,
            uptime_ms=None,
            boot_first_sequence=None,
            boot_unsettled=False,
            last_word=None,
        )
    )
    session.flush()
    session.merge(key)
    session.flush()
    return validator


def _answer_again(session: Session, keys: KeyStore, invitation: Invitation, asked: _Asked, now_ms: int) -> bytes:
    request = asked.request
    kid = cose_mac.named_kid(request.key) if request.profile == SHARED_SECRET else key_thumbprint(request.key)
    key = session.get(ValidatorKey, kid)
    same = invitation.request_sha256 == hashlib.sha256(asked.payload).digest()
    if not same or invitation.wrapped_keys is None or key is None or key.revoked_at_ms is not None:
        raise UnattributedError(STATUS_REVOKED)
    shared = shared_key(keys, key)
    asked.require_tag(shared)
    return _answer(session, keys, session.get_one(Validator, request.device), invitation, shared, now_ms)


def _key_set(session: Session, keys: KeyStore, city: str, now_ms: int) -> IssuedKeySet | None:
    """The key set for a newcomer: renewed first when it is due, since one that has expired would be refused."""
    newest = newest_key_set(session, city)
    if newest is not None and is_due(newest, now_ms // 1000):
        try:
            keep_key_set(session, keys, city, now_ms)
        except ConflictError:
            _log.exception("the key set of %s must be renewed and was not", city)
        newest = newest_key_set(session, city)
    return newest


def _answer(
    session: Session,
    keys: KeyStore,
    validator: Validator,
    invitation: Invitation,
    shared: MacKey | None,
    now_ms: int,
) -> bytes:
    signer = keys.ack_signer(invitation.ack_kid)
    if shared is None and invitation.ack_kid not in {None, signer.kid}:
        raise UnattributedError(STATUS_KEY_EXPIRED)  # the key that the code names is gone
    key_set = _key_set(session, keys, validator.city, now_ms) if shared is None else None
    validator.ack_kid = signer.kid
    announce(validator, key_set, now_ms)
    assert invitation.wrapped_keys is not None
    enrolled = enrolment.Enrolled(
        device=validator.device_id,
        epoch=validator.epoch,
        ack_key=signer.public_key(),
        document_key=keys.documents.public_key(),
        audience=validator.city,
        wrapped_keys=invitation.wrapped_keys,
        line=validator.line,
        vehicle=validator.vehicle,
        city=city_of(session, validator.city).number,
        server_time_s=now_ms // 1000,
        key_set=None if key_set is None else key_set.body,
    )
    payload = enrolment.encode_enrolled(enrolled)
    if shared is not None:
        return cose_mac.mac0(payload, TYP_ENROLLED, validator.city, shared)
    return sign1(payload, TYP_ENROLLED, validator.city, signer)
