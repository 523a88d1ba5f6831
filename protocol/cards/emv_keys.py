"""The keys of bank cards: of an authority, an issuer and a card, and what makes one be believed or not (EMV Book 2).

RSA without a library: `pow` does the public operation, some 10 ms on a microcontroller for an exponent of 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.decisions import DECISION_CERTIFICATE_EXPIRED, DECISION_CERTIFICATE_WRONG
from protocol.errors import CardError

if TYPE_CHECKING:
    Bytes = bytes | bytearray | memoryview

KEY_BYTES_MIN = const(64)
KEY_BYTES_MAX = const(248)
EXPONENTS = (3, 65537)
NO_SERIAL = b"\0\0\0"
_HEADER = const(0x6A)
_TRAILER = const(0xBC)
_PADDING = const(0xBB)
_END_OF_DIGITS = const(0xF)


class NotGenuine(CardError):  # noqa: N818 - a finding about a card
    """The card could not prove that it is genuine.

    Attributes:
        decision: `protocol.decisions.DECISION_…`, which says why.
    """

    def __init__(self, decision: int, what: str) -> None:
        super().__init__(what)
        self.decision = decision


class PublicKey:
    """An RSA key of an authority, an issuer or a card.

    Attributes:
        modulus: big-endian.
        exponent: 3 or 65537.
        expires_yymm: the last month in which it counts: four packed digits, 2 bytes.
        serial: of its certificate, 3 bytes.
        identifier: of an issuer, the first 3 to 8 digits of its card numbers, packed and filled with F, 4 bytes.
    """

    __slots__ = ("expires_yymm", "exponent", "identifier", "modulus", "serial")

    def __init__(
        self, modulus: bytes, exponent: int, expires_yymm: bytes, serial: bytes = NO_SERIAL, identifier: bytes = b""
    ) -> None:
        self.modulus = modulus
        self.exponent = exponent
        self.expires_yymm = expires_yymm
        self.serial = serial
        self.identifier = identifier

    def recover(self, signed: Bytes, fault: int, what: str) -> bytearray:
        """Return what was signed, if its frame is right (EMV Book 2 annex A2.1.2); a buffer to be overwritten."""
        if len(signed) == len(self.modulus):
            number = pow(int.from_bytes(signed, "big"), self.exponent, int.from_bytes(self.modulus, "big"))
            block = bytearray(number.to_bytes(len(self.modulus), "big"))
            if block[0] == _HEADER and block[-1] == _TRAILER:
                return block
        raise NotGenuine(fault, what)


def is_past(yymm: Bytes, today: Bytes | None) -> bool:
    """Return whether a month is over on a day (YYMMDD, packed digits); without a day, whatever is a month is not.

    Years from 50 on are of the last century (EMV Book 4 section 6.7.3).
    """
    if today is None:
        return False
    return ((yymm[0] + 0xB0) & 0xFF, yymm[1]) < ((today[0] + 0xB0) & 0xFF, today[1])


def is_month(yymm: Bytes) -> bool:
    """Return whether two bytes are a year and a month in packed digits."""
    digits = [yymm[0] >> 4, yymm[0] & 0xF, yymm[1] >> 4, yymm[1] & 0xF]
    return max(digits) <= 9 and 1 <= digits[2] * 10 + digits[3] <= 12


def joined(inside: Bytes, rest: bytes, size: int) -> bytes:
    """Return a modulus of which a part may lie outside of its certificate; one that is shorter is filled with BB."""
    fits = size <= len(inside)
    filled = bytes(inside[size:]) if fits else b""
    if (
        not KEY_BYTES_MIN <= size <= KEY_BYTES_MAX
        or len(rest) != (0 if fits else size - len(inside))
        or filled != bytes((_PADDING,)) * len(filled)
    ):
        raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certified key has not the size that it says")
    modulus = bytes(inside[:size]) + rest
    if not modulus[0]:
        raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certified key has not the size that it says")
    return modulus


def in_time(key: PublicKey, today: Bytes | None) -> PublicKey:
    if not is_month(key.expires_yymm):
        raise NotGenuine(DECISION_CERTIFICATE_WRONG, "a certificate has no expiry date")
    if is_past(key.expires_yymm, today):
        raise NotGenuine(DECISION_CERTIFICATE_EXPIRED, "a certificate of the card has expired")
    return key


def begins(number: Bytes, identifier: bytes) -> bool:
    """Return whether a card number begins with an issuer's 3 to 8 digits."""
    count = 0
    for index in range(8):
        digit = identifier[index >> 1] >> (0 if index % 2 else 4) & 0xF
        if digit == _END_OF_DIGITS:
            break
        if digit != number[index >> 1] >> (0 if index % 2 else 4) & 0xF:
            return False
        count += 1
    return count >= 3


def overwrite(buffer: bytearray) -> None:
    """Fill a buffer with zeros, where it lies."""
    buffer[:] = bytes(len(buffer))
