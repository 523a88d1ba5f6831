"""BER-TLV as EMV uses it (EMV Book 3 annex B): tags of one to three bytes, definite lengths up to 65 535.

What a card sends is read under limits: so many objects on a level, so many levels. Given a memoryview, values are views of the
same memory, so that a card number is not copied by being found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.errors import CardError, LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Bytes = TypeVar("Bytes", bytes, memoryview)

_ITEMS_MAX = const(64)
_DEPTH_MAX = const(6)
_CONSTRUCTED = const(0x20)
_LONG_TAG = const(0x1F)
_MORE_TAG_BYTES = const(0x80)
_LONG_LENGTH = const(0x80)
_VALUE_BYTES_MAX = const(0xFFFF)


def parse(data: Bytes) -> list[tuple[int, Bytes]]:
    """Return the (tag, value) pairs of one level.

    Raises:
        CardError: an object is cut off, or there are too many.
    """
    items: list[tuple[int, Bytes]] = []
    position, end = 0, len(data)
    while position < end:
        tag = data[position]
        if tag == 0:  # padding before, between and after objects (EMV Book 3 annex B1)
            position += 1
            continue
        # Most tags have one byte or two, most lengths one: those are read here, and not in functions, which takes twice as long.
        if tag & _LONG_TAG != _LONG_TAG:
            position += 1
        elif position + 1 < end and data[position + 1] < _MORE_TAG_BYTES:
            tag = tag << 8 | data[position + 1]
            position += 2
        else:
            tag, position = _read_tag(data, position)
        if position < end and data[position] < _LONG_LENGTH:
            size = data[position]
            position += 1
        else:
            size, position = _read_length(data, position)
        after = position + size
        if after > end:
            raise CardError("a data object is cut off")
        if len(items) == _ITEMS_MAX:
            raise CardError("more data objects than a card may send")
        items.append((tag, data[position:after]))
        position = after
    return items


def walk(data: Bytes, take: Callable[[int, Bytes], None], depth: int = _DEPTH_MAX) -> None:
    """Hand each object that holds no others to `take`, in their order, whatever they are nested in."""
    if depth == 0:
        raise CardError("data objects are nested too deeply")
    for tag, value in parse(data):
        if is_constructed(tag):
            walk(value, take, depth - 1)
        else:
            take(tag, value)


def parse_object_list(data: bytes) -> list[tuple[int, int]]:
    """Return the (tag, size) pairs of a data object list: what a card asks for (EMV Book 3 section 5.4)."""
    wanted: list[tuple[int, int]] = []
    position = 0
    while position < len(data):
        tag, position = _read_tag(data, position)
        if position == len(data):
            raise CardError("a data object list is cut off")
        if len(wanted) == _ITEMS_MAX:
            raise CardError("more data objects than a card may ask for")
        wanted.append((tag, data[position]))
        position += 1
    return wanted


def _read_tag(data: Bytes, position: int) -> tuple[int, int]:
    tag = data[position]
    position += 1
    if tag & _LONG_TAG != _LONG_TAG:
        return tag, position
    for _ in range(2):
        if position >= len(data):
            raise CardError("a tag is cut off")
        byte = data[position]
        tag = tag << 8 | byte
        position += 1
        if not byte & _MORE_TAG_BYTES:
            return tag, position
    raise CardError("a tag is longer than three bytes")


def _read_length(data: Bytes, position: int) -> tuple[int, int]:
    if position >= len(data):
        raise CardError("a length is missing")
    size = data[position]
    position += 1
    if size < _LONG_LENGTH:
        return size, position
    count = size & 0x7F
    if not 1 <= count <= 2 or position + count > len(data):
        raise CardError("a length is not definite, or cut off")
    return int.from_bytes(data[position : position + count], "big"), position + count


def is_constructed(tag: int) -> bool:
    if tag > 0xFF:
        tag >>= 8 if tag < 0x10000 else 16
    return bool(tag & _CONSTRUCTED)


def find(data: Bytes, tag: int, depth: int = _DEPTH_MAX) -> Bytes | None:
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
    if len(value) > _VALUE_BYTES_MAX:
        raise LocalProtocolError("a data object carries at most 65 535 bytes")
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
