"""What a bank card has said so far: its data objects, and apart from them, in buffers that can be overwritten, its number.

A card may say a thing twice, but not two things. Where objects are nested makes no difference (EMV Book 3 section 5.2).
"""

from __future__ import annotations

from protocol.cards.emv_keys import NotGenuine, is_month, overwrite
from protocol.cards.tlv import encode, walk
from protocol.compat import const
from protocol.decisions import DECISION_CERTIFICATE_WRONG
from protocol.errors import CardError

NUMBER_BYTES = const(10)
_TRACK2_BYTES_MAX = const(19)
_STATIC_BYTES_MAX = const(1024)
_DIGITS_MIN = const(12)
_DIGITS_MAX = const(19)
_END_OF_NUMBER = const(0xF)
_END_OF_TRACK2_NUMBER = const(0xD)
# What is wanted besides number and track: for the acquirer, and for the proof that the card is genuine.
_KEPT = (0x82, 0x8C, 0x8F, 0x90, 0x92, 0x9F32, 0x9F46, 0x9F47, 0x9F48, 0x9F4A, 0x9F4B, 0x9F69) + (
    (0x9F10, 0x9F26, 0x9F27, 0x9F36, 0x5F34)
)


class CardData:
    """One card.

    Attributes:
        objects: by tag.
        number: packed digits filled with F; empty until it is known.
        track2: as the card gives it (tag 57).
        expires_yymm: four packed digits, 2 bytes; empty until it is known.
        static: what the card's certificate vouches for besides, as far as it was read.
    """

    __slots__ = ("expires_yymm", "number", "objects", "static", "track2")

    def __init__(self) -> None:
        self.objects: dict[int, bytes] = {}
        self.number = bytearray()
        self.track2 = bytearray()
        self.static = bytearray()
        self.expires_yymm = b""

    def take(self, data: memoryview) -> None:
        """Take what is there; of numbers, `data` is the only other copy."""
        walk(data, self._take_object)

    def take_static(self, record: memoryview) -> None:
        """Take a record's content that is authenticated."""
        if len(self.static) + len(record) > _STATIC_BYTES_MAX:
            raise CardError("the card has more authenticated data than a tap has time for")
        self.static.extend(record)

    def end_static(self) -> None:
        """All records are read: add what the card's list (9F4A) names besides, which is the interchange profile or nothing."""
        named = self.objects.get(0x9F4A)
        if named is not None:
            if named != b"\x82":
                raise NotGenuine(DECISION_CERTIFICATE_WRONG, "the card authenticates what EMV does not allow")
            self.static.extend(self.required(0x82, 2))

    def required(self, tag: int, size: int = 0) -> bytes:
        """Return an object that a card must have, of that size unless it is 0."""
        value = self.objects.get(tag)
        if value is None or (size and len(value) != size):
            raise CardError("the card does not say what it must: " + hex(tag))
        return value

    def put(self, tag: int, value: bytes) -> None:
        if self.objects.get(tag, value) != value:
            raise CardError("the card gives two values")
        self.objects[tag] = value

    def _take_object(self, tag: int, value: memoryview) -> None:
        if tag == 0x5A:
            self._take_number(value, _END_OF_NUMBER)
        elif tag == 0x57:
            self._take_track(value)
        elif tag == 0x5F24:
            self._take_expiry([_nibble(value, i) for i in range(4)])
        elif tag in _KEPT:
            self.put(tag, bytes(value))

    def _take_track(self, track: memoryview) -> None:
        end = self._take_number(track, _END_OF_TRACK2_NUMBER)
        self._take_expiry([_nibble(track, end + 1 + i) for i in range(4)])
        if len(track) > _TRACK2_BYTES_MAX or (self.track2 and self.track2 != track):
            raise CardError("the card gives two tracks, or one that is too long")
        self.track2[:] = track

    def _take_number(self, packed: memoryview, end_mark: int) -> int:
        """Take the digits up to the mark; return where the mark is."""
        found = bytearray(b"\xff" * NUMBER_BYTES)
        try:
            count = 0
            while count < 2 * len(packed) and _nibble(packed, count) != end_mark:
                digit = _nibble(packed, count)
                if digit > 9 or count == _DIGITS_MAX:
                    raise CardError("a card number has 12 to 19 digits")
                found[count >> 1] &= (0xF0 | digit) if count % 2 else (digit << 4 | 0x0F)
                count += 1
            if count < _DIGITS_MIN:
                raise CardError("a card number has 12 to 19 digits")
            if self.number and found != self.number:
                raise CardError("the card gives two numbers")
            self.number[:] = found
            return count
        finally:
            overwrite(found)

    def _take_expiry(self, digits: list[int]) -> None:
        expiry = bytes((digits[0] << 4 | digits[1], digits[2] << 4 | digits[3]))
        if not is_month(expiry):
            raise CardError("an expiry date is a year and a month")
        if self.expires_yymm and self.expires_yymm != expiry:
            raise CardError("the card gives two expiry dates")
        self.expires_yymm = expiry

    def encode(self, tags: tuple[int, ...], terminal: dict[int, bytes]) -> bytearray:
        """Return objects as they were said, by the card or else by the terminal; a buffer to be overwritten."""
        out = bytearray()
        for tag in tags:
            if tag == 0x57:
                out.extend(bytes((0x57, len(self.track2))))
                out.extend(self.track2)
                continue
            value = self.objects.get(tag, terminal.get(tag))
            if value is not None:
                out.extend(encode(tag, value))
        return out

    def forget(self) -> None:
        """Overwrite whatever holds the number."""
        for buffer in (self.number, self.track2, self.static):
            overwrite(buffer)


def _nibble(packed: memoryview, index: int) -> int:
    """Return a packed digit; what lies behind the end reads as F."""
    if index >> 1 >= len(packed):
        return _END_OF_NUMBER
    byte = packed[index >> 1]
    return byte & 0x0F if index % 2 else byte >> 4
