"""Key bundles: each day a validator gets the secret keys of the next days, wrapped for it alone.

The message is made when it is asked for, once for a validator and a day, so whoever asks again (or asks for others) gets the
same bytes and costs nothing. A validator that is not trusted gets none: its QR keys run out by themselves.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import ConflictError
from clearing.fleet.keys import Aes, KeyStore
from clearing.fleet.models import IssuedKeyBundle, Validator, ValidatorKey
from clearing.fleet.sealed import open_sealed
from protocol.cose import TYP_KEY_BUNDLE, ec2_key, sign1
from protocol.cose_mac import mac0
from protocol.enrolment import EarlierKeys, KeyBundle
from protocol.key_bundle import WrappedBundle, encode_wrapped_bundle
from protocol.keywrap import wrap
from protocol.qr.nonce import vehicle_secret
from protocol.qr.ticket import day_key

DAY_MS = 86_400_000
_QR_DAYS = 3
_WRAPPED_BYTES = 192
_COORDINATE_BYTES = 32
_ACTIVE = "active"


def today(now_ms: int) -> int:
    """The number of the bundle that validators should have now."""
    return now_ms // DAY_MS


def secret_keys(keys: KeyStore, number: int, city: str, vehicle: str) -> KeyBundle:
    """What a validator in a vehicle needs from a day on."""
    day_keys = {day: day_key(keys.qr_master, day) for day in range(number, number + _QR_DAYS)}
    bundle = KeyBundle(keys.transit_read_master, keys.transit_debit_master, keys.token_key, day_keys, keys.version)
    bundle.vehicle_secret = vehicle_secret(keys.qr_master, city, vehicle)
    if keys.transit_earlier is not None:
        version, masters = keys.transit_earlier
        read, debit = masters["transit_read_master"], masters["transit_debit_master"]
        bundle.earlier = EarlierKeys(keys.transit_version, version, read, debit)
    return bundle


def roll_over(session: Session, keys: KeyStore, caller: Caller, now_ms: int, *, forget: bool) -> None:
    """Make a new generation of transit keys, or destroy the one before; the next bundles of all validators say so.

    Raises:
        ConflictError: one is under way already, or there is none to end.
    """
    keys.reload()
    if forget == (keys.transit_earlier is None):
        raise ConflictError(
            "no cards are being brought over" if forget else "cards are being brought over already",
            "begin it: jolaqy keys roll-over" if forget else "end it first: jolaqy keys roll-over --forget",
        )
    if forget:
        keys.forget_transit_keys()
    else:
        keys.roll_transit_keys()
    detail: dict[str, object] = {"version": keys.transit_version, "forget": forget}
    record_audit(session, caller.principal_id, now_ms, "key.rotate", "transit", detail)


def issue_key_bundle(session: Session, keys: KeyStore, device: bytes, number: int, now_ms: int) -> bytes | None:
    """The bundle of today for a validator, or that of yesterday where it was made; nothing for any other day or validator."""
    validator = session.get(Validator, device, with_for_update=True)
    key = session.scalar(
        select(ValidatorKey)
        .where(ValidatorKey.device_id == device, ValidatorKey.revoked_at_ms.is_(None))
        .order_by(ValidatorKey.created_at_ms.desc(), ValidatorKey.replaces.is_(None))
        .limit(1)
    )
    if validator is None or validator.status != _ACTIVE or key is None:
        return None
    issued = session.get(IssuedKeyBundle, (device, number))
    if issued is not None and issued.kid == key.kid and number >= today(now_ms) - 1:
        return issued.body
    if number != today(now_ms):
        return None
    keys.reload()
    body = _make(keys, validator, key, number)
    session.execute(
        delete(IssuedKeyBundle).where(IssuedKeyBundle.device_id == device, IssuedKeyBundle.number < number - 1)
    )
    session.merge(IssuedKeyBundle(device_id=device, number=number, kid=key.kid, body=body))
    return body


def forget_key_bundles(session: Session, device: bytes) -> None:
    """Forget what was made for a validator: it begins a new epoch."""
    session.execute(delete(IssuedKeyBundle).where(IssuedKeyBundle.device_id == device))


def _make(keys: KeyStore, validator: Validator, key: ValidatorKey, number: int) -> bytes:
    bundle = WrappedBundle(validator.device_id, validator.epoch, number, None, bytes(_WRAPPED_BYTES))
    plain = secret_keys(keys, number, validator.city, validator.vehicle).encode()
    if key.sealed is not None:
        shared = open_sealed(keys, validator.device_id, key.sealed)
        bundle.wrapped = wrap(Aes(), bundle.shared_key(shared), plain)
        return mac0(encode_wrapped_bundle(bundle), TYP_KEY_BUNDLE, validator.city, shared)
    assert key.x is not None
    assert key.y is not None
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    point = ephemeral.public_key().public_numbers()
    bundle.ephemeral = ec2_key(point.x.to_bytes(_COORDINATE_BYTES, "big"), point.y.to_bytes(_COORDINATE_BYTES, "big"))
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(key.x, "big"), int.from_bytes(key.y, "big"), ec.SECP256R1())
    agreed_x = ephemeral.exchange(ec.ECDH(), numbers.public_key())
    bundle.wrapped = wrap(Aes(), bundle.agreed_key(agreed_x), plain)
    return sign1(encode_wrapped_bundle(bundle), TYP_KEY_BUNDLE, validator.city, keys.documents)
