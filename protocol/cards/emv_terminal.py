"""What a transit terminal says of itself to a bank card, and how data object lists are filled (EMV Book 3 section 5.4)."""

from __future__ import annotations

from protocol.cards.tlv import parse_object_list
from protocol.compat import const
from protocol.errors import CardError

_OPTIONS_BYTES_MAX = const(252)
# Terminal transaction qualifiers of a transit reader: EMV mode, offline data authentication before online authorisation, and an
# online cryptogram wanted, as by whoever says an amount of zero (EMV Contactless Book A section 3.1.1).
_TTQ = b"\x27\x80\x40\x00"
_KAZAKHSTAN = b"\x03\x98"
_TENGE = b"\x03\x98"
_UNATTENDED_WITH_ONLINE = b"\x25"
_CAPABILITIES = b"\x00\x08\x48"
_NO_CARDHOLDER_VERIFICATION = b"\x1f\x00\x00"
# Numeric objects keep their right end when a card asks for another size, all others their left.
_NUMERIC = (0x9F02, 0x9F03, 0x9F1A, 0x5F2A, 0x9A, 0x9C, 0x9F35)


class Terminal:
    """What a card may ask of the terminal.

    Attributes:
        values: by tag.
        today: YYMMDD packed, or None while nobody knows it.
    """

    def __init__(self, amount_minor: int, date: bytes, unpredictable: bytes, knows_date: bool = True) -> None:
        """Take the amount, YYMMDD packed, and 4 random bytes. In transit the amount is 0, see protocol/SPEC.md."""
        digits = ("000000000000" + str(amount_minor))[-12:]
        self.today = date if knows_date else None
        self.values = {
            0x9F66: _TTQ,
            0x9F02: bytes([int(digits[i : i + 2], 16) for i in range(0, 12, 2)]),
            0x9F03: bytes(6),
            0x9F1A: _KAZAKHSTAN,
            0x95: bytes(5),
            0x5F2A: _TENGE,
            0x9A: date,
            0x9C: b"\x00",
            0x9F33: _CAPABILITIES,
            0x9F34: _NO_CARDHOLDER_VERIFICATION,
            0x9F35: _UNATTENDED_WITH_ONLINE,
            0x9F37: unpredictable,
        }

    def fill(self, data_object_list: bytes) -> bytes:
        """Return the values that a data object list asks for, unknown ones as zeros."""
        out = b""
        for tag, size in parse_object_list(data_object_list):
            out += _fitted(self.values.get(tag, b""), size, tag in _NUMERIC)
            if len(out) > _OPTIONS_BYTES_MAX:
                raise CardError("the card asks for more data than fits into a command")
        return out


def _fitted(value: bytes, size: int, numeric: bool) -> bytes:
    padding = bytes(max(0, size - len(value)))
    if numeric:
        return padding + value[max(0, len(value) - size) :]
    return value[:size] + padding
