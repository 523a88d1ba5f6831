"""BER-TLV as EMV uses it (EMV Book 3 annex B): tags of one to three bytes, definite lengths up to 65 535."""

from __future__ import annotations

from protocol.compat import const
from protocol.errors import CardError

_ITEMS_MAX = const(64)
_DEPTH_MAX = const(6)
_CONSTRUCTED = const(0x20)


def parse(data: bytes) -> list[tuple[int, bytes]]:
    """Return the (tag, value) pairs of one level.

    Raises:
        CardError: an object is cut off, or there are too many.
    """
    items: list[tuple[int, bytes]] = []
    position = 0
    while position < len(data):
        if data[position] in {0x00, 0xFF}:  # padding between objects (EMV Book 3 annex B1)
            position += 1
            continue
        tag, position = _read_tag(data, position)
        size, position = _read_length(data, position)
        if position + size > len(data):
            raise CardError("a data object is cut off")
        if len(items) == _ITEMS_MAX:
            raise CardError("more data objects than a card may send")
        items.append((tag, data[position : position + size]))
        position += size
    return items


def _read_tag(data: bytes, position: int) -> tuple[int, int]:
    tag = data[position]
    position += 1
    if tag & 0x1F != 0x1F:
        return tag, position
    for _ in range(2):
        if position >= len(data):
            raise CardError("a tag is cut off")
        byte = data[position]
        tag = tag << 8 | byte
        position += 1
        if not byte & 0x80:
            return tag, position
    raise CardError("a tag is longer than three bytes")


def _read_length(data: bytes, position: int) -> tuple[int, int]:
    if position >= len(data):
        raise CardError("a length is missing")
    size = data[position]
    position += 1
    if size < 0x80:
        return size, position
    count = size & 0x7F
    if not 1 <= count <= 2 or position + count > len(data):
        raise CardError("a length is not definite, or cut off")
    return int.from_bytes(data[position : position + count], "big"), position + count


def is_constructed(tag: int) -> bool:
    while tag > 0xFF:
        tag >>= 8
    return bool(tag & _CONSTRUCTED)


def find(data: bytes, tag: int, depth: int = _DEPTH_MAX) -> bytes | None:
    """Return the value of the first object with that tag, at any level, or None."""
    if depth == 0:
        raise CardError("data objects are nested too deeply")
    for found, value in parse(data):
        if found == tag:
            return value
        if is_constructed(found):
            inner = find(value, tag, depth - 1)
            if inner is not None:
                return inner
    return None


def encode(tag: int, value: bytes) -> bytes:
    """Return one data object."""
    size = 1
    while tag >> (8 * size):
        size += 1
    length = len(value)
    if length < 0x80:
        head = bytes((length,))
    elif length < 0x100:
        head = bytes((0x81, length))
    else:
        head = bytes((0x82,)) + length.to_bytes(2, "big")
    return tag.to_bytes(size, "big") + head + value
