"""Deterministic CBOR (RFC 8949 section 4.2.1) in the profile of TAP-SYNC/1, and nothing else.

A signed format must have one encoding for each value. So the decoder refuses what a general one accepts: integers longer than
needed, keys unsorted or twice, indefinite lengths, floats, tags, null and undefined, depth beyond four, trailing bytes.
And a value takes more memory than its encoding: so the items of a message are counted, all together, and text is short.

Values: int (64 bits, either sign), bytes, str (UTF-8, at most 255 bytes), bool, list, dict with int keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.errors import CborError, LocalProtocolError
from protocol.limits import DEPTH_MAX, ITEMS_MAX, MESSAGE_BYTES_MAX, TEXT_BYTES_MAX

if TYPE_CHECKING:
    from typing import Any

_UNSIGNED = const(0)
_NEGATIVE = const(1)
_BYTES = const(2)
_TEXT = const(3)
_ARRAY = const(4)
_MAP = const(5)
_FALSE = const(0xF4)
_TRUE = const(0xF5)
# An unsigned integer below it is its own encoding.
_SHORT_END = const(24)
_UINT64_END = 1 << 64


def encode(value: Any) -> bytes:  # noqa: ANN401 - the values named above
    """Return the one encoding of a value.

    Raises:
        LocalProtocolError: the profile has no encoding for it.
    """
    out = bytearray()
    _encode(value, out, 0)
    return bytes(out)


def _encode(value: Any, out: bytearray, depth: int) -> None:  # noqa: ANN401
    if type(value) is int and value >= 0:  # first what most values are; a bool has another type
        _encode_head(_UNSIGNED, value, out)
    elif isinstance(value, bool):
        out.append(_TRUE if value else _FALSE)
    elif isinstance(value, int):
        _encode_head(_UNSIGNED if value >= 0 else _NEGATIVE, value if value >= 0 else -1 - value, out)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _encode_head(_BYTES, len(value), out)
        out.extend(value)
    elif isinstance(value, str):
        text = value.encode()
        if len(text) > TEXT_BYTES_MAX:
            raise LocalProtocolError("text longer than the protocol allows")
        _encode_head(_TEXT, len(text), out)
        out.extend(text)
    elif isinstance(value, (list, tuple, dict)):
        _encode_container(value, out, depth + 1)
    else:
        raise LocalProtocolError("no CBOR encoding for " + type(value).__name__)


def _encode_container(value: Any, out: bytearray, depth: int) -> None:  # noqa: ANN401
    if depth > DEPTH_MAX:
        raise LocalProtocolError("nested deeper than the protocol allows")
    if not isinstance(value, dict):
        _encode_head(_ARRAY, len(value), out)
        for item in value:
            _encode(item, out, depth)
        return
    _encode_head(_MAP, len(value), out)
    # Bytewise order of the encoded keys: unsigned ones by size, then negative ones by size.
    for key in value:
        if isinstance(key, bool) or not isinstance(key, int):
            raise LocalProtocolError("map keys are integers")
    keys = sorted(value)
    if keys and keys[0] < 0:
        keys.sort(key=_key_order)
    for key in keys:
        _encode(key, out, depth)
        _encode(value[key], out, depth)


def _key_order(key: int) -> int:
    return key if key >= 0 else _UINT64_END - 1 - key


# Pieces, for who joins long values without another copy of them.


def encode_items(value: dict[int, Any]) -> bytes:
    """Return keys and values of a map as encoded, without the head of the map."""
    return encode(value)[len(map_head(len(value))) :]


def byte_string_head(size: int) -> bytes:
    """Return what stands before a byte string of that size."""
    return _head(_BYTES, size)


def array_head(count: int) -> bytes:
    """Return what stands before an array of that many items."""
    return _head(_ARRAY, count)


def map_head(count: int) -> bytes:
    """Return what stands before a map of that many entries."""
    return _head(_MAP, count)


def _head(major: int, argument: int) -> bytes:
    out = bytearray()
    _encode_head(major, argument, out)
    return bytes(out)


def _encode_head(major: int, argument: int, out: bytearray) -> None:
    if argument < 24:
        out.append(major << 5 | argument)
    elif argument < 0x100:
        out.append(major << 5 | 24)
        out.append(argument)
    elif argument < 0x10000:
        out.append(major << 5 | 25)
        out.append(argument >> 8)
        out.append(argument & 0xFF)
    elif argument < _UINT64_END:
        size = 4 if argument < 0x100000000 else 8
        out.append(major << 5 | (26 if size == 4 else 27))
        out.extend(argument.to_bytes(size, "big"))
    else:
        raise LocalProtocolError("integers have 64 bits at most")


def _utf8_size(code_point: int) -> int:
    """Return how many bytes a code point takes in UTF-8 (RFC 3629 section 3), 0 for what is none."""
    if code_point < 0x80:
        return 1
    if code_point < 0x800:
        return 2
    if code_point < 0x10000:
        return 0 if 0xD800 <= code_point < 0xE000 else 3
    return 4 if code_point < 0x110000 else 0


def is_integer(value: object, least: int, greatest: int) -> bool:
    """Return whether a decoded value is an integer of that range; a bool is none, whatever Python thinks."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= greatest


