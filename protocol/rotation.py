"""How a device changes its key, and how it leaves (SPEC.md "Rotation", SPEC.md "Retirement").

A rotation is signed with the old key and with the new one (COSE_Sign, typ "rotation"): the old one says who asks, the new one
that the asker holds it. On profile 3 it is a COSE_Mac0 with the old key; the new one follows from it and the nonce.

A retirement is signed with the device's key (typ "retirement"). Both are answered by an ack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor, cose_sign
from protocol.ack import STATUS_OK
from protocol.cose import TYP_ROTATION, ec2_point, key_thumbprint
from protocol.cose_mac import is_shared_key, named_kid
from protocol.errors import BadCose, RotationError
from protocol.fields import U32_MAX, Layout
from protocol.limits import SEQUENCE_MAX

if TYPE_CHECKING:
    from protocol.ack import Ack
    from protocol.cose_mac import MacKey

_ROTATION = Layout("rotation", RotationError, 5, ((1, 16), (4, 8)), ((2, 0, U32_MAX),))
_RETIREMENT = Layout(
    "retirement", RotationError, 6, ((1, 16), (4, 32), (5, 8)), ((2, 0, U32_MAX), (3, 0, SEQUENCE_MAX))
)


class Rotation:
    """A device's new key.

    Attributes:
        device: 16 bytes.
        epoch: in which it counts, and goes on counting.
        key: its COSE_Key from now on: a point on P-256, or on profile 3 the name of a shared key.
        nonce: 8 random bytes that the ack must echo.
    """

    __slots__ = ("device", "epoch", "key", "nonce")

    def __init__(self, device: bytes, epoch: int, key: dict[int, int | bytes], nonce: bytes) -> None:
        self.device = device
        self.epoch = epoch
        self.key = key
        self.nonce = nonce

    @property
    def kid(self) -> bytes:
        """The name of the new key."""
        return named_kid(self.key) if is_shared_key(self.key) else key_thumbprint(self.key)

    def is_done_by(self, ack: Ack) -> bool:
        """Return whether a verified ack says that the new key counts."""
        return ack.status == STATUS_OK and (ack.device, ack.epoch, ack.nonce) == (self.device, self.epoch, self.nonce)


def encode_rotation(rotation: Rotation) -> bytes:
    return cbor.encode({0: 1, 1: rotation.device, 2: rotation.epoch, 3: rotation.key, 4: rotation.nonce})


def decode_rotation(payload: bytes) -> Rotation:
    """Return the rotation.

    Raises:
        RotationError: the payload is not one.
    """
    fields = _ROTATION.read(payload)
    try:
        if is_shared_key(fields[3]):
            named_kid(fields[3])
        else:
            ec2_point(fields[3])
    except BadCose as error:
        raise _ROTATION.refusal(str(error)) from None
    return Rotation(fields[1], fields[2], fields[3], fields[4])


def read_signed_rotation(message: bytes) -> tuple[Rotation, bytes]:
    """Return what a signed rotation says, and the kid of the old key; whether its signatures hold is `verify_all`'s to say.

    Raises:
        BadCose: not a COSE_Sign of two keys, the one that it names and another.
        RotationError: the payload is not a rotation to a key that signs.
    """
    signed = cose_sign.parse(message)
    rotation = decode_rotation(signed.payload)
    if is_shared_key(rotation.key):
        raise _ROTATION.refusal("a shared key signs nothing")
    old_kids = [kid for kid in signed.signatures if kid != rotation.kid]
    if signed.typ != TYP_ROTATION or len(signed.signatures) != 2 or len(old_kids) != 1:
        raise BadCose("a rotation is signed with the old key and with the new one")
    return rotation, old_kids[0]


def next_shared_key(key: MacKey, rotation: Rotation) -> MacKey:
    """Return the key that follows on profile 3.

    Raises:
        RotationError: the rotation names another.
    """
    following = key.next(rotation.nonce)
    if not is_shared_key(rotation.key) or rotation.kid != following.kid:
        raise _ROTATION.refusal("it names another key than the one that follows")
    return following


class Retirement:
    """A device's last word.

    Attributes:
        device: 16 bytes.
        epoch: in which it counted.
        last_sequence: of the last record it ever made, 0 for none; more will not come.
        head: the hash chain there, 32 bytes.
        nonce: 8 random bytes that the ack must echo.
    """

    __slots__ = ("device", "epoch", "head", "last_sequence", "nonce")

    def __init__(self, device: bytes, epoch: int, last_sequence: int, head: bytes, nonce: bytes) -> None:
        self.device = device
        self.epoch = epoch
        self.last_sequence = last_sequence
        self.head = head
        self.nonce = nonce

    def may_erase_after(self, ack: Ack) -> bool:
        """Return whether a verified ack says that every record is stored: only then may the device erase flash and keys."""
        return (
            ack.status == STATUS_OK
            and (ack.device, ack.epoch, ack.nonce) == (self.device, self.epoch, self.nonce)
            and (ack.sequence, ack.head) == (self.last_sequence, self.head)
        )


def encode_retirement(retirement: Retirement) -> bytes:
    return cbor.encode(
        {
            0: 1,
            1: retirement.device,
            2: retirement.epoch,
            3: retirement.last_sequence,
            4: retirement.head,
            5: retirement.nonce,
        }
    )


def decode_retirement(payload: bytes) -> Retirement:
    """Return the retirement.

    Raises:
        RotationError: the payload is not one.
    """
    fields = _RETIREMENT.read(payload)
    return Retirement(fields[1], fields[2], fields[3], fields[4], fields[5])
