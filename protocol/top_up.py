"""A pending top-up on its way to a card (SPEC.md "Top-up command"): what a validator asks for, and what it is given.

No validator has a key that loads money. For one card and one moment it is given that card's own, wrapped so that only this device
can open it, and bound to the card's counter: what was used once is good for nothing. The request travels as COSE_Sign1 with typ
"top-up-request", signed by the device; the command with typ "top-up-command", signed with a key that has the role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import const, hmac_sha256
from protocol.cose import ec2_point
from protocol.errors import BadCose, TopUpError
from protocol.fields import U32_MAX, Layout
from protocol.p256 import is_on_curve

if TYPE_CHECKING:
    from typing import Any

AMOUNT_MINOR_MAX = const(0x7FFFFFFF)
LIFE_S = const(60)
_LABEL = b"JOLAQY top-up"
_WRAPPED_BYTES = const(24)
_REQUEST = Layout(
    "top-up request",
    TopUpError,
    7,
    ((1, 16), (3, 16), (4, 7), (6, 8)),
    ((2, 0, U32_MAX), (5, 0, U32_MAX), (7, 1, 255)),
    (7,),
)
_COMMAND = Layout(
    "top-up command",
    TopUpError,
    11,
    ((1, 16), (3, 8), (4, 16), (10, _WRAPPED_BYTES)),
    ((2, 0, U32_MAX), (5, 0, U32_MAX), (6, 1, AMOUNT_MINOR_MAX), (7, 1, U32_MAX), (8, 0, U32_MAX)),
)


class TopUpRequest:
    """A validator has a card in its field for which money is waiting.

    Attributes:
        device, epoch: who asks.
        token: of the card, 16 bytes.
        masked_uid: `protocol.tokens.mask_uid`, 7 bytes: the card's keys are derived from it.
        counter: transactions that the card has committed.
        nonce: 8 bytes, made for this request.
        key_version: generation of the card's keys; None where the validator knows one only.
    """

    __slots__ = ("counter", "device", "epoch", "key_version", "masked_uid", "nonce", "token")

    def __init__(
        self,
        device: bytes,
        epoch: int,
        token: bytes,
        masked_uid: bytes,
        counter: int,
        nonce: bytes,
        key_version: int | None = None,
    ) -> None:
        self.device = device
        self.epoch = epoch
        self.token = token
        self.masked_uid = masked_uid
        self.counter = counter
        self.nonce = nonce
        self.key_version = key_version


def encode_top_up_request(request: TopUpRequest) -> bytes:
    fields: dict[int, Any] = {
        0: 1,
        1: request.device,
        2: request.epoch,
        3: request.token,
        4: request.masked_uid,
        5: request.counter,
        6: request.nonce,
    }
    if request.key_version is not None:
        fields[7] = request.key_version
    return cbor.encode(fields)


def decode_top_up_request(payload: bytes) -> TopUpRequest:
    """Return the request.

    Raises:
        TopUpError: the payload is not one.
    """
    fields = _REQUEST.read(payload)
    return TopUpRequest(fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields.get(7))


class TopUpCommand:
    """Money for one card, and the key that loads it.

    Attributes:
        device, epoch, nonce, token, counter: of the request that it answers.
        amount_minor: to be loaded, tiyn.
        number: of the command; the record of the top-up names it.
        expires_s: unix seconds; not used from then on.
        ephemeral: the COSE_Key that the service made for this message.
        wrapped: the card's own credit key, 16 bytes, wrapped: 24.
    """

    __slots__ = (
        "amount_minor",
        "counter",
        "device",
        "ephemeral",
        "epoch",
        "expires_s",
        "nonce",
        "number",
        "token",
        "wrapped",
    )

    def __init__(
        self,
        request: TopUpRequest,
        amount_minor: int,
        number: int,
        expires_s: int,
        ephemeral: dict[int, int | bytes],
        wrapped: bytes = bytes(_WRAPPED_BYTES),
    ) -> None:
        """Make the command that answers a request; it is wrapped afterwards, under `agreed_key`."""
        self.device = request.device
        self.epoch = request.epoch
        self.nonce = request.nonce
        self.token = request.token
        self.counter = request.counter
        self.amount_minor = amount_minor
        self.number = number
        self.expires_s = expires_s
        self.ephemeral = ephemeral
        self.wrapped = wrapped

    def answers(self, request: TopUpRequest) -> bool:
        """Return whether it is for this device, card and moment."""
        return (self.device, self.epoch, self.nonce, self.token, self.counter) == (
            request.device,
            request.epoch,
            request.nonce,
            request.token,
            request.counter,
        )

    def agreed_key(self, agreed_x: bytes) -> bytes:
        """Return the key that the card's key is wrapped under, 16 bytes: it depends on every field of the command.

        Args:
            agreed_x: x coordinate that the device's key and the ephemeral one agree on, 32 bytes.
        """
        fields = _fields(self)
        del fields[10]
        return hmac_sha256(agreed_x, _LABEL + cbor.encode(fields))[:16]


def _fields(command: TopUpCommand) -> dict[int, Any]:
    return {
        0: 1,
        1: command.device,
        2: command.epoch,
        3: command.nonce,
        4: command.token,
        5: command.counter,
        6: command.amount_minor,
        7: command.number,
        8: command.expires_s,
        9: command.ephemeral,
        10: command.wrapped,
    }


def encode_top_up_command(command: TopUpCommand) -> bytes:
    return cbor.encode(_fields(command))


def decode_top_up_command(payload: bytes) -> TopUpCommand:
    """Return the command, its key still wrapped.

    Raises:
        TopUpError: the payload is not one, or the ephemeral key does not lie on its curve.
    """
    fields = _COMMAND.read(payload)
    try:
        x, y = ec2_point(fields[9])
    except BadCose as error:
        raise _COMMAND.refusal(str(error)) from None
    if not is_on_curve(int.from_bytes(x, "big"), int.from_bytes(y, "big")):
        raise _COMMAND.refusal("the key is not on its curve")
    asked = TopUpRequest(fields[1], fields[2], fields[4], bytes(7), fields[5], fields[3])
    return TopUpCommand(asked, fields[6], fields[7], fields[8], fields[9], fields[10])
