"""What costs a decoder most, for 32 KiB: many small things, in every shape that the profile has."""

from __future__ import annotations

from protocol.limits import MESSAGE_BYTES_MAX


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    if argument < 256:
        return bytes([major << 5 | 24, argument])
    return bytes([major << 5 | 25]) + argument.to_bytes(2, "big")


def _array(items: list[bytes]) -> bytes:
    return _head(4, len(items)) + b"".join(items)


def _map(items: list[bytes]) -> bytes:
    return _head(5, len(items)) + b"".join(_head(0, key) + item for key, item in enumerate(items))


def _padded(items: bytes) -> bytes:
    """Return an array of these items and a byte string that fills the message."""
    size = MESSAGE_BYTES_MAX - len(items) - 4
    return b"\x82" + items + b"\x59" + size.to_bytes(2, "big") + bytes(size)


def _wide(item: bytes, count: int, rows: int) -> bytes:
    return _array([_array([item] * count)] * rows)


def make_worst() -> dict[str, bytes]:
    """Return encodings by what is bad about them; each is as long as a message may be, or nearly."""
    integer = b"\x1b" + b"\xff" * 8
    negative = b"\x25"  # -6: one byte here, an object there
    emoji = "\U0001f68d".encode()
    text = b"\x78\xfc" + emoji * 63
    deep_map = _map([_map([_map([b"\x00"])])])
    worst = {
        "small integers": _wide(negative, 1000, 32),
        "large integers": _wide(integer, 1000, 3),
        "empty maps": _wide(b"\xa0", 1000, 32),
        "empty arrays": _wide(b"\x80", 1000, 32),
        "maps of one": _wide(_map([negative]), 1000, 10),
        "maps in maps": _array([deep_map] * 1000),
        "arrays in arrays": _array([_array([_array([b"\x80"])])] * 1000),
        "byte strings": _wide(b"\x42ab", 1000, 10),
        "texts": _array([text] * 128),
        "one text": b"\x79" + (MESSAGE_BYTES_MAX - 3).to_bytes(2, "big") + b"a" * (MESSAGE_BYTES_MAX - 3),
        "one text of wide characters": b"\x79\x7f\xfc" + emoji + b"a" * 32760,
        "one byte string": b"\x59" + (MESSAGE_BYTES_MAX - 3).to_bytes(2, "big") + bytes(MESSAGE_BYTES_MAX - 3),
        "a map of many": _map([integer] * 1000) + integer * 2000,
    }
    # What passes the limits, as much of it as passes, and the rest of the message filled.
    worst |= {
        "accepted: integers": _padded(_array([integer] * 1021)),
        "accepted: small integers": _padded(_array([negative] * 1021)),
        "accepted: empty maps": _padded(_array([b"\xa0"] * 1021)),
        "accepted: maps of one": _padded(_array([_map([negative])] * 510)),
        "accepted: maps of two": _padded(_array([_map([integer, integer])] * 340)),
        "accepted: maps in a map": _padded(_map([_map([negative])] * 510)),
        "accepted: a map": _padded(_map([integer] * 1021)),
        "accepted: texts": _array([text] * 128),
        "accepted: byte strings": _padded(_array([b"\x42ab"] * 1021)),
    }
    return worst
