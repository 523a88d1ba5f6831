"""How a device changes its key and how it leaves: what is signed by whom, and when it may let go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import ack, cbor, cose, cose_sign
from protocol.cose_mac import mac0, verify_mac0
from protocol.errors import BadCose, BadSignature, RotationError
from protocol.p256 import P256Verifier
from protocol.rotation import (
    Retirement,
    Rotation,
    decode_retirement,
    decode_rotation,
    encode_retirement,
    encode_rotation,
    next_shared_key,
    read_signed_rotation,
)
from tests.protocol.expect import refusal
from tests.vectors.wire_keys import NEW_DEVICE_PRIVATE, make_rotation, make_shared_key, make_shared_rotation
from tests.vectors.wire_messages import (
    AUDIENCE,
    DEVICE,
    DEVICE_PRIVATE,
    EPOCH,
    NONCE,
    make_ack,
    make_batch,
    make_key,
    make_retirement,
    make_signer,
)

if TYPE_CHECKING:
    from protocol.ack import Ack

_OLD, _NEW = make_signer(DEVICE_PRIVATE), make_signer(NEW_DEVICE_PRIVATE)
_PAYLOAD = encode_rotation(make_rotation())
_MESSAGE = cose_sign.sign_all(_PAYLOAD, cose.TYP_ROTATION, AUDIENCE, [_OLD, _NEW])


def _ack(status: int = ack.STATUS_OK) -> Ack:
    answer = make_ack(make_batch(["boot", "intent", "outcome", "cash", "refused", "test-tap", "lost-range"]))
    answer.status = status
    return answer


def test_a_rotation_comes_back() -> None:
    for before in (make_rotation(), make_shared_rotation()):
        after = decode_rotation(encode_rotation(before))
        assert (after.device, after.epoch, after.key, after.nonce) == (DEVICE, EPOCH, before.key, NONCE)
        assert after.kid == before.kid


def test_the_service_finds_the_old_key_and_believes_both() -> None:
    rotation, old_kid = read_signed_rotation(_MESSAGE)
    assert (rotation.kid, old_kid) == (_NEW.kid, _OLD.kid)
    verifier = P256Verifier(
        {old_kid: cose.ec2_point(make_key(DEVICE_PRIVATE)), rotation.kid: cose.ec2_point(rotation.key)}
    )
    kids = [old_kid, rotation.kid]
    assert cose_sign.verify_all(_MESSAGE, cose.TYP_ROTATION, AUDIENCE, kids, verifier) == _PAYLOAD
    # The new key alone, under the name of the old one too, does not do.
    impostor = cose_sign.parse(_MESSAGE)
    impostor.signatures[_OLD.kid] = _NEW.sign(impostor.to_be_signed(_OLD.kid, AUDIENCE))
    forged = impostor.encode()
    assert refusal(BadSignature, cose_sign.verify_all, forged, cose.TYP_ROTATION, AUDIENCE, kids, verifier)


def test_a_rotation_is_signed_with_two_keys_one_of_them_the_one_that_it_names() -> None:
    for signers in ([_OLD], [_NEW], [_OLD, make_signer(7)], [_OLD, _NEW, make_signer(7)]):
        message = cose_sign.sign_all(_PAYLOAD, cose.TYP_ROTATION, AUDIENCE, signers)
        assert refusal(BadCose, read_signed_rotation, message)
    assert refusal(
        BadCose, read_signed_rotation, cose_sign.sign_all(_PAYLOAD, cose.TYP_KEY_SET, AUDIENCE, [_OLD, _NEW])
    )
    shared = cose_sign.sign_all(encode_rotation(make_shared_rotation()), cose.TYP_ROTATION, AUDIENCE, [_OLD, _NEW])
    assert refusal(RotationError, read_signed_rotation, shared)


def test_a_shared_key_is_followed_by_one_that_both_can_make() -> None:
    key, rotation = make_shared_key(), make_shared_rotation()
    message = mac0(encode_rotation(rotation), cose.TYP_ROTATION, AUDIENCE, key)
    said = decode_rotation(verify_mac0(message, cose.TYP_ROTATION, AUDIENCE, key))
    assert next_shared_key(key, said).kid == rotation.kid != key.kid
    assert refusal(RotationError, next_shared_key, key, Rotation(DEVICE, EPOCH, key.cose_key, NONCE))
    assert refusal(RotationError, next_shared_key, key, Rotation(DEVICE, EPOCH, rotation.key, bytes(8)))
    assert refusal(RotationError, next_shared_key, key, make_rotation())


def test_the_new_key_counts_by_an_ok_for_this_very_rotation_only() -> None:
    rotation = make_rotation()
    assert rotation.is_done_by(_ack())
    for status in range(1, 19):
        assert not rotation.is_done_by(_ack(status))
    for name, value in (("device", bytes(16)), ("epoch", 2), ("nonce", bytes(8))):
        other = _ack()
        setattr(other, name, value)
        assert not rotation.is_done_by(other)


def test_what_is_no_rotation_is_refused() -> None:
    whole = cbor.decode(_PAYLOAD)
    for key, value in (
        (0, 2),
        (1, bytes(15)),
        (2, -1),
        (3, {1: 2}),
        (3, {1: 4, 2: bytes(7)}),
        (3, {1: 4, -1: bytes(32)}),
        (3, bytes(32)),
        (4, bytes(7)),
        (5, 1),
    ):
        changed = dict(whole)
        changed[key] = value
        assert refusal(RotationError, decode_rotation, cbor.encode(changed))


def test_a_retirement_comes_back() -> None:
    before = make_retirement()
    after = decode_retirement(encode_retirement(before))
    for name in Retirement.__slots__:
        assert getattr(after, name) == getattr(before, name), name


def test_a_device_erases_only_when_everything_is_acknowledged() -> None:
    retirement = make_retirement()
    assert retirement.may_erase_after(_ack())
    for status in range(1, 19):
        assert not retirement.may_erase_after(_ack(status))
    for name, value in (
        ("device", bytes(16)),
        ("epoch", 2),
        ("nonce", bytes(8)),
        ("sequence", retirement.last_sequence - 1),
        ("sequence", retirement.last_sequence + 1),
        ("head", bytes(32)),
    ):
        other = _ack()
        setattr(other, name, value)
        assert not retirement.may_erase_after(other), name


def test_what_is_no_retirement_is_refused() -> None:
    whole = cbor.decode(encode_retirement(make_retirement()))
    for key, value in (
        (0, 2),
        (1, bytes(15)),
        (2, 1 << 32),
        (3, -1),
        (3, 1 << 40),
        (3, True),
        (4, bytes(31)),
        (5, bytes(9)),
        (6, 1),
    ):
        changed = dict(whole)
        changed[key] = value
        assert refusal(RotationError, decode_retirement, cbor.encode(changed))
