"""The journal's format on flash: what is whole, what is torn, what was changed."""

from __future__ import annotations

from firmware.slots import (
    HEADER_REBASED,
    SLOT_BYTES,
    SectorHeader,
    decode_header,
    decode_record,
    encode_header,
    encode_record,
    is_blank,
    is_header,
    is_torn,
    mac_holds,
    mac_of,
    read_record,
    record_slots,
    slots_for,
)

KEY = bytes(range(32))
MAC = b"\x11\x22\x33\x44\x55\x66\x77\x88"
HEAD = bytes(range(100, 132))


def make_header() -> SectorHeader:
    return SectorHeader(HEADER_REBASED, 7, 0x01020304, (1 << 40) - 1, HEAD, MAC, 123_456_789)


def test_a_header_comes_back_as_it_was_written() -> None:
    before = make_header()
    slot = encode_header(before, KEY)
    after = decode_header(slot, KEY)
    assert len(slot) == SLOT_BYTES
    assert after is not None
    for name in (
        "flags",
        "epoch",
        "number",
        "first_sequence",
        "head_before",
        "mac_before",
        "acked_sequence",
        "version",
    ):
        assert getattr(after, name) == getattr(before, name), name


def test_a_header_has_the_bytes_that_the_specification_says() -> None:
    slot = encode_header(make_header(), KEY)
    assert slot[:8] == b"JQJ1\x01\x02\xff\xff"
    assert slot[8:24] == b"\x00\x00\x00\x07\x01\x02\x03\x04\x00\x00\x00\xff\xff\xff\xff\xff"
    assert slot[24:64] == HEAD + MAC
    assert slot[64:80] == b"\x00\x00\x00\x00\x07\x5b\xcd\x15" + b"\xff" * 8
    assert slot[88:124] == b"\xff" * 36


def test_a_header_of_another_key_is_a_header_that_is_not_ours() -> None:
    slot = encode_header(make_header(), KEY)
    assert is_header(slot)
    assert decode_header(slot, bytes(32)) is None


def test_a_torn_header_is_none() -> None:
    slot = encode_header(make_header(), KEY)
    for cut in range(SLOT_BYTES):
        torn = slot[:cut] + b"\xff" * (SLOT_BYTES - cut)
        assert torn == slot or not is_header(torn), cut
        assert torn == slot or decode_header(torn, KEY) is None, cut


def test_a_header_with_a_flipped_bit_is_none() -> None:
    slot = encode_header(make_header(), KEY)
    for index in range(SLOT_BYTES):
        changed = bytearray(slot)
        changed[index] ^= 1 << index % 8
        assert decode_header(changed, KEY) is None, index


def test_records_take_one_to_four_slots() -> None:
    for size, count in ((0, 1), (108, 1), (109, 2), (236, 2), (237, 3), (364, 3), (365, 4), (492, 4)):
        slots = encode_record(5, b"x" * size, MAC, KEY)
        assert slots_for(size) == record_slots(slots) == count, size
        assert len(slots) == count * SLOT_BYTES
        assert decode_record(slots) == (5, b"x" * size)
        assert mac_holds(slots, MAC, KEY)


def test_a_record_has_the_bytes_that_the_specification_says() -> None:
    slots = encode_record(0x0102030405, b"payload", MAC, KEY)
    assert slots[:15] == b"\xe1\x00\x07\x01\x02\x03\x04\x05payload"
    assert slots[15:116] == b"\xff" * 101
    assert mac_of(slots) == slots[116:124]


def test_a_torn_record_is_none() -> None:
    slots = encode_record(9, b"p" * 200, MAC, KEY)
    for cut in range(len(slots)):
        torn = slots[:cut] + b"\xff" * (len(slots) - cut)
        assert torn == slots or decode_record(torn) is None, cut


def test_a_record_with_a_flipped_bit_is_none() -> None:
    slots = encode_record(9, b"p" * 100, MAC, KEY)
    for index in range(SLOT_BYTES):
        changed = bytearray(slots)
        changed[index] ^= 0x80 >> index % 8
        assert decode_record(changed) is None, index


def test_a_record_whose_crc_alone_has_rotted_is_known_by_its_mac() -> None:
    slots = encode_record(9, b"p" * 100, MAC, KEY)
    for index in range(SLOT_BYTES):
        changed = bytearray(slots)
        changed[index] ^= 0x80 >> index % 8
        if index >= SLOT_BYTES - 4:
            assert read_record(changed) == (9, b"p" * 100), index
            assert not is_torn(changed), index
        assert mac_holds(changed, MAC, KEY) == (index >= SLOT_BYTES - 4), index
        assert mac_holds(changed, None, KEY) == (index >= SLOT_BYTES - 8), index
    for cut in range(SLOT_BYTES):
        torn = slots[:cut] + b"\xff" * (SLOT_BYTES - cut)
        assert torn == slots or is_torn(torn) or not mac_holds(torn, MAC, KEY), cut


def test_the_mac_says_what_came_before() -> None:
    first = encode_record(1, b"one", MAC, KEY)
    second = encode_record(2, b"two", mac_of(first), KEY)
    assert mac_holds(second, mac_of(first), KEY)
    assert not mac_holds(second, MAC, KEY)
    assert not mac_holds(second, mac_of(first), bytes(32))


def test_what_is_no_record_takes_no_slots() -> None:
    for first in (0x00, 0xE0, 0xE5, 0xFF, 0xC1, 0x21):
        assert record_slots(bytes((first,)) + bytes(127)) == 0, first


def test_a_size_beyond_the_slots_is_no_record() -> None:
    slots = bytearray(encode_record(1, b"x", MAC, KEY))
    slots[1:3] = b"\x00\x6d"
    assert decode_record(slots) is None


def test_blank_is_all_ones() -> None:
    assert is_blank(b"\xff" * 128)
    assert is_blank(memoryview(b"\xff" * 128))
    assert not is_blank(b"\xff" * 127 + b"\xfe")
    assert not is_blank(b"\x7f" + b"\xff" * 127)
