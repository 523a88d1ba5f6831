"""Key sets of any roots signed by any: counted by hand beside the code; and the largest one."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.boards.crypto_cpython import Es256Signer, Es256Verifier, public_point
from protocol import cose_sign, keyset
from protocol.cose import TYP_KEY_SET, ec2_key, key_thumbprint
from protocol.errors import BadSignature, DocumentError
from protocol.keyset import KeySet
from protocol.limits import KEY_SET_BYTES_MAX, KEY_SET_KEYS_MAX, KEY_SET_ROOTS_MAX, SIGNATURES_MAX

_ROOTS = st.sets(st.integers(1, 7), min_size=1, max_size=5)


@cache
def _signer(private: int) -> Es256Signer:
    return Es256Signer(key_thumbprint(ec2_key(*public_point(private))), private)


def _set(number: int, roots: set[int], threshold: int, others: int = 0) -> KeySet:
    roles = dict.fromkeys(roots, keyset.ROLE_ROOT) | dict.fromkeys(range(101, 101 + others), keyset.ROLE_ACK)
    keys = {_signer(private).kid: (public_point(private), role) for private, role in roles.items()}
    return KeySet(number, 1000, keys, threshold)


def _sign(key_set: KeySet, privates: set[int]) -> bytes:
    signers = [_signer(private) for private in privates]
    return cose_sign.sign_all(keyset.encode_key_set(key_set), TYP_KEY_SET, "almaty", signers)


@settings(max_examples=150)
@given(_ROOTS, _ROOTS, st.sets(st.integers(1, 8), min_size=1, max_size=7), st.data())
def test_a_set_is_believed_when_enough_of_both_have_signed(
    old: set[int], new: set[int], signing: set[int], data: st.DataObject
) -> None:
    old_threshold = data.draw(st.integers(1, len(old)))
    new_threshold = data.draw(st.integers(1, len(new)))
    held, following = _set(4, old, old_threshold), _set(5, new, new_threshold)
    message = _sign(following, signing)
    if len(signing & old) >= old_threshold and len(signing & new) >= new_threshold:
        assert keyset.take(message, "almaty", held, 999, Es256Verifier).keys == following.keys
    else:
        with pytest.raises(BadSignature):
            keyset.take(message, "almaty", held, 999, Es256Verifier)


def test_the_largest_set_fits_an_enrolment() -> None:
    roots = set(range(1, KEY_SET_ROOTS_MAX + 1))
    largest = _set(1, roots, KEY_SET_ROOTS_MAX, KEY_SET_KEYS_MAX - KEY_SET_ROOTS_MAX)
    message = _sign(largest, set(range(1, SIGNATURES_MAX + 1)))
    assert len(message) <= KEY_SET_BYTES_MAX
    assert len(keyset.take(message, "almaty", None, 0, Es256Verifier).keys) == KEY_SET_KEYS_MAX


@pytest.mark.parametrize(
    "key_set",
    [
        _set(1, set(range(1, KEY_SET_ROOTS_MAX + 2)), 1),
        _set(1, {1}, 1, KEY_SET_KEYS_MAX),
        _set(1, {1, 2}, 3),
        _set(1, {1}, KEY_SET_ROOTS_MAX + 1),
        _set(1, set(), 1, 1),
    ],
)
def test_more_roots_or_keys_than_may_be_or_fewer_than_must_sign_are_refused(key_set: KeySet) -> None:
    with pytest.raises(DocumentError):
        keyset.decode_key_set(keyset.encode_key_set(key_set))
