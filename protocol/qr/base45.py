"""Base45 (RFC 9285): bytes as the characters of a QR code's alphanumeric mode."""

from __future__ import annotations

from protocol.errors import QrError

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def encode(data: bytes) -> str:
    out = []
    for start in range(0, len(data), 2):
        pair = data[start : start + 2]
        number = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            out.append(_ALPHABET[number % 45])
            number //= 45
    return "".join(out)


def decode(text: str) -> bytes:
    """Return the bytes.

    Raises:
        QrError: a character or a group that base45 does not have.
    """
    out = bytearray()
    for start in range(0, len(text), 3):
        group = text[start : start + 3]
        number = 0
        for character in reversed(group):
            digit = _ALPHABET.find(character)
            if digit < 0:
                raise QrError("a character that base45 does not have")
            number = number * 45 + digit
        size = len(group) - 1
        if size == 0 or number >> (8 * size):
            raise QrError("a group that base45 does not have")
        out.extend(number.to_bytes(size, "big"))
    return bytes(out)
