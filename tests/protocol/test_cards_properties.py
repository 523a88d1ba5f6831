"""Cards that say anything at all: every conversation ends, and ends in a result or in a CardError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from protocol.cards import card_layout as layout
from protocol.cards.desfire import (
    KeyInMemory,
    TransitCard,
    open_transit_card,
    read_key_version,
    select_transit_card,
)
from protocol.cards.desfire_crypto import diversify
from protocol.cards.desfire_debit import commit, take, write_event
from protocol.cards.desfire_issue import MASTERS as MASTER_NAMES
from protocol.cards.emv import BankCardRead, read_bank_card
from protocol.cards.emv_oda import OfflineAuthentication
from protocol.cards.ride_event import decode_evidence
from protocol.cards.tlv import encode, find, parse, parse_object_list
from protocol.errors import CardError
from simulator.desfire_card import DesfireCard
from tests.protocol.bank_bench import OpenVault, authorities, terminal
from tests.protocol.transcript import AES, read_exchanges
from tests.vectors.load import load

if TYPE_CHECKING:
    from collections.abc import Generator

UID = bytes.fromhex("04112233445566")
MASTERS = {name: bytes((number,)) * 16 for number, name in enumerate(MASTER_NAMES)}
COMMANDS_MAX = 1 + 8 + 1 + 16 + 1
BANK_CARDS = [read_exchanges(case["exchanges"]) for case in load("bank_cards")]
tags = st.sampled_from(
    [
        *(0x4F, 0x50, 0x57, 0x5A, 0x61, 0x6F, 0x70, 0x77, 0x80, 0x82, 0x84, 0x87, 0x8C, 0x8F, 0x90, 0x94, 0xA5, 0x5F24),
        *(0x9F27, 0x9F36, 0x9F38, 0x9F46, 0x9F4A, 0x9F4B, 0xBF0C),
    ]
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
    result, _ = hold(read_bank_card(OpenVault(), terminal(), OfflineAuthentication(authorities())), answers)
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
    result, _ = hold(read_key_version(2), answers)
    assert isinstance(result, int | CardError)
    holder = KeyInMemory(AES, bytes(16), bytes(range(16)))
    result, _ = hold(open_transit_card(AES, holder), answers)
    assert isinstance(result, CardError)


def ride_of(opened: TransitCard) -> Generator[bytes, bytes, tuple[int, bytes]]:
    yield from take(opened.session, layout.FILE_PURSE, 1000)
    event = layout.CardEvent(layout.EVENT_PURSE, 1, b"abcd", 1000, opened.balance_minor - 1000, opened.counter + 1)
    yield from write_event(opened.session, event.encode())
    return (yield from commit(opened.session))


def whole_ride() -> Generator[bytes, bytes, tuple[int, bytes]]:
    yield from select_transit_card()
    key = diversify(AES, MASTERS["transit_debit_master"], layout.key_material(UID))
    opened = yield from open_transit_card(AES, KeyInMemory(AES, key, bytes(range(16))))
    return (yield from ride_of(opened))


@given(st.integers(0, 8), st.data())
def test_whoever_changes_an_answer_of_a_transport_card_is_found_out(turn: int, data: st.DataObject) -> None:
    """Any change, cut or addition to what the card says, by somebody between, ends the ride; and an error moves no money."""
    card = DesfireCard.personalise(UID, layout.Environment(bytes(8), 1, 1, 2**31), 50_000, MASTERS)
    conversation = whole_ride()
    command = next(conversation)
    try:
        for step in range(9):
            answer = card.process(command)
            if step == turn and turn:
                forged = data.draw(st.one_of(st.binary(max_size=260), changes_of(answer)))
                answer = forged if forged != answer else bytes(len(answer))
            command = conversation.send(answer)
    except StopIteration:
        assert turn == 0
    except CardError:
        assert turn
        assert card.balance_minor == (50_000 if turn < 8 else 49_000), "before the commit nothing is lost"
    else:
        raise AssertionError("the conversation goes on")


def changes_of(answer: bytes) -> st.SearchStrategy[bytes]:
    def change(index: int, byte: int) -> bytes:
        return answer[:index] + bytes((answer[index] ^ byte,)) + answer[index + 1 :]

    cut = st.integers(0, len(answer) - 1).map(lambda end: answer[:end])
    return st.one_of(st.builds(change, st.integers(0, len(answer) - 1), st.integers(1, 255)), cut)


@given(st.binary(max_size=80))
def test_an_environment_is_ours_or_is_refused(data: bytes) -> None:
    for content in (data, bytes(16) + b"\x02" + data[:46].ljust(46, b"\0"), data[:16].ljust(16) + b"\x01" + bytes(15)):
        try:
            environment = layout.decode_environment(content)
        except CardError:
            continue
        again = layout.decode_environment(layout.encode_environment(environment))
        assert layout.encode_environment(again) == layout.encode_environment(environment)


@given(st.binary(min_size=30, max_size=34))
def test_an_event_is_one_or_is_refused(data: bytes) -> None:
    try:
        event = layout.decode_event(data)
    except CardError:
        return
    assert event.encode() == data


@given(st.binary(max_size=24))
def test_evidence_is_read_or_is_none(data: bytes) -> None:
    evidence = decode_evidence(data)
    if evidence is not None:
        assert evidence.mac + evidence.masked_uid == data[:15]
        assert (evidence.slot << 4 | evidence.kind) == data[15]
