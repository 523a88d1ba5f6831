"""Peers that know nothing of our code: cbor2 as a general decoder."""

from __future__ import annotations

from typing import Any

import cbor2

from protocol.limits import DEPTH_MAX, ITEMS_MAX, TEXT_BYTES_MAX

_UINT64_END = 1 << 64
_KEYS_OF_ONE_BYTE = range(-24, 24)


def is_same(left: object, right: object) -> bool:
    """Return whether two decoded values are the same; True is not 1 here."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(is_same(left[key], right[key]) for key in left)
    return left == right


def keys_have_one_byte(value: object) -> bool:
    """Return whether all map keys are that small: only then does cbor2 sort as RFC 8949 wants it."""
    if isinstance(value, list):
        return all(map(keys_have_one_byte, value))
    if isinstance(value, dict):
        return all(key in _KEYS_OF_ONE_BYTE and keys_have_one_byte(item) for key, item in value.items())
    return True


def require_same_by_cbor2(data: bytes, value: object) -> None:
    """Raise unless a general decoder reads the same, and its canonical encoder writes the same."""
    assert is_same(cbor2.loads(data), value), "cbor2 reads another value"
    if keys_have_one_byte(value):
        assert cbor2.dumps(value, canonical=True) == data, "cbor2 writes other bytes"


def is_ours_by_cbor2(data: bytes) -> bool:
    """Return whether cbor2 takes this for the one encoding of a value that the profile has, with keys of one byte."""
    try:
        value = cbor2.loads(data)
    except Exception:  # noqa: BLE001 - whatever it says, it refuses
        return False
    if not _is_in_profile(value, 0) or _items_in(value) > ITEMS_MAX or not keys_have_one_byte(value):
        return False
    return bool(cbor2.dumps(value, canonical=True) == data)


def _is_in_profile(value: Any, depth: int) -> bool:  # noqa: ANN401 - whatever was decoded
    if isinstance(value, bool | bytes):
        return True
    if isinstance(value, int):
        return -_UINT64_END <= value < _UINT64_END
    if isinstance(value, str):
        return len(value.encode(errors="surrogatepass")) <= TEXT_BYTES_MAX
    if depth == DEPTH_MAX or type(value) not in {list, dict}:
        return False
    if isinstance(value, dict) and not all(type(key) is int for key in value):
        return False
    items = value.values() if isinstance(value, dict) else value
    return all(_is_in_profile(item, depth + 1) for item in items)


def _items_in(value: Any) -> int:  # noqa: ANN401
    if isinstance(value, dict):
        return len(value) + sum(map(_items_in, value.values()))
    return len(value) + sum(map(_items_in, value)) if isinstance(value, list) else 0
