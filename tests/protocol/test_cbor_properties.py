"""The codec beside a general one, and under arbitrary bytes."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import CborError

_INTEGERS = st.integers(-(1 << 64), (1 << 64) - 1)
_KEYS = st.integers(-65536, 65535)
_LEAVES = st.one_of(_INTEGERS, st.binary(max_size=300), st.text(max_size=80), st.booleans())


def _nested(depth: int, keys: st.SearchStrategy[int] = _KEYS) -> st.SearchStrategy[object]:
    if depth == 0:
        return _LEAVES
    inner = _nested(depth - 1, keys)
    return st.one_of(_LEAVES, st.lists(inner, max_size=6), st.dictionaries(keys, inner, max_size=6))


@given(_nested(4))
def test_what_is_written_is_read_back(value: object) -> None:
    assert cbor.decode(cbor.encode(value)) == value


# The library sorts by length first (RFC 7049); for keys of one byte that is the same order.
@given(_nested(4, st.integers(-24, 23)))
def test_a_general_encoder_in_canonical_form_writes_the_same(value: object) -> None:
    assert cbor2.dumps(value, canonical=True) == cbor.encode(value)


@given(st.binary(max_size=120))
def test_arbitrary_bytes_are_refused_or_are_the_one_encoding(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except CborError:
        return
    assert cbor.encode(value) == data


@given(_nested(3), st.data())
def test_a_changed_message_is_refused_or_is_the_one_encoding_of_something(value: object, data: st.DataObject) -> None:
    changed = bytearray(cbor.encode(value))
    index = data.draw(st.integers(0, len(changed) - 1))
    changed[index] = data.draw(st.integers(0, 255))
    try:
        decoded = cbor.decode(bytes(changed))
    except CborError:
        return
    assert cbor.encode(decoded) == bytes(changed)
    assert cbor2.loads(bytes(changed)) == decoded


@given(st.binary(max_size=12))
def test_text_is_read_as_strictly_as_cpython_reads_it(data: bytes) -> None:
    message = bytes([0x60 + len(data)]) + data
    try:
        expected = data.decode()
    except UnicodeDecodeError:
        with pytest.raises(CborError):
            cbor.decode(message)
    else:
        assert cbor.decode(message) == expected
