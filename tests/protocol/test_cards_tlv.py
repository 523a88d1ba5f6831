"""BER-TLV and data object lists, good and hostile."""

from __future__ import annotations

from protocol.cards.tlv import encode, find, is_constructed, parse, parse_object_list
from protocol.errors import CardError, LocalProtocolError


def is_refused(data: bytes) -> bool:
    try:
        parse(data)
    except CardError:
        return True
    return False


def test_tags_of_one_to_three_bytes_are_read() -> None:
    data = bytes.fromhex("8701015F24033012319F660427004000DF810101AA")
    expected = [(0x87, b"\x01"), (0x5F24, b"\x30\x12\x31"), (0x9F66, b"\x27\x00\x40\x00"), (0xDF8101, b"\xaa")]
    assert parse(data) == expected


def test_lengths_of_one_to_three_bytes_are_read_as_they_are_written() -> None:
    for size in (0, 1, 127, 128, 255, 256, 5000):
        value = bytes([size & 0xFF]) * size
        assert parse(encode(0x9F46, value)) == [(0x9F46, value)]


def test_an_object_too_large_for_its_length_is_not_made() -> None:
    try:
        encode(0x70, bytes(65_536))
    except LocalProtocolError:
        return
    raise AssertionError


def test_padding_before_between_and_after_objects_is_skipped() -> None:
    assert parse(bytes.fromhex("0000870101005001AA0000")) == [(0x87, b"\x01"), (0x50, b"\xaa")]


def test_an_object_is_found_at_any_level() -> None:
    data = encode(0x6F, encode(0x84, b"NAME") + encode(0xA5, encode(0xBF0C, encode(0x61, encode(0x4F, b"AID")))))
    assert find(data, 0x4F) == b"AID"
    assert find(data, 0x84) == b"NAME"
    assert find(data, 0x57) is None


def test_a_value_found_in_a_view_is_a_view_of_the_same_memory() -> None:
    buffer = bytearray(encode(0x70, encode(0x5A, b"\x12\x34")))
    value = find(memoryview(buffer), 0x5A)
    assert value is not None
    buffer[-1] = 0
    assert bytes(value) == b"\x12\x00"


def test_constructed_tags_are_told_from_primitive_ones() -> None:
    assert [is_constructed(tag) for tag in (0x6F, 0xBF0C, 0x5F24, 0x9F38, 0x87)] == [True, True, False, False, False]


def test_an_object_cut_off_at_any_byte_is_refused() -> None:
    for data in (encode(0x9F46, bytes(5)), encode(0x70, bytes(200)), encode(0xDF8101, bytes(300))):
        for end in range(1, len(data)):
            assert is_refused(data[:end]), end


def test_endless_tags_and_indefinite_lengths_are_refused() -> None:
    for text in ("9FFFFFFF01", "1F8080", "7080", "7084FFFFFFFF", "7083000001AA", "70FF"):
        assert is_refused(bytes.fromhex(text)), text


def test_more_objects_or_levels_than_the_limit_are_refused() -> None:
    assert is_refused(encode(0x87, b"") * 65)
    data = b""
    for _ in range(7):
        data = encode(0x70, data)
    try:
        find(data, 0x5A)
    except CardError:
        return
    raise AssertionError


def test_a_data_object_list_is_tags_and_sizes() -> None:
    wanted = parse_object_list(bytes.fromhex("9F66049F02065F2A029A03DF810104"))
    assert wanted == [(0x9F66, 4), (0x9F02, 6), (0x5F2A, 2), (0x9A, 3), (0xDF8101, 4)]


def test_a_data_object_list_that_is_cut_off_or_too_long_is_refused() -> None:
    for data in (b"\x9f", b"\x9f\x66", b"\x9a", b"\x9f\xff\xff\xff", b"\x9a\x03" * 65):
        try:
            parse_object_list(data)
        except CardError:
            continue
        raise AssertionError
