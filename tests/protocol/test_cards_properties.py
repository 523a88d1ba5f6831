"""Cards that say anything at all: every conversation ends, and ends in a result or in a CardError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from protocol.cards import card_layout as layout
from protocol.cards.desfire import open_transit_card, select_transit_card
from protocol.cards.emv import BankCardRead, Terminal, read_bank_card
from protocol.cards.tlv import encode, find, parse, parse_object_list
from protocol.errors import CardError
from tests.protocol.transcript import AES, read_exchanges
from tests.vectors.load import load

if TYPE_CHECKING:
    from collections.abc import Generator

COMMANDS_MAX = 1 + 8 + 1 + 16
BANK_CARDS = [read_exchanges(case["exchanges"]) for case in load("bank_cards")]
tags = st.sampled_from(
    [0x4F, 0x50, 0x57, 0x5A, 0x61, 0x6F, 0x70, 0x77, 0x80, 0x84, 0x87, 0x94, 0xA5, 0x5F24, 0x9F38, 0xBF0C]
)
objects = st.recursive(
    st.binary(max_size=12),
    lambda inner: st.lists(st.builds(encode, tags, inner), max_size=4).map(b"".join),
    max_leaves=12,
)
responses = st.one_of(
    st.binary(max_size=260),
    objects.map(lambda data: data[:256] + b"\x90\x00"),
    st.sampled_from([b"\x90\x00", b"\x91\x00", b"\x91\xaf", b"\x6a\x82"]),
)


def hold(conversation: Generator[bytes, bytes, Any], answers: list[bytes]) -> tuple[object, int]:
    """Return result or CardError, and the number of commands; answers are used round and round."""
    commands = 0
    try:
        next(conversation)
        while True:
            commands += 1
            assert commands <= COMMANDS_MAX
            conversation.send(answers[(commands - 1) % len(answers)])
    except StopIteration as stop:
        return stop.value, commands
    except CardError as error:
        return error, commands


def read(answers: list[bytes]) -> object:
    result, _ = hold(read_bank_card(bytes, Terminal(0, b"\x24\x05\x15", b"\x01\x02\x03\x04")), answers)
    assert isinstance(result, BankCardRead | CardError)
    return result


@given(st.binary(max_size=400))
def test_any_bytes_are_objects_or_are_refused(data: bytes) -> None:
    for reader in (parse, parse_object_list, lambda each: find(each, 0x5A)):
        try:
            reader(data)
        except CardError:
            continue


@given(st.lists(st.tuples(tags, st.binary(max_size=300)), max_size=20))
def test_objects_are_read_as_they_were_written(items: list[tuple[int, bytes]]) -> None:
    assert parse(b"".join(encode(tag, value) for tag, value in items)) == items


@given(st.lists(responses, min_size=1, max_size=8))
def test_a_bank_card_that_says_anything_comes_to_an_end(answers: list[bytes]) -> None:
    read(answers)


@given(st.sampled_from(BANK_CARDS), st.data())
def test_a_bank_card_with_one_changed_byte_comes_to_an_end(
    exchanges: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    answers = [answer for _, answer in exchanges]
    turn = data.draw(st.integers(0, len(answers) - 1))
    index = data.draw(st.integers(0, len(answers[turn]) - 1))
    changed = bytearray(answers[turn])
    changed[index] = data.draw(st.integers(0, 255))
    answers[turn] = bytes(changed)
    read(answers)


@given(st.sampled_from(BANK_CARDS), st.data())
def test_a_bank_card_with_a_shortened_answer_comes_to_an_end(
    exchanges: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    answers = [answer for _, answer in exchanges]
    turn = data.draw(st.integers(0, len(answers) - 1))
    end = data.draw(st.integers(0, len(answers[turn])))
    answers[turn] = answers[turn][:end] + data.draw(st.sampled_from([b"", b"\x90\x00"]))
    read(answers)


@given(st.lists(responses, min_size=1, max_size=6))
def test_nothing_but_the_right_card_is_taken_for_a_transport_card(answers: list[bytes]) -> None:
    result, _ = hold(select_transit_card(), answers)
    assert result is None or isinstance(result, CardError)
    result, _ = hold(open_transit_card(AES, bytes(7), bytes(16), bytes(range(16))), answers)
    assert isinstance(result, CardError)


@given(st.binary(max_size=64))
def test_an_environment_is_ours_or_is_refused(data: bytes) -> None:
    try:
        environment = layout.decode_environment(data)
    except CardError:
        return
    assert environment.encode()[:17] == data[:17]