def decode(data: bytes | bytearray | memoryview, depth_max: int = DEPTH_MAX) -> Any:  # noqa: ANN401
    """Return the value of which `data` is the one encoding.

    Raises:
        CborError: it is not, or it is longer than a message may be.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise CborError("longer than a message may be")
    decoder = _Decoder(bytes(data))
    value = decoder.value(depth_max)
    if decoder.position != len(decoder.data):
        raise CborError("bytes after the end")
    return value


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.items_left = ITEMS_MAX

    def take(self, count: int) -> bytes:
        start = self.position
        if count > len(self.data) - start:
            raise CborError("ends too early")
        self.position = start + count
        return self.data[start : start + count]

    def head(self) -> tuple[int, int]:
        """Read an initial byte and its argument, in the shortest form only."""
        if self.position == len(self.data):
            raise CborError("ends too early")
        first = self.data[self.position]
        self.position += 1
        short = first & 0x1F
        if short < 24:
            return first >> 5, short
        if short > 27:
            raise CborError("indefinite or reserved length")
        if first >> 5 == 7:
            raise CborError("floats and other simple values are not of this protocol")
        size = 1 << (short - 24)
        argument = int.from_bytes(self.take(size), "big")
        if argument < 24 if size == 1 else argument < 1 << (4 * size):
            raise CborError("an integer longer than needed")
        return first >> 5, argument

    def value(self, depth_left: int) -> Any:  # noqa: ANN401
        if self.position < len(self.data) and self.data[self.position] < _SHORT_END:  # most are: no call for these
            self.position += 1
            return self.data[self.position - 1]
        major, argument = self.head()
        if major == _UNSIGNED:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return self.take(argument)
        if major == _TEXT:
            return self.text(argument)
        if major in {_ARRAY, _MAP}:
            if depth_left == 0:
                raise CborError("nested too deeply")
            # Counted before room is made: an empty map is one byte here, and seventy in memory.
            self.items_left -= argument
            if self.items_left < 0:
                raise CborError("more items than the protocol allows")
            return self.array(argument, depth_left - 1) if major == _ARRAY else self.map(argument, depth_left - 1)
        if major == 7 and argument in {20, 21}:
            return argument == 21
        raise CborError("tags, null and simple values are not of this protocol")

    def text(self, size: int) -> str:
        if size > TEXT_BYTES_MAX:
            raise CborError("text longer than the protocol allows")
        try:
            text = self.take(size).decode()
        except UnicodeError:
            raise CborError("text that is not UTF-8") from None
        # MicroPython's decoder lets pass what RFC 3629 forbids: longer forms than needed, surrogates, beyond U+10FFFF.
        if sum([_utf8_size(ord(character)) for character in text]) != size:
            raise CborError("text that is not UTF-8")
        return text

    def array(self, count: int, depth_left: int) -> list[Any]:
        items = []
        for _ in range(count):
            items.append(self.value(depth_left))
        return items

    def map(self, count: int, depth_left: int) -> dict[int, Any]:
        result: dict[int, Any] = {}
        last = -1
        for _ in range(count):
            key = order = self.data[self.position] if self.position < len(self.data) else _SHORT_END
            if order < _SHORT_END:
                self.position += 1
            else:
                major, argument = self.head()
                if major > _NEGATIVE:
                    raise CborError("map keys are integers")
                order = argument if major == _UNSIGNED else _UINT64_END + argument
                key = argument if major == _UNSIGNED else -1 - argument
            if order <= last:
                raise CborError("map keys are sorted, each once")
            last = order
            result[key] = self.value(depth_left)
        return result
