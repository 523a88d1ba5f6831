"""AES Key Wrap, against RFC 3394."""

from __future__ import annotations

from protocol.errors import EnrolmentError, LocalProtocolError
from protocol.keywrap import unwrap, wrap
from tests.protocol.aes import Aes
from tests.protocol.expect import refusal
from tests.vectors.load import load


def test_keys_are_wrapped_and_unwrapped_as_in_rfc_3394() -> None:
    for vector in load("rfc3394")["wraps"]:
        key, plain, wrapped = (bytes.fromhex(vector[name]) for name in ("key", "plain", "wrapped"))
        assert wrap(Aes(), key, plain) == wrapped
        assert unwrap(Aes(), key, wrapped) == plain


def test_another_key_or_a_changed_bit_unwraps_nothing() -> None:
    wrapped = wrap(Aes(), b"k" * 16, b"p" * 32)
    assert refusal(EnrolmentError, unwrap, Aes(), b"K" * 16, wrapped)
    for index in range(0, len(wrapped), 9):
        changed = bytearray(wrapped)
        changed[index] ^= 0x80
        assert refusal(EnrolmentError, unwrap, Aes(), b"k" * 16, bytes(changed))


def test_sizes_that_are_no_whole_blocks_are_refused() -> None:
    for size in (0, 8, 15, 17):
        assert refusal(LocalProtocolError, wrap, Aes(), b"k" * 16, bytes(size))
    for size in (0, 8, 16, 23, 25):
        assert refusal(EnrolmentError, unwrap, Aes(), b"k" * 16, bytes(size))
