"""New secret keys for a validator that is enrolled (SPEC.md "Key bundle"): QR day keys of the next days, and the others.

The bundle is that of `enrolment`, wrapped under a key that only this device can derive: from a key agreement between its own key
and one that the service makes for this message alone, or on profile 3 from the shared key. It travels as COSE_Sign1 with typ
"key-bundle". Who records it and steals the service's keys later learns nothing from it; who steals the device's key does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import cbor
from protocol.compat import hmac_sha256
from protocol.cose import ec2_point
from protocol.enrolment import is_wrapped_bundle
from protocol.errors import BadCose, EnrolmentError
from protocol.fields import U32_MAX, Layout
from protocol.p256 import is_on_curve

if TYPE_CHECKING:
    from typing import Any

    from protocol.cose_mac import MacKey

_LABEL = b"JOLAQY key-bundle"
_LAYOUT = Layout("key bundle", EnrolmentError, 4, ((1, 16),), ((2, 0, U32_MAX), (3, 0, U32_MAX)), (4, 5))


class WrappedBundle:
    """A key bundle on its way to one device.

    Attributes:
        device, epoch: for whom.
        number: the day number (unix days, UTC) of its first QR day key; grows.
        ephemeral: the COSE_Key that the service made for this message; absent on profile 3.
        wrapped: the `KeyBundle`, wrapped, 192 bytes, or 232 with two generations of transit keys.
    """

    __slots__ = ("device", "ephemeral", "epoch", "number", "wrapped")

    def __init__(
        self, device: bytes, epoch: int, number: int, ephemeral: dict[int, int | bytes] | None, wrapped: bytes
    ) -> None:
        self.device = device
        self.epoch = epoch
        self.number = number
        self.ephemeral = ephemeral
        self.wrapped = wrapped

    def is_for(self, device: bytes, epoch: int, held_number: int) -> bool:
        """Return whether it is the device's own, of this epoch, and newer than what it holds."""
        return (self.device, self.epoch) == (device, epoch) and self.number > held_number

    def _context(self) -> bytes:
        ephemeral_x = b"" if self.ephemeral is None else ec2_point(self.ephemeral)[0]
        return _LABEL + self.device + self.epoch.to_bytes(4, "big") + self.number.to_bytes(4, "big") + ephemeral_x

    def agreed_key(self, agreed_x: bytes) -> bytes:
        """Return the key that it is wrapped under, 16 bytes.

        Args:
            agreed_x: x coordinate that the device's key and the ephemeral one agree on, 32 bytes.
        """
        return hmac_sha256(agreed_x, self._context())[:16]

    def shared_key(self, key: MacKey) -> bytes:
        """Return the key that it is wrapped under on profile 3, 16 bytes."""
        return key.tag(self._context())[:16]


def encode_wrapped_bundle(bundle: WrappedBundle) -> bytes:
    fields: dict[int, Any] = {0: 1, 1: bundle.device, 2: bundle.epoch, 3: bundle.number, 5: bundle.wrapped}
    if bundle.ephemeral is not None:
        fields[4] = bundle.ephemeral
    return cbor.encode(fields)


def decode_wrapped_bundle(payload: bytes) -> WrappedBundle:
    """Return the bundle, still wrapped.

    Raises:
        EnrolmentError: the payload is not one, or the ephemeral key does not lie on its curve.
    """
    fields = _LAYOUT.read(payload)
    if not is_wrapped_bundle(fields.get(5)):
        raise _LAYOUT.refusal("key 5 has 192 or 232 bytes")
    if 4 in fields:
        try:
            x, y = ec2_point(fields[4])
        except BadCose as error:
            raise _LAYOUT.refusal(str(error)) from None
        if not is_on_curve(int.from_bytes(x, "big"), int.from_bytes(y, "big")):
            raise _LAYOUT.refusal("the key is not on its curve")
    return WrappedBundle(fields[1], fields[2], fields[3], fields.get(4), fields[5])
