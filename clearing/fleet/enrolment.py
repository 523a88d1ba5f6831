"""How a validator becomes known: a one-time code for a vehicle, and the enrolment that uses it up.

The request is signed with the key that it registers and proves the secret of the code; the answer is signed with the ack
key that the code named. An answer that was lost on the way can be asked for again, by the same request only.
"""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import NotFoundError
from clearing.fleet.keys import Aes, KeyStore, OneKeyVerifier
from clearing.fleet.models import Invitation, Validator, ValidatorKey
from clearing.fleet.service import ACTIVE, UnattributedError, revoke_keys
from clearing.network.models import Vehicle
from clearing.network.service import city_of, find_vehicle
from protocol import cbor, enrolment
from protocol.ack import (
    STATUS_BAD_CBOR,
    STATUS_BAD_COSE,
    STATUS_BAD_SIG,
    STATUS_KEY_EXPIRED,
    STATUS_KID_UNKNOWN,
    STATUS_REVOKED,
)
from protocol.batch import genesis_head
from protocol.compat import constant_time_equal
from protocol.cose import TYP_ENROLLED, TYP_ENROLMENT, ec2_point, key_thumbprint, parse, sign1, verify1
from protocol.errors import BadCose, CoseError, EnrolmentError
from protocol.keywrap import wrap
from protocol.qr.ticket import day_key

# Before it is enrolled, a validator does not know for whom it signs; the answer is for its city, and says which that is.
ANY_AUDIENCE = ""
INVITATION_LASTS_MS = 7 * 86_400_000
_DAY_S = 86_400
_QR_DAYS = 3
_CODE_ID_BYTES = 8
_SECRET_BYTES = 16


def invite(session: Session, keys: KeyStore, caller: Caller, now_ms: int, city: str, vehicle: str) -> str:
    """Make a one-time code for a validator in a vehicle; it is shown this once.

    Raises:
        NotFoundError: there is no such city or vehicle.
    """
    city_of(session, city)
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
        )
    )
    session.flush()
    record_audit(session, caller.principal_id, now_ms, "validator.invite", f"{city}/{vehicle}", {})
    return enrolment.print_invitation(invitation)


def enrol(session: Session, keys: KeyStore, message: bytes, now_ms: int) -> bytes:
    """Register the device that sent this request and return the signed answer.

    Raises:
        UnattributedError: unreadable, an unknown, used or expired code, or a proof or signature that does not hold.
    """
    payload, request = _read(message)
    invitation = session.get(Invitation, request.code_id, with_for_update=True)
    if invitation is None:
        raise UnattributedError(STATUS_KID_UNKNOWN)
    if invitation.secret is None:
        return _answer_again(session, keys, invitation, payload, request, now_ms)
    if now_ms >= invitation.expires_at_ms:
        raise UnattributedError(STATUS_KEY_EXPIRED)
    code = enrolment.Invitation(invitation.code_id, invitation.secret, keys.ack.kid)
    if not constant_time_equal(code.proof(request.device, cbor.encode(request.key)), request.proof):
        raise UnattributedError(STATUS_BAD_SIG)
    vehicle = session.get_one(Vehicle, (invitation.city, invitation.vehicle))
    validator = _register(session, request, vehicle, now_ms)
    bundle = _key_bundle(keys, now_ms // 1000)
    invitation.wrapped_keys = wrap(Aes(), code.key_encryption_key(), bundle.encode())
    invitation.used_at_ms, invitation.device_id = now_ms, request.device
    invitation.request_sha256, invitation.secret = hashlib.sha256(payload).digest(), None
    detail = {"vehicle": vehicle.code, "epoch": validator.epoch, "profile": request.profile}
    record_audit(session, invitation.created_by, now_ms, "validator.enrol", request.device.hex(), detail)
    return _answer(session, keys, validator, invitation.wrapped_keys, now_ms)


def _read(message: bytes) -> tuple[bytes, enrolment.EnrolmentRequest]:
    """The payload and what it says, once its own key has been shown to have signed it."""
    try:
        parsed = parse(message)
        request = enrolment.decode_request(parsed.payload)
        verifier = OneKeyVerifier(key_thumbprint(request.key), *ec2_point(request.key))
        return verify1(message, TYP_ENROLMENT, ANY_AUDIENCE, verifier), request
    except BadCose:
        raise UnattributedError(STATUS_BAD_COSE) from None
    except EnrolmentError:
        raise UnattributedError(STATUS_BAD_CBOR) from None
    except CoseError:
        raise UnattributedError(STATUS_BAD_SIG) from None


def _register(session: Session, request: enrolment.EnrolmentRequest, vehicle: Vehicle, now_ms: int) -> Validator:
    """Enter the validator and its key; a device that comes again begins a new epoch, and its old keys end."""
    kid = key_thumbprint(request.key)
    key = session.get(ValidatorKey, kid)
    if key is not None and key.device_id != request.device:
        raise UnattributedError(STATUS_KID_UNKNOWN)
    revoke_keys(session, request.device, now_ms)
    known = session.get(Validator, request.device, with_for_update=True)
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
        )
    )
    session.flush()
    x, y = ec2_point(request.key)
    session.merge(ValidatorKey(kid=kid, device_id=request.device, x=x, y=y, created_at_ms=now_ms, revoked_at_ms=None))
    session.flush()
    return validator


def _answer_again(
    session: Session,
    keys: KeyStore,
    invitation: Invitation,
    payload: bytes,
    request: enrolment.EnrolmentRequest,
    now_ms: int,
) -> bytes:
    key = session.get(ValidatorKey, key_thumbprint(request.key))
    same = invitation.request_sha256 == hashlib.sha256(payload).digest()
    if not same or invitation.wrapped_keys is None or key is None or key.revoked_at_ms is not None:
        raise UnattributedError(STATUS_REVOKED)
    return _answer(session, keys, session.get_one(Validator, request.device), invitation.wrapped_keys, now_ms)


def _key_bundle(keys: KeyStore, now_s: int) -> enrolment.KeyBundle:
    today = now_s // _DAY_S
    day_keys = {day: day_key(keys.qr_master, day) for day in range(today, today + _QR_DAYS)}
    return enrolment.KeyBundle(
        keys.transit_read_master, keys.transit_debit_master, keys.token_key, day_keys, keys.version
    )


def _answer(session: Session, keys: KeyStore, validator: Validator, wrapped_keys: bytes, now_ms: int) -> bytes:
    enrolled = enrolment.Enrolled(
        device=validator.device_id,
        epoch=validator.epoch,
        ack_key=keys.ack.public_key(),
        document_key=keys.documents.public_key(),
        audience=validator.city,
        wrapped_keys=wrapped_keys,
        line=validator.line,
        vehicle=validator.vehicle,
        city=city_of(session, validator.city).number,
        server_time_s=now_ms // 1000,
    )
    return sign1(enrolment.encode_enrolled(enrolled), TYP_ENROLLED, validator.city, keys.ack)
