"""Invitations, key bundles and the two messages of enrolment."""

from __future__ import annotations

from protocol import cbor, enrolment
from protocol.errors import EnrolmentError
from protocol.keyset import take
from protocol.keywrap import unwrap
from protocol.limits import KEY_SET_BYTES_MAX
from protocol.p256 import P256Verifier
from tests.protocol.aes import Aes
from tests.protocol.expect import refusal
from tests.vectors.wire_keys import make_first_key_set, make_shared_key, make_shared_request
from tests.vectors.wire_messages import make_enrolled, make_invitation, make_key_bundle, make_request

_TEXT = enrolment.print_invitation(make_invitation())


def test_an_invitation_comes_back_however_it_is_typed() -> None:
    before = make_invitation()
    typed = (
        _TEXT,
        _TEXT.lower(),
        _TEXT.replace("-", " "),
        _TEXT.replace("-", ""),
        _TEXT.replace("0", "o").replace("1", "l"),
    )
    for text in typed:
        after = enrolment.parse_invitation(text)
        assert (after.code_id, after.secret, after.ack_kid) == (before.code_id, before.secret, before.ack_kid)


def test_a_typo_in_any_place_is_noticed() -> None:
    for index, character in enumerate(_TEXT):
        if character != "-":
            wrong = _TEXT[:index] + ("7" if character != "7" else "8") + _TEXT[index + 1 :]
            assert "mistyped" in refusal(EnrolmentError, enrolment.parse_invitation, wrong)


def test_a_missing_or_impossible_character_is_named() -> None:
    assert "54" in refusal(EnrolmentError, enrolment.parse_invitation, _TEXT[:-1])
    assert "'U'" in refusal(EnrolmentError, enrolment.parse_invitation, "U" + _TEXT[1:])


def test_no_refusal_repeats_the_secret() -> None:
    for text in (_TEXT[:-1], "U" + _TEXT[1:], "7" + _TEXT[1:]):
        assert _TEXT[12:20] not in refusal(EnrolmentError, enrolment.parse_invitation, text)


def test_a_key_bundle_comes_back_from_its_wrapping() -> None:
    before = make_key_bundle()
    enrolled = make_enrolled(Aes())
    plain = unwrap(Aes(), make_invitation().key_encryption_key(), enrolled.wrapped_keys)
    after = enrolment.decode_key_bundle(plain)
    for name in enrolment.KeyBundle.__slots__:
        assert getattr(after, name) == getattr(before, name), name
    assert len(plain) % 8 == 0
    assert refusal(EnrolmentError, enrolment.decode_key_bundle, plain[:-8])


def test_a_key_bundle_may_have_transit_keys_of_two_generations() -> None:
    before = make_key_bundle()
    before.earlier = enrolment.EarlierKeys(3, 2, b"r" * 16, b"d" * 16)
    plain = before.encode()
    assert len(plain) == 224
    after = enrolment.decode_key_bundle(plain)
    assert after.earlier is not None
    assert (after.earlier.newer, after.earlier.version) == (3, 2)
    assert (after.earlier.transit_read, after.earlier.transit_debit) == (b"r" * 16, b"d" * 16)
    assert after.vehicle_secret == before.vehicle_secret
    after.earlier = None
    assert after.encode() == make_key_bundle().encode() == plain[:184]
    for size in (183, 185, 223, 225, 264):
        assert refusal(EnrolmentError, enrolment.decode_key_bundle, (plain + bytes(40))[:size])
    assert [size for size in range(300) if enrolment.is_wrapped_bundle(bytes(size))] == [192, 232]


def test_a_request_comes_back_and_its_proof_binds_device_and_key() -> None:
    before = make_request()
    after = enrolment.decode_request(enrolment.encode_request(before))
    for name in enrolment.EnrolmentRequest.__slots__:
        assert getattr(after, name) == getattr(before, name), name
    invitation = make_invitation()
    assert invitation.proof(after.device, cbor.encode(after.key)) == after.proof
    assert invitation.proof(bytes(16), cbor.encode(after.key)) != after.proof


def test_what_is_no_request_is_refused() -> None:
    whole = cbor.decode(enrolment.encode_request(make_request()))
    for key, value in (
        (0, True),
        (0, 2),
        (1, bytes(15)),
        (2, bytes(9)),
        (3, {}),
        (3, 1),
        (4, 0),
        (4, True),
        (5, bytes(31)),
        (6, 1),
    ):
        changed = dict(whole)
        changed[key] = value
        assert refusal(EnrolmentError, enrolment.decode_request, cbor.encode(changed))


def test_a_device_of_profile_3_names_its_key_and_never_says_it() -> None:
    before = make_shared_request()
    after = enrolment.decode_request(enrolment.encode_request(before))
    assert (after.profile, after.key, after.proof) == (3, make_shared_key().cose_key, before.proof)
    holding: dict[int, int | bytes] = {1: 4, -1: bytes(32)}
    for key, profile in ((before.key, 1), (before.key, 2), (make_request().key, 3), (holding, 3)):
        before.key, before.profile = key, profile
        assert refusal(EnrolmentError, enrolment.decode_request, enrolment.encode_request(before))


def test_an_answer_comes_back_with_a_key_set_and_without() -> None:
    first_set = make_first_key_set()
    for key_set in (None, first_set):
        before = make_enrolled(Aes())
        before.key_set = key_set
        after = enrolment.decode_enrolled(enrolment.encode_enrolled(before))
        assert after.key_set == key_set
    assert take(first_set, after.audience, None, after.server_time_s, P256Verifier).number == 1


def test_an_answer_comes_back() -> None:
    before = make_enrolled(Aes())
    after = enrolment.decode_enrolled(enrolment.encode_enrolled(before))
    for name in enrolment.Enrolled.__slots__:
        assert getattr(after, name) == getattr(before, name), name


def test_what_is_no_answer_is_refused() -> None:
    whole = cbor.decode(enrolment.encode_enrolled(make_enrolled(Aes())))
    for key, value in (
        (0, 2),
        (2, -1),
        (2, 1 << 32),
        (3, {1: 2}),
        (5, b"almaty"),
        (6, bytes(16)),
        (7, [1, "A-101"]),
        (7, [1, 2, 3]),
        (7, [1 << 16, "A-101", 1]),
        (8, True),
        (9, 1),
        (9, b""),
        (9, bytes(KEY_SET_BYTES_MAX + 1)),
        (10, b"x"),
    ):
        changed = dict(whole)
        changed[key] = value
        assert refusal(EnrolmentError, enrolment.decode_enrolled, cbor.encode(changed))
