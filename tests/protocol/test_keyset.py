"""Key sets: who must have signed one, and what makes it none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor, cose_sign, keyset
from protocol.cose import TYP_KEY_SET, TYP_ROTATION, ec2_key, ec2_point, key_thumbprint
from protocol.errors import BadCose, BadSignature, DocumentError
from protocol.p256 import P256Signer, P256Verifier, finish
from tests.protocol.expect import refusal
from tests.vectors.wire_keys import ROOTS, make_key_set, sign_key_set
from tests.vectors.wire_messages import AUDIENCE, NOW_S, SERVICE_PRIVATE, make_key, make_signer

if TYPE_CHECKING:
    from typing import Any

    from protocol.keyset import KeySet

_KIDS = {private: make_signer(private).kid for private in ROOTS}
_DOCUMENT_KID = make_signer(SERVICE_PRIVATE - 1).kid
_ACK_KID = make_signer(SERVICE_PRIVATE).kid
_FIRST = make_key_set(1, ROOTS[:3], 2)
_SECOND = make_key_set(2, ROOTS[1:], 2)
_PAYLOAD = keyset.encode_key_set(_FIRST)


def _take(message: bytes, held: KeySet | None = None, now_s: int | None = NOW_S, audience: str = AUDIENCE) -> KeySet:
    return keyset.take(message, audience, held, now_s, P256Verifier)


def test_a_key_set_comes_back() -> None:
    after = keyset.decode_key_set(_PAYLOAD)
    assert (after.number, after.expires_s, after.root_threshold) == (1, _FIRST.expires_s, 2)
    assert after.keys == _FIRST.keys


def test_a_key_may_do_what_its_roles_say_and_nothing_else() -> None:
    assert sorted(_FIRST.points(keyset.ROLE_ROOT)) == sorted([_KIDS[root] for root in ROOTS[:3]])
    assert _FIRST.points(keyset.ROLE_ACK) == {_ACK_KID: ec2_point(make_key(SERVICE_PRIVATE))}
    may = [role for role in (1, 2, 4, 8, 16, 32, 64, 128) if _FIRST.may(_DOCUMENT_KID, role)]
    assert may == [keyset.ROLE_LIST, keyset.ROLE_FARE_TABLE]
    assert not _FIRST.may(bytes(8), keyset.ROLE_ACK)


def test_a_first_set_is_signed_by_enough_of_its_own_roots() -> None:
    for roots in (ROOTS[:2], ROOTS[1:3], (ROOTS[0], ROOTS[2]), ROOTS[:3]):
        assert _take(sign_key_set(_FIRST, roots)).number == 1
    for few in (ROOTS[:1], (ROOTS[0], ROOTS[3]), (ROOTS[0], SERVICE_PRIVATE), (SERVICE_PRIVATE, SERVICE_PRIVATE - 1)):
        assert refusal(BadSignature, _take, sign_key_set(_FIRST, few))


def test_a_next_set_is_signed_by_enough_of_the_old_roots_and_of_its_own() -> None:
    # Roots 0, 1, 2 are believed; 1, 2, 3 are to be; two of each must agree.
    for roots in ((1, 2), (0, 1, 3), (0, 2, 3), (0, 1, 2, 3)):
        assert _take(sign_key_set(_SECOND, tuple([ROOTS[each] for each in roots])), _FIRST).number == 2
    for roots in ((0, 1), (1, 3), (2, 3), (0, 3)):
        assert refusal(BadSignature, _take, sign_key_set(_SECOND, tuple([ROOTS[each] for each in roots])), _FIRST)


def test_roots_that_are_all_new_need_the_old_ones_too() -> None:
    after = make_key_set(2, (0x3001, 0x3002), 1)
    assert _take(sign_key_set(after, (ROOTS[0], ROOTS[1], 0x3001)), _FIRST).root_threshold == 1
    assert refusal(BadSignature, _take, sign_key_set(after, (0x3001, 0x3002)), _FIRST)
    assert refusal(BadSignature, _take, sign_key_set(after, ROOTS[:3]), _FIRST)
    assert refusal(BadSignature, _take, sign_key_set(after, (ROOTS[0], 0x3001)), _FIRST)


def test_a_root_that_has_lost_the_role_signs_for_the_old_set_only() -> None:
    after = make_key_set(2, ROOTS[:2], 2)
    after.keys[_KIDS[ROOTS[0]]] = (after.keys[_KIDS[ROOTS[0]]][0], keyset.ROLE_ACK)
    after.root_threshold = 1
    assert _take(sign_key_set(after, ROOTS[:2]), _FIRST).number == 2
    assert refusal(BadSignature, _take, sign_key_set(after, (ROOTS[0], ROOTS[2])), _FIRST)


def test_a_signature_that_does_not_hold_does_not_count_and_does_no_harm() -> None:
    signed = cose_sign.parse(sign_key_set(_FIRST, ROOTS[:3]))
    broken = signed.signatures[_KIDS[ROOTS[0]]]
    signed.signatures[_KIDS[ROOTS[0]]] = broken[:63] + bytes([broken[63] ^ 1])
    assert _take(signed.encode()).number == 1
    signed.signatures[_KIDS[ROOTS[1]]] = signed.signatures[_KIDS[ROOTS[2]]]
    assert refusal(BadSignature, _take, signed.encode())


def test_one_key_does_not_count_twice_under_another_name() -> None:
    signed = cose_sign.parse(sign_key_set(_FIRST, ROOTS[:1]))
    other = P256Signer(_KIDS[ROOTS[1]], ROOTS[0])
    signed.signatures[other.kid] = other.sign(signed.to_be_signed(other.kid, AUDIENCE))
    assert refusal(BadSignature, _take, signed.encode())


def test_numbers_follow_one_another() -> None:
    third = make_key_set(3, ROOTS[1:], 2)
    assert "number" in refusal(DocumentError, _take, sign_key_set(third, ROOTS), _FIRST)
    assert "number" in refusal(DocumentError, _take, sign_key_set(_FIRST, ROOTS[:3]), _FIRST)
    assert "number" in refusal(DocumentError, _take, sign_key_set(_FIRST, ROOTS[:3]), _SECOND)
    assert _take(sign_key_set(third, ROOTS), _take(sign_key_set(_SECOND, ROOTS), _FIRST)).number == 3


def test_an_expired_set_is_refused_unless_it_is_on_the_way_to_a_newer_one() -> None:
    message = sign_key_set(_SECOND, ROOTS)
    assert _take(message, _FIRST, _SECOND.expires_s - 1).number == 2
    assert "expired" in refusal(DocumentError, _take, message, _FIRST, _SECOND.expires_s)
    assert not _take(message, _FIRST, None).is_valid_at(_SECOND.expires_s)


def test_a_set_is_for_one_clearing_and_nothing_else_is_a_set() -> None:
    assert refusal(BadSignature, _take, sign_key_set(_FIRST, ROOTS[:3]), None, NOW_S, "astana")
    signers = [make_signer(root) for root in ROOTS[:2]]
    assert refusal(BadCose, _take, cose_sign.sign_all(_PAYLOAD, TYP_ROTATION, AUDIENCE, signers))
    assert refusal(DocumentError, _take, cose_sign.sign_all(b"", TYP_KEY_SET, AUDIENCE, signers))


def test_a_device_checks_in_many_small_steps_and_no_more_than_it_must() -> None:
    message = sign_key_set(_SECOND, ROOTS)
    steps = keyset.take_steps(message, AUDIENCE, _FIRST, NOW_S, P256Verifier)
    assert len(list(steps)) > 40
    asked = _Counting()
    held = finish(keyset.take_steps(message, AUDIENCE, _FIRST, NOW_S, asked.verifier))
    assert held.number == 2
    assert asked.count <= 4
    # Who is no root is not even asked.
    asked.count = 0
    others = sign_key_set(_FIRST, (ROOTS[0], ROOTS[1], ROOTS[3], SERVICE_PRIVATE, SERVICE_PRIVATE - 1))
    assert finish(keyset.take_steps(others, AUDIENCE, None, NOW_S, asked.verifier)).number == 1
    assert asked.count == 2
    assert refusal(BadSignature, finish, keyset.take_steps(message, "astana", _FIRST, NOW_S, P256Verifier))


class _Counting:
    def __init__(self) -> None:
        self.count = 0

    def verifier(self, keys: dict[bytes, tuple[bytes, bytes]]) -> P256Verifier:
        self.count += len(keys)
        return P256Verifier(keys)


def _changed(key: int, value: object) -> bytes:
    fields = dict(cbor.decode(_PAYLOAD))
    fields[key] = value
    return cbor.encode(fields)


def _with_first(entries: list[Any], entry: list[Any]) -> list[Any]:
    changed = list(entries)
    changed[0] = entry
    return changed


def test_what_is_no_key_set_is_refused() -> None:
    entries: list[Any] = cbor.decode(_PAYLOAD)[3]
    kid, encoded, roles = entries[0]
    doubled = list(entries)
    doubled.insert(0, entries[0])
    off_curve = cbor.encode(ec2_key(bytes(32), bytes(32)))
    for key, value in (
        (0, 2),
        (1, 0),
        (1, 1 << 32),
        (2, -1),
        (3, []),
        (3, {}),
        (3, entries[::-1]),
        (3, doubled),
        (3, [[kid, encoded]]),
        (3, _with_first(entries, [kid, encoded, 0])),
        (3, _with_first(entries, [kid, encoded, 256])),
        (3, _with_first(entries, [kid, encoded, True])),
        (3, _with_first(entries, [bytes(8), encoded, roles])),
        (3, _with_first(entries, [kid, cbor.decode(encoded), roles])),
        (3, _with_first(entries, [kid, encoded + b"\x00", roles])),
        (3, [[key_thumbprint(cbor.decode(off_curve)), off_curve, 1]]),
        (4, 0),
        (4, 4),
        (4, True),
        (5, 1),
    ):
        assert refusal(DocumentError, keyset.decode_key_set, _changed(key, value)), (key, value)
