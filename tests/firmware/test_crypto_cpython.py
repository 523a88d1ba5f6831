"""CPython's cryptography does what the validator's own does, and says no in the same words."""

from __future__ import annotations

import pytest

from firmware.boards.crypto_cpython import Aes, Es256Signer, Es256Verifier, public_point
from protocol.compat import sha256
from protocol.errors import RemoteProtocolError, UnknownKid
from protocol.p256 import P256Signer, P256Verifier

PRIVATE, OTHER = 0x1234567890ABCDEF, 0xFEDCBA0987654321
KID = bytes(8)
OFF_THE_CURVE = (bytes(31) + b"\x05", bytes(31) + b"\x01")


def test_both_sign_alike_and_believe_each_other() -> None:
    signature = Es256Signer(KID, PRIVATE).sign(b"a tap")
    assert signature == P256Signer(KID, PRIVATE).sign(b"a tap")
    keys = {KID: public_point(PRIVATE)}
    for verifier in (Es256Verifier(keys), P256Verifier(keys)):
        assert verifier.verify(KID, b"a tap", signature)
        assert not verifier.verify(KID, b"another", signature)
        assert not verifier.verify(KID, b"a tap", bytes(64))


def test_two_keys_agree_whichever_of_the_two_computes() -> None:
    agreed = Es256Signer(KID, PRIVATE).agree(*public_point(OTHER))
    assert agreed == Es256Signer(KID, OTHER).agree(*public_point(PRIVATE))


def test_a_key_that_is_not_on_the_curve_is_told() -> None:
    with pytest.raises(RemoteProtocolError, match="not on its curve"):
        Es256Verifier({KID: OFF_THE_CURVE})
    with pytest.raises(RemoteProtocolError, match="not on its curve"):
        Es256Signer(KID, PRIVATE).agree(*OFF_THE_CURVE)


def test_a_name_that_is_not_known_is_told() -> None:
    with pytest.raises(UnknownKid):
        Es256Verifier({}).verify_digest(KID, sha256(b""), bytes(64))


def test_half_a_block_is_refused_and_leaves_nothing_behind_for_the_next_one() -> None:
    key, block = bytes(range(16)), bytes(16)
    right = Aes().ecb_encrypt(key, block)
    for transform in (Aes().ecb_encrypt, Aes().ecb_decrypt):
        with pytest.raises(ValueError, match="whole blocks"):
            transform(key, block[:7])
    assert Aes().ecb_encrypt(key, block) == right
    assert Aes().ecb_decrypt(key, right) == block
