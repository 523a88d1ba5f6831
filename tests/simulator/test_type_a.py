"""How a card is found, level by level."""

from __future__ import annotations

import pytest

from simulator.sample_cards import sample_visa_card
from simulator.type_a import TypeA
from tests.simulator.test_iso_dep import Echo

_SEVEN = bytes.fromhex("04112233445566")
_FIRST, _SECOND = bytes.fromhex("88041122bf"), bytes.fromhex("3344556644")


def _card(uid: bytes) -> TypeA:
    card = Echo()
    card.uid = uid
    return TypeA(card)


def _selected() -> TypeA:
    there = _card(_SEVEN)
    for frame in (b"\x26", b"\x93\x70" + _FIRST, b"\x95\x70" + _SECOND):
        assert there.receive(frame) is not None
    return there


def test_seven_bytes_are_told_at_two_levels() -> None:
    there = _card(_SEVEN)
    assert there.receive(b"\x26") == b"\x44\x03"
    assert there.receive(b"\x93\x20") == _FIRST
    assert there.receive(b"\x93\x70" + _FIRST) == b"\x04"
    assert there.receive(b"\x95\x20") == _SECOND
    assert there.receive(b"\x95\x70" + _SECOND) == b"\x20"
    assert there.receive(b"\xe0\x80") == Echo.ats


def test_four_bytes_are_told_at_one_level() -> None:
    there = TypeA(sample_visa_card())
    assert there.receive(b"\x26") == b"\x04\x03"
    level = there.receive(b"\x93\x20")
    assert level is not None
    assert there.receive(b"\x93\x70" + level) == b"\x20"


def test_ten_bytes_are_told_at_three_levels() -> None:
    there = _card(_SEVEN + b"abc")
    assert there.receive(b"\x26") == b"\x84\x03"
    uid = b""
    for code in (0x93, 0x95, 0x97):
        level = there.receive(bytes((code, 0x20)))
        assert level is not None
        there.receive(bytes((code, 0x70)) + level)
        uid += level[:4]
    assert uid.replace(b"\x88", b"") == _SEVEN + b"abc"


@pytest.mark.parametrize("frame", [b"\x93\x70" + _SECOND, b"\x95\x20", b"\xe0\x80", b"\x93", b""])
def test_who_means_another_card_hears_nothing_more(frame: bytes) -> None:
    there = _card(_SEVEN)
    there.receive(b"\x26")
    assert there.receive(frame) is None
    assert there.receive(b"\x93\x20") is None


def test_a_halted_card_waits_to_be_woken() -> None:
    there = _selected()
    assert there.receive(b"\x50\x00") is None
    assert there.receive(b"\x26") is None
    assert there.receive(b"\x52") == b"\x44\x03"


def test_a_deselected_card_is_halted() -> None:
    there = _selected()
    there.receive(b"\xe0\x80")
    assert there.receive(b"\xc2") == b"\xc2"
    assert there.receive(b"\x26") is None
    there.field_off()
    assert there.receive(b"\x26") == b"\x44\x03"
