"""The code on the validator's own screen, and the receipt by which a bus without network lets ride (SPEC.md "Screen code").

Each minute the validator shows another code: who it is, the minute, and a nonce that only it and the service can make. A rider
scans it, pays through the service, and shows the receipt to the validator's scanner. The receipt is an HMAC, under the key that
made the nonce, over nonce, minute and amount: it opens this validator for this payment, in these minutes, once.
"""

from __future__ import annotations

from protocol import cbor
from protocol.compat import const, constant_time_equal, hmac_sha256
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_QR_OTHER_CITY,
    DECISION_QR_OTHER_MINUTE,
    DECISION_QR_OTHER_VALIDATOR,
    DECISION_QR_WRONG_CODE,
)
from protocol.qr import base45
from protocol.qr.code_text import read_fields

SCREEN_PREFIX = "JQ2:"
RECEIPT_PREFIX = "JQ3:"
MINUTE_S = const(60)
# A receipt opens in the minute of its code and in the three after it; who pays slower scans again.
MINUTES_VALID = const(4)
PAYMENT_BYTES = const(8)
VEHICLE_SECRET_BYTES = const(8)
_CODE_BYTES = const(8)
_DEVICE_BYTES = const(16)
_VERSION = const(1)
_U16_MAX = const(0xFFFF)
_U32_MAX = const(0xFFFFFFFF)
_FARE_MINOR_MAX = const(100_000_000)


def vehicle_secret(qr_master: bytes, city: str, vehicle: str) -> bytes:
    """Return what the validators of one vehicle share, 8 bytes; with the key of a day it makes their keys of that day."""
    return hmac_sha256(qr_master, ("vehicle/" + city + "/" + vehicle).encode())[:VEHICLE_SECRET_BYTES]


def screen_key(key_of_day: bytes, secret: bytes, device: bytes) -> bytes:
    """Return the key for one validator's screen on one day, 32 bytes."""
    return hmac_sha256(key_of_day, b"screen" + secret + device)


class ScreenCode:
    """A code as it was on a screen.

    Attributes:
        device: 16 bytes.
        city: number.
        minute: unix seconds / 60.
        nonce: 8 bytes.
    """

    __slots__ = ("city", "device", "minute", "nonce")

    def __init__(self, device: bytes, city: int, minute: int, nonce: bytes) -> None:
        self.device = device
        self.city = city
        self.minute = minute
        self.nonce = nonce


def make_nonce(key: bytes, city: int, minute: int) -> bytes:
    """Return the nonce of a minute, 8 bytes: it is at once what shows that the code is the validator's."""
    return hmac_sha256(key, b"nonce" + city.to_bytes(2, "big") + minute.to_bytes(4, "big"))[:_CODE_BYTES]


def show_screen(key: bytes, device: bytes, city: int, minute: int) -> str:
    """Return the text that a validator's screen shows in that minute."""
    nonce = make_nonce(key, city, minute)
    return SCREEN_PREFIX + base45.encode(cbor.encode({0: _VERSION, 1: device, 2: city, 3: minute, 4: nonce}))


def read_screen(text: str) -> ScreenCode:
    """Return the code of which this is the text; nothing is checked yet.

    Raises:
        QrError: it is none of ours.
    """
    fields = read_fields(
        text, SCREEN_PREFIX, (0, _DEVICE_BYTES, 0, 0, _CODE_BYTES), (_VERSION, 0, _U16_MAX, _U32_MAX, 0)
    )
    return ScreenCode(fields[1], fields[2], fields[3], fields[4])


def is_genuine(code: ScreenCode, key: bytes) -> bool:
    """Return whether the validator with that key has shown this code, or will."""
    return constant_time_equal(make_nonce(key, code.city, code.minute), code.nonce)


class Receipt:
    """A receipt as it was shown.

    Attributes:
        device, city, minute: of the code that was paid.
        payment: the service's number of the payment, 8 bytes.
        fare_minor: paid, tiyn.
        category: rider category.
        code: 8 bytes.
    """

    __slots__ = ("category", "city", "code", "device", "fare_minor", "minute", "payment")

    def __init__(
        self, device: bytes, city: int, minute: int, payment: bytes, fare_minor: int, category: int, code: bytes = b""
    ) -> None:
        self.device = device
        self.city = city
        self.minute = minute
        self.payment = payment
        self.fare_minor = fare_minor
        self.category = category
        self.code = code

    def fields(self) -> dict[int, int | bytes]:
        return {
            0: _VERSION,
            1: self.device,
            2: self.city,
            3: self.minute,
            4: self.payment,
            5: self.fare_minor,
            6: self.category,
        }


def _receipt_code(key: bytes, receipt: Receipt) -> bytes:
    nonce = make_nonce(key, receipt.city, receipt.minute)
    return hmac_sha256(key, b"paid" + nonce + cbor.encode(receipt.fields()))[:_CODE_BYTES]


def show_receipt(receipt: Receipt, key: bytes) -> str:
    """Return the text that a rider who has paid shows to the validator's scanner."""
    fields = receipt.fields()
    fields[7] = _receipt_code(key, receipt)
    return RECEIPT_PREFIX + base45.encode(cbor.encode(fields))


def read_receipt(text: str) -> Receipt:
    """Return the receipt of which this is the text; nothing is checked yet.

    Raises:
        QrError: it is none of ours.
    """
    fields = read_fields(
        text,
        RECEIPT_PREFIX,
        (0, _DEVICE_BYTES, 0, 0, PAYMENT_BYTES, 0, 0, _CODE_BYTES),
        (_VERSION, 0, _U16_MAX, _U32_MAX, 0, _FARE_MINOR_MAX, _U16_MAX, 0),
    )
    return Receipt(fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields[7])


def check_receipt(receipt: Receipt, device: bytes, city: int, keys: dict[int, bytes], now_s: int) -> int:
    """Return the decision on a receipt at a moment: accepted, of another city, validator or minute, or a wrong code.

    Args:
        receipt: as it was read.
        device: of the validator that it is shown to.
        city: number of its city.
        keys: the validator's screen keys by day number.
        now_s: unix seconds.
    """
    if receipt.city != city:
        return DECISION_QR_OTHER_CITY
    if receipt.device != device:
        return DECISION_QR_OTHER_VALIDATOR
    key = keys.get(receipt.minute // (24 * 60))
    if key is None or not 0 <= now_s // MINUTE_S - receipt.minute < MINUTES_VALID:
        return DECISION_QR_OTHER_MINUTE
    return DECISION_ACCEPTED if is_genuine_receipt(receipt, key) else DECISION_QR_WRONG_CODE


def is_genuine_receipt(receipt: Receipt, key: bytes) -> bool:
    """Return whether the service has made this receipt, for the validator with that key."""
    return constant_time_equal(_receipt_code(key, receipt), receipt.code)
