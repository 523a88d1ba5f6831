"""Messages of more than one key (COSE_Sign) and of a shared one (COSE_Mac0), built from fixed keys and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import ack, cbor, enrolment, keyset
from protocol.batch import encode_batch
from protocol.cose import (
    TYP_ACK,
    TYP_BATCH,
    TYP_ENROLLED,
    TYP_ENROLMENT,
    TYP_KEY_BUNDLE,
    TYP_KEY_SET,
    TYP_RETIREMENT,
    TYP_ROTATION,
    ec2_point,
    key_thumbprint,
)
from protocol.cose_mac import MacKey, first_key, mac0
from protocol.cose_sign import sign_all
from protocol.key_bundle import WrappedBundle, encode_wrapped_bundle
from protocol.keywrap import wrap
from protocol.rotation import Rotation, encode_retirement, encode_rotation
from tests.vectors.wire_messages import (
    AUDIENCE,
    DEVICE,
    DEVICE_PRIVATE,
    EPOCH,
    NONCE,
    NOW_S,
    SERVICE_PRIVATE,
    make_ack,
    make_batch,
    make_enrolled,
    make_invitation,
    make_key,
    make_key_bundle,
    make_retirement,
    make_signer,
)

if TYPE_CHECKING:
    from protocol.cmac import Aes

# Private scalars of four roots, and of the key that a device changes to.
ROOTS = (0x1001, 0x1002, 0x1003, 0x1004)
NEW_DEVICE_PRIVATE = 0x2001
_DOCUMENTS = keyset.ROLE_LIST | keyset.ROLE_FARE_TABLE
_YEAR_S = 365 * 86_400


def make_key_set(number: int, roots: tuple[int, ...], threshold: int) -> keyset.KeySet:
    """Return the set of these roots, and of the keys that sign acks and documents."""
    roles = [(private, keyset.ROLE_ROOT) for private in roots]
    roles += [(SERVICE_PRIVATE, keyset.ROLE_ACK), (SERVICE_PRIVATE - 1, _DOCUMENTS)]
    keys = {}
    for private, role in roles:
        key = make_key(private)
        keys[key_thumbprint(key)] = (ec2_point(key), role)
    return keyset.KeySet(number, NOW_S + _YEAR_S, keys, threshold)


def sign_key_set(key_set: keyset.KeySet, roots: tuple[int, ...]) -> bytes:
    signers = [make_signer(private) for private in roots]
    return sign_all(keyset.encode_key_set(key_set), TYP_KEY_SET, AUDIENCE, signers)


def make_first_key_set() -> bytes:
    """Return a signed set of three roots, two of which must agree."""
    return sign_key_set(make_key_set(1, ROOTS[:3], 2), ROOTS[:2])


def make_second_key_set() -> bytes:
    """Return the signed set after it: the first root is gone, another has come."""
    return sign_key_set(make_key_set(2, ROOTS[1:], 2), ROOTS[1:3])


def make_rotation() -> Rotation:
    return Rotation(DEVICE, EPOCH, make_key(NEW_DEVICE_PRIVATE), NONCE)


def make_shared_key() -> MacKey:
    return first_key(make_invitation().secret, DEVICE)


def make_shared_rotation() -> Rotation:
    return Rotation(DEVICE, EPOCH, make_shared_key().next(NONCE).cose_key, NONCE)


def make_shared_request() -> enrolment.EnrolmentRequest:
    invitation, key = make_invitation(), make_shared_key().cose_key
    return enrolment.EnrolmentRequest(DEVICE, invitation.code_id, key, 3, invitation.proof(DEVICE, cbor.encode(key)))


def make_shared_bundle(aes: Aes) -> WrappedBundle:
    bundle = WrappedBundle(DEVICE, EPOCH, 19857, None, bytes(192))
    bundle.wrapped = wrap(aes, bundle.shared_key(make_shared_key()), make_key_bundle().encode())
    return bundle


def _vector(form: str, typ: str, audience: str, payload: bytes, message: bytes) -> dict[str, str]:
    return {"form": form, "typ": typ, "audience": audience, "payload": payload.hex(), "message": message.hex()}


def make_signed_by_several() -> dict[str, dict[str, str]]:
    """Return each message that several keys sign, as it stands in `wire.json`."""
    first, second = make_key_set(1, ROOTS[:3], 2), make_key_set(2, ROOTS[1:], 2)
    rotation = encode_rotation(make_rotation())
    signed = sign_all(rotation, TYP_ROTATION, AUDIENCE, [make_signer(DEVICE_PRIVATE), make_signer(NEW_DEVICE_PRIVATE)])
    messages = (
        ("key-set", TYP_KEY_SET, keyset.encode_key_set(first), make_first_key_set()),
        ("key-set next", TYP_KEY_SET, keyset.encode_key_set(second), make_second_key_set()),
        ("rotation", TYP_ROTATION, rotation, signed),
    )
    return {name: _vector("COSE_Sign", typ, AUDIENCE, payload, message) for name, typ, payload, message in messages}


def make_authenticated(aes: Aes) -> dict[str, dict[str, str]]:
    """Return each message of a device of profile 3, and to one, as it stands in `wire.json`."""
    batch = make_batch(["boot", "cash"])
    batch.flash = None
    messages = (
        ("shared enrolment", TYP_ENROLMENT, "", enrolment.encode_request(make_shared_request())),
        ("shared enrolled", TYP_ENROLLED, AUDIENCE, enrolment.encode_enrolled(make_enrolled(aes))),
        ("shared batch", TYP_BATCH, AUDIENCE, encode_batch(batch)),
        ("shared ack", TYP_ACK, AUDIENCE, ack.encode_ack(make_ack(batch))),
        ("shared rotation", TYP_ROTATION, AUDIENCE, encode_rotation(make_shared_rotation())),
        ("shared key-bundle", TYP_KEY_BUNDLE, AUDIENCE, encode_wrapped_bundle(make_shared_bundle(aes))),
        ("shared retirement", TYP_RETIREMENT, AUDIENCE, encode_retirement(make_retirement())),
    )
    key = make_shared_key()
    return {
        name: _vector("COSE_Mac0", typ, audience, payload, mac0(payload, typ, audience, key))
        for name, typ, audience, payload in messages
    }
