"""Deterministic CBOR: the examples of RFC 8949 that are in the profile, and the refusal of everything that is not."""

from __future__ import annotations

from protocol import cbor
from protocol.errors import CborError, LocalProtocolError
from protocol.limits import ITEMS_MAX, MESSAGE_BYTES_MAX, TEXT_BYTES_MAX
from tests.protocol.expect import refusal
from tests.vectors.load import from_json, load


def _refused(hexadecimal: str) -> str:
    return refusal(CborError, cbor.decode, bytes.fromhex(hexadecimal))


def test_the_examples_of_rfc_8949_in_the_profile_are_read_and_written() -> None:
    for example in load("rfc8949")["in_profile"]:
        value, encoded = from_json(example["value"]), bytes.fromhex(example["encoded"])
        assert cbor.encode(value) == encoded
        decoded = cbor.decode(encoded)
        assert decoded == value
        assert type(decoded) is type(value)


def test_the_examples_of_rfc_8949_outside_the_profile_are_refused() -> None:
    for encoded in load("rfc8949")["refused"]:
        assert _refused(encoded)


def test_an_integer_longer_than_needed_is_refused() -> None:
    for encoded in ("1800", "1817", "190000", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3817", "3900ff"):
        assert "longer than needed" in _refused(encoded)


def test_a_length_longer_than_needed_is_refused() -> None:
    for encoded in ("580101", "59000101", "780161", "980101", "b8010102", "a1180102"):
        assert "longer than needed" in _refused(encoded)


def test_keys_come_sorted_and_once() -> None:
    assert cbor.decode(bytes.fromhex("a4000118180220034103")[:-2] + b"\x38\x18\x04") == {0: 1, 24: 2, -1: 3, -25: 4}
    for encoded in ("a202010102", "a201010102", "a220010001", "a221012001", "a2181801170a"):
        assert "sorted" in _refused(encoded)


def test_keys_are_integers() -> None:
    for encoded in ("a1616101", "a1410101", "a1f401", "a18001"):
        assert "keys are integers" in _refused(encoded)


def test_bytes_after_the_end_are_refused() -> None:
    assert "after the end" in _refused("0000")


def test_what_ends_too_early_is_refused_wherever_it_is_cut() -> None:
    whole = cbor.encode([1, {2: b"bytes", 3: "text"}, 100000, [True]])
    for size in range(len(whole)):
        assert refusal(CborError, cbor.decode, whole[:size])


def test_depth_ends_at_four() -> None:
    assert cbor.decode(bytes.fromhex("8181818101")) == [[[[1]]]]
    assert "deeply" in _refused("818181818101")
    assert "deeply" in _refused("a100a100a100a100a100")
    assert refusal(CborError, cbor.decode, bytes.fromhex("8180"), 1)


def test_a_length_that_no_message_has_is_refused_before_room_is_made() -> None:
    for encoded in ("5affffffff", "7bffffffffffffffff", "9affffffff", "baffffffff", "9b7fffffffffffffff"):
        assert _refused(encoded)
    assert "more items" in _refused("99" + (ITEMS_MAX + 1).to_bytes(2, "big").hex())


def test_the_items_of_all_arrays_and_maps_together_are_counted() -> None:
    half = "9901ff" + "00" * 511
    assert len(cbor.decode(bytes.fromhex("82" + half + half))) == 2
    assert "more items" in _refused("83" + half + half + "00")
    # A key and its value are one.
    pairs = "".join(["18" + bytes([key]).hex() + "00" for key in range(24, 56)])
    maps = "98" + bytes([31]).hex() + ("b820" + pairs) * 31
    assert len(cbor.decode(bytes.fromhex(maps))) == 31
    assert "more items" in _refused("9820" + ("b820" + pairs) * 32)
    assert len(cbor.decode(bytes.fromhex("990400" + "00" * ITEMS_MAX))) == ITEMS_MAX


def test_text_is_short() -> None:
    assert len(cbor.decode(cbor.encode("x" * TEXT_BYTES_MAX))) == TEXT_BYTES_MAX
    assert "text longer" in _refused("790100" + "78" * 256)
    assert refusal(LocalProtocolError, cbor.encode, "x" * (TEXT_BYTES_MAX + 1))
    assert refusal(LocalProtocolError, cbor.encode, "\u049b" * 128)


def test_more_than_a_message_may_hold_is_refused() -> None:
    assert refusal(CborError, cbor.decode, bytes(MESSAGE_BYTES_MAX + 1))


def test_text_is_utf8_as_rfc_3629_has_it() -> None:
    for encoded in (
        "61ff",
        "61c3",
        "62c328",
        "62c080",
        "63eda080",
        "63e08080",
        "64f4908080",
        "64f0808080",
        "65f888808080",
    ):
        assert "UTF-8" in _refused(encoded)
    for text in ("\x7f\x80\u07ff\u0800", "\ud7ff\ue000\uffff", "\U00010000\U0010ffff"):
        assert cbor.decode(cbor.encode(text)) == text


def test_true_is_no_integer() -> None:
    assert cbor.encode(True) == b"\xf5"
    assert cbor.decode(b"\xf5") is True
    assert not cbor.is_integer(True, 0, 9)
    assert cbor.is_integer(9, 0, 9)
    assert not cbor.is_integer(10, 0, 9)
    assert not cbor.is_integer(b"1", 0, 9)


def test_what_has_no_encoding_is_not_written() -> None:
    too_deep: list[object] = [[[[[]]]]]
    for value in (None, {1, 2}, 1 << 64, -(1 << 64) - 1, {"a": 1}, {True: 1}, too_deep):
        assert refusal(LocalProtocolError, cbor.encode, value)


def test_any_sort_of_buffer_is_read_and_written_as_bytes() -> None:
    assert cbor.encode(bytearray(b"ab")) == cbor.encode(memoryview(b"ab")) == b"\x42ab"
    assert cbor.decode(bytearray(b"\x42ab")) == cbor.decode(memoryview(b"\x42ab")) == b"ab"


def test_a_message_is_as_long_as_it_may_be_and_no_longer() -> None:
    def message(size: int) -> bytes:
        return b"\x59" + (size - 3).to_bytes(2, "big") + bytes(size - 3)

    assert cbor.decode(message(MESSAGE_BYTES_MAX)) == bytes(MESSAGE_BYTES_MAX - 3)
    for more in (1, 2, 1000):
        assert refusal(CborError, cbor.decode, message(MESSAGE_BYTES_MAX + more))
