"""AES Key Wrap (RFC 3394): how keys travel to a validator that enrols. The AES is passed in (`protocol.cmac`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const, constant_time_equal
from protocol.errors import EnrolmentError, LocalProtocolError

if TYPE_CHECKING:
    from protocol.cmac import Aes

_HALF = const(8)
_ROUNDS = const(6)
_INITIAL_VALUE = b"\xa6" * 8


def wrap(aes: Aes, key_encryption_key: bytes, plain: bytes) -> bytes:
    """Return `plain` (whole 8-byte blocks, two at least) wrapped: 8 bytes longer."""
    count = len(plain) // _HALF
    if len(plain) % _HALF or count < 2:
        raise LocalProtocolError("whole blocks of 8 bytes are wrapped, two at least")
    register = _INITIAL_VALUE
    blocks = [plain[i * _HALF : (i + 1) * _HALF] for i in range(count)]
    for step in range(_ROUNDS * count):
        result = aes.ecb_encrypt(key_encryption_key, register + blocks[step % count])
        register = _xor_counter(result[:_HALF], step + 1)
        blocks[step % count] = result[_HALF:]
    return register + b"".join(blocks)


def unwrap(aes: Aes, key_encryption_key: bytes, wrapped: bytes) -> bytes:
    """Return what was wrapped.

    Raises:
        EnrolmentError: wrapped with another key, or changed on the way.
    """
    count = len(wrapped) // _HALF - 1
    if len(wrapped) % _HALF or count < 2:
        raise EnrolmentError("wrapped keys have whole blocks of 8 bytes")
    register = wrapped[:_HALF]
    blocks = [wrapped[(i + 1) * _HALF : (i + 2) * _HALF] for i in range(count)]
    for step in range(_ROUNDS * count - 1, -1, -1):
        result = aes.ecb_decrypt(key_encryption_key, _xor_counter(register, step + 1) + blocks[step % count])
        register = result[:_HALF]
        blocks[step % count] = result[_HALF:]
    if not constant_time_equal(register, _INITIAL_VALUE):
        raise EnrolmentError("the wrapped keys are not for this invitation")
    return b"".join(blocks)


def _xor_counter(register: bytes, counter: int) -> bytes:
    return (int.from_bytes(register, "big") ^ counter).to_bytes(_HALF, "big")
