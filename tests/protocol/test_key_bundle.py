"""New keys for one device: only its own key opens them, and only this message of this day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor, p256
from protocol.cose import ec2_key, ec2_point
from protocol.cose_mac import first_key
from protocol.enrolment import decode_key_bundle
from protocol.errors import EnrolmentError, RemoteProtocolError
from protocol.key_bundle import WrappedBundle, decode_wrapped_bundle, encode_wrapped_bundle
from protocol.keywrap import unwrap
from tests.protocol.aes import Aes
from tests.protocol.expect import refusal
from tests.vectors.load import load
from tests.vectors.wire_keys import make_shared_key
from tests.vectors.wire_messages import DEVICE, DEVICE_PRIVATE, EPOCH, make_key, make_key_bundle

if TYPE_CHECKING:
    from typing import Any

_VECTORS = load("wire")
_NUMBER = 19857


def _read(name: str) -> WrappedBundle:
    return decode_wrapped_bundle(bytes.fromhex(_VECTORS[name]["payload"]))


def _agree(private: int, key: dict[int, int | bytes]) -> bytes:
    x, y = ec2_point(key)
    return p256.finish(p256.agree_steps(private, int.from_bytes(x, "big"), int.from_bytes(y, "big")))


def _open(bundle: WrappedBundle, private: int = DEVICE_PRIVATE) -> bytes:
    assert bundle.ephemeral is not None
    return unwrap(Aes(), bundle.agreed_key(_agree(private, bundle.ephemeral)), bundle.wrapped)


def test_two_keys_agree_from_either_side() -> None:
    assert _agree(7, make_key(9)) == _agree(9, make_key(7)) == make_key(63)[-2]


def test_no_secret_is_agreed_on_with_a_point_off_the_curve() -> None:
    for x, y in ((1, 1), (0, 0), (p256.P, 0)):
        assert refusal(RemoteProtocolError, p256.finish, p256.agree_steps(DEVICE_PRIVATE, x, y))


def test_the_device_opens_its_bundle() -> None:
    bundle = decode_key_bundle(_open(_read("key-bundle")))
    assert sorted(bundle.qr_day_keys) == [_NUMBER, _NUMBER + 1, _NUMBER + 2]
    assert bundle.encode() == make_key_bundle().encode()


def test_a_device_of_profile_3_opens_its_bundle_with_the_shared_key() -> None:
    bundle = _read("shared key-bundle")
    assert bundle.ephemeral is None
    assert unwrap(Aes(), bundle.shared_key(make_shared_key()), bundle.wrapped) == make_key_bundle().encode()
    other = bundle.shared_key(first_key(bytes(16), DEVICE))
    assert refusal(EnrolmentError, unwrap, Aes(), other, bundle.wrapped)


def test_nobody_else_opens_it() -> None:
    assert refusal(EnrolmentError, _open, _read("key-bundle"), DEVICE_PRIVATE + 1)


def test_it_opens_as_itself_only() -> None:
    for change in ({"device": bytes(16)}, {"epoch": EPOCH + 1}, {"number": _NUMBER + 1}):
        bundle = _read("key-bundle")
        for name, value in change.items():
            setattr(bundle, name, value)
        assert refusal(EnrolmentError, _open, bundle)


def test_it_is_for_one_device_of_one_epoch_and_newer_than_what_is_held() -> None:
    bundle = _read("key-bundle")
    assert bundle.is_for(DEVICE, EPOCH, _NUMBER - 1)
    for device, epoch, held in ((bytes(16), EPOCH, 0), (DEVICE, EPOCH + 1, 0), (DEVICE, EPOCH, _NUMBER)):
        assert not bundle.is_for(device, epoch, held)


def test_what_is_no_bundle_is_refused() -> None:
    fields: dict[int, Any] = cbor.decode(bytes.fromhex(_VECTORS["key-bundle"]["payload"]))
    off_curve = ec2_key(bytes(32), b"\x01" * 32)
    for key, value in ((0, 2), (1, bytes(15)), (3, -1), (4, {1: 2}), (4, off_curve), (5, bytes(191)), (6, 0)):
        assert refusal(EnrolmentError, decode_wrapped_bundle, cbor.encode(fields | {key: value}))
    for key in (0, 1, 2, 3, 5):
        fewer = {each: value for each, value in fields.items() if each != key}
        assert refusal(EnrolmentError, decode_wrapped_bundle, cbor.encode(fewer))


def test_a_bundle_comes_back() -> None:
    for name in ("key-bundle", "shared key-bundle"):
        assert encode_wrapped_bundle(_read(name)).hex() == _VECTORS[name]["payload"]
