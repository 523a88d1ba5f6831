"""Bank card: whole conversations word for word, what leaves them, and cards that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.apdu import UnexpectedStatus
from protocol.cards.emv import NoPaymentApplication, Terminal, read_bank_card
from protocol.cards.tlv import encode
from protocol.compat import sha256
from protocol.errors import CardError
from tests.protocol.transcript import answer_all, error_of, read_exchanges, replay
from tests.vectors.load import load

if TYPE_CHECKING:
    from protocol.cards.emv import BankCardRead

CARDS = load("bank_cards")
DATE = b"\x24\x05\x15"
OK = b"\x90\x00"
VISA = b"\xa0\x00\x00\x00\x03\x10\x10"
NUMBER = bytes.fromhex("9999990000000018")
EXPIRY = encode(0x5F24, b"\x30\x12\x31")


def terminal() -> Terminal:
    return Terminal(0, DATE, b"\x01\x02\x03\x04")


def tokenise(number: bytearray) -> bytes:
    return sha256(number)[:16]


def directory(*applications: tuple[bytes, int]) -> bytes:
    entries = b"".join([encode(0x61, encode(0x4F, name) + encode(0x87, bytes((rank,)))) for name, rank in applications])
    return encode(0x6F, encode(0x84, b"2PAY.SYS.DDF01") + encode(0xA5, encode(0xBF0C, entries))) + OK


def chosen(data_object_list: bytes = b"") -> bytes:
    return encode(0x6F, encode(0x84, VISA) + encode(0xA5, encode(0x9F38, data_object_list))) + OK


def processing(locator: str, more: bytes = b"") -> bytes:
    return encode(0x77, encode(0x82, b"\x20\x00") + encode(0x94, bytes.fromhex(locator)) + more) + OK


def record(content: bytes) -> bytes:
    return encode(0x70, content) + OK


def read(*answers: bytes) -> BankCardRead:
    return answer_all(read_bank_card(tokenise, terminal()), list(answers))


def error(*answers: bytes) -> Exception:
    return error_of(read_bank_card(tokenise, terminal()), list(answers))


def test_a_card_of_either_scheme_is_read_word_for_word() -> None:
    for case in CARDS:
        found = replay(read_bank_card(tokenise, terminal()), read_exchanges(case["exchanges"]))
        assert found.token == sha256(bytes.fromhex(case["number"]))[:16]
        assert found.expires_yymm == bytes.fromhex(case["expires_yymm"])
        assert found.scheme == case["scheme"]


def test_the_buffer_with_the_number_is_overwritten_when_the_conversation_is_over() -> None:
    kept = []

    def keep(number: bytearray) -> bytes:
        kept.append(number)
        assert any(number)
        return b"token"

    for case in CARDS:
        replay(read_bank_card(keep, terminal()), read_exchanges(case["exchanges"]))
    assert [bytes(number) for number in kept] == [bytes(10)] * len(CARDS)


def test_responses_in_bytearrays_are_overwritten() -> None:
    for case in CARDS:
        answers = [bytearray(answer) for _, answer in read_exchanges(case["exchanges"])]
        answer_all(read_bank_card(tokenise, terminal()), answers)  # type: ignore[arg-type, unused-ignore]
        assert answers[2:] == [bytearray(len(answer)) for answer in answers[2:]]


def test_the_number_is_in_no_error_and_in_nothing_printed() -> None:
    track = encode(0x57, NUMBER + bytes.fromhex("D30121010000000F"))
    other = record(encode(0x5A, bytes.fromhex("9999990000000026")) + EXPIRY)
    failed = error(directory((VISA, 1)), chosen(), processing("10010100", track), other)
    assert str(failed) == "the card gives two numbers"


def test_number_and_expiry_may_come_as_track_data_alone() -> None:
    track = encode(0x57, NUMBER + bytes.fromhex("D30122010000000F"))
    found = read(directory((VISA, 1)), chosen(), encode(0x77, track) + OK)
    assert found.expires_yymm == b"\x30\x12"
    assert found.token == sha256(NUMBER + b"\xff\xff")[:16]
    assert NUMBER.hex() not in repr(found)


def test_a_number_is_the_same_however_it_is_coded() -> None:
    for digits in ("999999000018", "9999990000187", "9999990000000018", "9999990000000000187"):
        packed = bytes.fromhex(digits + "F" * (len(digits) % 2))
        track = digits + "D3012201"
        plain = read(directory((VISA, 1)), chosen(), processing("10010100"), record(encode(0x5A, packed) + EXPIRY))
        tracked = bytes.fromhex(track + "F" * (len(track) % 2))
        found = read(directory((VISA, 1)), chosen(), processing("10010100"), record(encode(0x57, tracked)))
        assert plain.token == found.token == sha256(bytes.fromhex(digits + "F" * (20 - len(digits))))[:16]


def test_processing_options_without_tags_are_understood() -> None:
    answer = encode(0x80, bytes.fromhex("2000" + "10010100")) + OK
    assert read(directory((VISA, 1)), chosen(), answer, record(encode(0x5A, NUMBER) + EXPIRY)).scheme == "visa"


def first_choice(directory_answer: bytes) -> bytes:
    conversation = read_bank_card(tokenise, terminal())
    next(conversation)
    return conversation.send(directory_answer)[5:-1]


def test_the_application_with_the_best_priority_is_selected() -> None:
    mastercard = b"\xa0\x00\x00\x00\x04\x10\x10"
    domestic = b"\xa0\x00\x00\x06\x58\x10\x10"
    assert first_choice(directory((VISA, 2), (mastercard, 1))) == mastercard
    assert first_choice(directory((mastercard, 0), (VISA, 3))) == VISA
    assert first_choice(directory((domestic, 1), (VISA, 2))) == VISA
    assert first_choice(directory((VISA, 0x81), (mastercard, 2))) == VISA
    assert first_choice(directory((mastercard, 1), (VISA, 1))) == mastercard


def test_the_next_application_is_tried_when_one_is_blocked() -> None:
    mastercard = b"\xa0\x00\x00\x00\x04\x10\x10"
    found = read(
        directory((VISA, 1), (mastercard, 2)),
        b"\x62\x83",
        chosen(),
        processing("10010100"),
        record(encode(0x5A, NUMBER) + EXPIRY),
    )
    assert found.scheme == "mastercard"


def test_a_medium_without_an_application_that_we_accept_is_told_apart() -> None:
    domestic = b"\xa0\x00\x00\x06\x58\x10\x10"
    for answers in (
        [b"\x6a\x82"],
        [directory()],
        [encode(0x6F, encode(0x84, b"2PAY.SYS.DDF01")) + OK],
        [directory((domestic, 1))],
        [directory((VISA, 1)), b"\x6a\x82"],
        [directory((VISA + bytes(10), 1))],
    ):
        assert isinstance(error(*answers), NoPaymentApplication), answers


def test_the_terminal_fills_what_a_card_asks_for() -> None:
    asked = bytes.fromhex("9F6604 9F0206 9F0306 9F1A02 9505 5F2A02 9A03 9C01 9F3704".replace(" ", ""))
    expected = "27004000 000000012345 000000000000 0398 0000000000 0398 240515 00 01020304".replace(" ", "")
    assert Terminal(12345, DATE, b"\x01\x02\x03\x04").fill(asked) == bytes.fromhex(expected)


def test_numbers_are_cut_and_filled_on_the_left_and_all_else_on_the_right() -> None:
    filled = Terminal(12345, DATE, b"\x01\x02\x03\x04").fill(bytes.fromhex("9F02029F02079F37029F3705DF0102"))
    assert filled == bytes.fromhex("2345" + "00000000012345" + "0102" + "0102030400" + "0000")


def test_a_card_that_asks_for_too_much_is_refused() -> None:
    assert isinstance(error(directory((VISA, 1)), chosen(b"\x9f\x02\xff")), CardError)
    assert isinstance(error(directory((VISA, 1)), chosen(b"\x9f\x02")), CardError)


def test_a_locator_that_cannot_be_is_refused() -> None:
    for locator in ("10", "100101", "10000100", "10020100", "00010100", "F8010100", "1001FF00", "10010900" * 2):
        answers = [directory((VISA, 1)), chosen(), processing(locator), record(encode(0x5A, NUMBER) + EXPIRY)]
        assert isinstance(error(*answers), CardError), locator


def test_a_missing_record_ends_the_conversation() -> None:
    failed = error(directory((VISA, 1)), chosen(), processing("10010100"), b"\x6a\x83")
    assert isinstance(failed, UnexpectedStatus)


def test_numbers_and_dates_that_cannot_be_are_refused() -> None:
    for content in (
        b"",
        encode(0x5A, NUMBER),
        EXPIRY,
        encode(0x5A, b"") + EXPIRY,
        encode(0x5A, bytes.fromhex("99999900001F")) + EXPIRY,
        encode(0x5A, bytes.fromhex("99999900000000000018")) + EXPIRY,
        encode(0x5A, bytes.fromhex("999999AB00000018")) + EXPIRY,
        encode(0x57, NUMBER),
        encode(0x57, NUMBER + b"\xd3"),
        encode(0x57, b"\xd3\x01\x22"),
        encode(0x5A, NUMBER) + encode(0x5F24, b""),
        encode(0x5A, NUMBER) + encode(0x5F24, b"\x30\x13\x01"),
        encode(0x5A, NUMBER) + encode(0x5F24, b"\x30\x00\x01"),
        encode(0x5A, NUMBER) + encode(0x5F24, b"\x3a\x01\x01"),
        encode(0x57, NUMBER + bytes.fromhex("D3011201")) + EXPIRY,
    ):
        answers = [directory((VISA, 1)), chosen(), processing("10010100"), record(content)]
        assert isinstance(error(*answers), CardError), content.hex()
