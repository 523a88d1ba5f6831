"""A top-up command: only the device that asked opens it, and only as the one for this card and moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor, p256
from protocol.compat import sha256
from protocol.cose import ec2_key, ec2_point
from protocol.errors import EnrolmentError, TopUpError
from protocol.keywrap import unwrap
from protocol.top_up import (
    TopUpCommand,
    decode_top_up_command,
    decode_top_up_request,
    encode_top_up_command,
    encode_top_up_request,
)
from tests.protocol.aes import Aes
from tests.protocol.expect import refusal
from tests.vectors.load import load
from tests.vectors.wire_messages import DEVICE_PRIVATE, make_key, make_top_up_request

if TYPE_CHECKING:
    from typing import Any

_VECTORS = load("wire")


def _payload(name: str) -> bytes:
    return bytes.fromhex(_VECTORS[name]["payload"])


def _open(command: TopUpCommand, private: int = DEVICE_PRIVATE) -> bytes:
    x, y = ec2_point(command.ephemeral)
    agreed = p256.finish(p256.agree_steps(private, int.from_bytes(x, "big"), int.from_bytes(y, "big")))
    return unwrap(Aes(), command.agreed_key(agreed), command.wrapped)


def test_the_device_that_asked_opens_it() -> None:
    command = decode_top_up_command(_payload("top-up-command"))
    assert command.answers(make_top_up_request())
    assert (command.amount_minor, command.number) == (500_000, 7)
    assert _open(command) == sha256(b"credit")[:16]


def test_nobody_else_opens_it() -> None:
    assert refusal(EnrolmentError, _open, decode_top_up_command(_payload("top-up-command")), DEVICE_PRIVATE + 1)


def test_it_opens_as_itself_only() -> None:
    changes: dict[str, Any] = {
        "device": bytes(16),
        "epoch": 2,
        "nonce": bytes(8),
        "token": bytes(16),
        "counter": 42,
        "amount_minor": 500_001,
        "number": 8,
        "expires_s": 0,
    }
    for name, value in changes.items():
        command = decode_top_up_command(_payload("top-up-command"))
        setattr(command, name, value)
        assert refusal(EnrolmentError, _open, command)
        assert name in {"amount_minor", "number", "expires_s"} or not command.answers(make_top_up_request())
    command = decode_top_up_command(_payload("top-up-command"))
    command.ephemeral = make_key(5)
    assert refusal(EnrolmentError, _open, command)


def test_what_is_no_command_is_refused() -> None:
    fields: dict[int, Any] = cbor.decode(_payload("top-up-command"))
    off_curve = ec2_key(bytes(32), b"\x01" * 32)
    wrong: tuple[tuple[int, Any], ...] = (
        (0, 2),
        (1, bytes(15)),
        (2, -1),
        (3, bytes(7)),
        (4, b""),
        (5, 1 << 32),
        (6, 0),
    )
    wrong += ((6, 1 << 31), (7, 0), (8, -1), (9, {1: 2}), (9, off_curve), (10, bytes(16)), (11, 0))
    for key, value in wrong:
        assert refusal(TopUpError, decode_top_up_command, cbor.encode(fields | {key: value}))


def test_what_is_no_request_is_refused() -> None:
    fields: dict[int, Any] = cbor.decode(_payload("top-up-request"))
    wrong: tuple[tuple[int, Any], ...] = ((0, 2), (1, b""), (2, -1), (3, bytes(8)), (4, bytes(4)), (5, True), (6, b""))
    wrong += ((7, 0), (7, 256), (8, 1))
    for key, value in wrong:
        assert refusal(TopUpError, decode_top_up_request, cbor.encode(fields | {key: value}))


def test_both_come_back() -> None:
    request = _payload("top-up-request")
    assert encode_top_up_request(decode_top_up_request(request)) == request
    command = _payload("top-up-command")
    assert encode_top_up_command(decode_top_up_command(command)) == command
