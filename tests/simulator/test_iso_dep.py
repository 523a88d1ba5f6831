"""The block protocol, block by block, and with its reader's side over a bad air."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.iso_dep import BlockError, Blocks, IsoDep
from simulator.virtual_card import VirtualCard

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_ATS_64 = b"\x06\x75\x77\x81\x02\x80"
_ATS_16 = b"\x06\x70\x77\x81\x02\x80"
_RATS_256, _RATS_16 = b"\xe0\x80", b"\xe0\x00"


class Echo(VirtualCard):
    """Answers with what it was told, backwards, and remembers it."""

    ats = _ATS_64

    def __init__(self, ats: bytes = _ATS_64) -> None:
        super().__init__(b"\x08abc")
        self.ats = ats
        self.heard: list[bytes] = []

    def _respond(self, apdu: bytes) -> bytes:
        self.heard.append(apdu)
        return apdu[::-1]

    def _forget(self) -> None:
        """It has nothing in mind."""


def _active(card: Echo, rats: bytes = _RATS_256) -> IsoDep:
    blocks = IsoDep(card)
    assert blocks.receive(rats) == card.ats
    return blocks


def test_before_rats_nothing_is_answered() -> None:
    blocks = IsoDep(Echo())
    assert blocks.receive(b"\x02ab") is None
    assert blocks.receive(b"\xe0") is None
    assert blocks.receive(b"\xe0\x8f") is None
    assert blocks.receive(_RATS_256) == _ATS_64


def test_block_numbers_take_turns() -> None:
    blocks = _active(Echo())
    assert blocks.receive(b"\x02ab") == b"\x02ba"
    assert blocks.receive(b"\x03cd") == b"\x03dc"


def test_a_block_that_was_not_understood_is_sent_again_and_nothing_is_carried_out_twice() -> None:
    card = Echo()
    blocks = _active(card)
    blocks.receive(b"\x02ab")
    assert blocks.receive(b"\xb2") == b"\x02ba"
    assert blocks.receive(b"\xb2") == b"\x02ba"
    assert card.heard == [b"ab"]


def test_a_command_that_never_came_is_told_by_an_acknowledgement_of_the_other_number() -> None:
    blocks = _active(Echo())
    assert blocks.receive(b"\xb2") == b"\xa3"
    blocks.receive(b"\x02ab")
    assert blocks.receive(b"\xb3") == b"\xa2"


def test_a_command_in_parts_is_acknowledged_part_by_part() -> None:
    card = Echo()
    blocks = _active(card)
    assert blocks.receive(b"\x12ab") == b"\xa2"
    assert blocks.receive(b"\x13cd") == b"\xa3"
    assert blocks.receive(b"\x02ef") == b"\x02fedcba"
    assert card.heard == [b"abcdef"]


def test_a_long_answer_comes_in_parts_that_fit_the_reader() -> None:
    blocks = _active(Echo(), _RATS_16)
    first = blocks.receive(b"\x02" + bytes(range(20)))
    assert first is not None
    assert (first[0], len(first)) == (0x12, 14)
    second = blocks.receive(b"\xa3")
    assert second is not None
    assert second[0] == 0x03
    assert (first[1:] + second[1:])[::-1] == bytes(range(20))


def test_a_card_that_needs_time_asks_for_it_and_then_answers() -> None:
    blocks = _active(Echo())
    blocks.waits = 2
    assert blocks.receive(b"\x02ab") == b"\xf2\x01"
    assert blocks.receive(b"\xb2") == b"\xf2\x01"
    assert blocks.receive(b"\xf2\x01") == b"\xf2\x01"
    assert blocks.receive(b"\xf2\x01") == b"\x02ba"


def test_a_deselected_card_is_silent_until_rats() -> None:
    blocks = _active(Echo())
    assert blocks.receive(b"\xc2") == b"\xc2"
    assert blocks.receive(b"\x02ab") is None
    assert blocks.receive(_RATS_256) == _ATS_64


def test_a_card_answers_its_own_number_only() -> None:
    blocks = _active(Echo(), b"\xe0\x83")
    assert blocks.receive(b"\x02ab") is None
    assert blocks.receive(b"\x0a\x02ab") is None
    assert blocks.receive(b"\x0a\x03ab") == b"\x0a\x03ba"
    assert blocks.receive(b"\xca\x03") == b"\xca\x03"


def test_another_bit_rate_may_be_asked_for_once_at_the_beginning() -> None:
    blocks = _active(Echo())
    assert blocks.receive(b"\xd0\x11\x00") == b"\xd0"
    blocks.receive(b"\x02ab")
    assert blocks.receive(b"\xd0\x11\x00") is None


def test_what_is_too_long_is_not_answered() -> None:
    blocks = _active(Echo())
    assert blocks.receive(b"\x02" + bytes(62)) is None
    for number in range(4):
        assert blocks.receive(bytes((0x12 | number & 1,)) + bytes(61)) is not None
    assert blocks.receive(b"\x12" + bytes(61)) is None


def test_a_card_that_is_torn_away_is_silent() -> None:
    card = Echo()
    blocks = _active(card)
    card.tear_at(1, carried_out=True)
    assert blocks.receive(b"\x02ab") is None
    assert blocks.receive(b"\xb2") is None


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_no_block_whatever_brings_a_card_down_or_makes_it_say_too_much(blocks: list[bytes]) -> None:
    dep = _active(Echo())
    for block in blocks:
        answer = dep.receive(block)
        assert answer is None or len(answer) <= 254


def _exchange(reader: Blocks, apdu: bytes, air: Callable[[bytes], bytes | None]) -> bytes:
    conversation = reader.exchange(apdu)
    block = next(conversation)
    try:
        while True:
            block = conversation.send(air(block))
    except StopIteration as end:
        response: bytes = end.value
        return response


@given(
    st.lists(st.binary(min_size=1, max_size=261), min_size=1, max_size=4),
    st.sampled_from([_ATS_64, _ATS_16]),
    st.integers(0, 2),
)
def test_commands_of_any_length_come_through(apdus: list[bytes], ats: bytes, waits: int) -> None:
    card = Echo(ats)
    blocks = _active(card)
    blocks.waits = waits
    reader = Blocks(ats)
    for apdu in apdus:
        assert _exchange(reader, apdu, blocks.receive) == apdu[::-1]
    assert card.heard == apdus


@given(st.lists(st.binary(min_size=1, max_size=150), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_on_a_bad_air_no_command_is_carried_out_twice_or_answered_with_another_answer(
    apdus: list[bytes], chance: random.Random
) -> None:
    card = Echo()
    blocks = _active(card)
    reader = Blocks(_ATS_64, 64)

    def air(block: bytes) -> bytes | None:
        if chance.random() < 0.15:
            return None
        answer = blocks.receive(block)
        return None if chance.random() < 0.15 else answer

    for count, apdu in enumerate(apdus, 1):
        try:
            assert _exchange(reader, apdu, air) == apdu[::-1]
        except BlockError:
            break
        assert card.heard == apdus[:count]
    assert card.heard == apdus[: len(card.heard)]


def test_a_reader_gives_up_on_a_card_that_is_silent() -> None:
    with pytest.raises(BlockError, match="does not answer"):
        _exchange(Blocks(_ATS_64), b"ab", lambda _: None)


@pytest.mark.parametrize("answer", [b"\x03ba", b"\xc2", b"\x01"])
def test_a_reader_takes_no_answer_out_of_turn(answer: bytes) -> None:
    with pytest.raises(BlockError):
        _exchange(Blocks(_ATS_64), b"ab", lambda _: answer)


@given(st.binary(min_size=1, max_size=200), st.lists(st.none() | st.binary(max_size=70), max_size=30))
def test_a_reader_gets_an_answer_or_an_error_whatever_it_hears(apdu: bytes, heard: list[bytes | None]) -> None:
    answers = iter(heard)
    try:
        response = _exchange(Blocks(_ATS_64), apdu, lambda _: next(answers, None))
    except BlockError:
        return
    assert len(response) <= sum(len(each or b"") for each in heard)
