"""Bank card: whole conversations word for word, what leaves them, and cards that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.acquirer_blob import BLOB_TAGS
from protocol.cards.apdu import UnexpectedStatus
from protocol.cards.emv import NoPaymentApplication, read_bank_card
from protocol.cards.emv_card_data import CardData
from protocol.cards.emv_keys import NotGenuine
from protocol.cards.emv_oda import OfflineAuthentication
from protocol.cards.emv_terminal import Terminal
from protocol.cards.tlv import encode, parse
from protocol.compat import sha256
from protocol.decisions import DECISION_CARD_DECLINES
from protocol.errors import CardError
from tests.protocol.bank_bench import (
    CARDS,
    MASTERCARD,
    TODAY,
    UNPREDICTABLE,
    VISA,
    OpenVault,
    answers_of,
    authorities,
    terminal,
)
from tests.protocol.expect import refusal
from tests.protocol.transcript import answer_all, error_of, read_exchanges, replay
from tests.vectors.load import load

if TYPE_CHECKING:
    from protocol.cards.emv import BankCardRead, Conversation

OK = b"\x90\x00"
NUMBER = bytes.fromhex("9999990000000018")
TRACK = encode(0x57, NUMBER + bytes.fromhex("D30122010000000F"))
EXPIRY = encode(0x5F24, b"\x30\x12\x31")


def conversation(vault: OpenVault | None = None) -> Conversation[BankCardRead]:
    return read_bank_card(vault or OpenVault(), terminal(), OfflineAuthentication(authorities()))


def directory(*applications: tuple[bytes, int]) -> bytes:
    entries = b"".join([encode(0x61, encode(0x4F, name) + encode(0x87, bytes((rank,)))) for name, rank in applications])
    return encode(0x6F, encode(0x84, b"2PAY.SYS.DDF01") + encode(0xA5, encode(0xBF0C, entries))) + OK


def chosen(data_object_list: bytes = b"", name: bytes = VISA) -> bytes:
    return encode(0x6F, encode(0x84, name) + encode(0xA5, encode(0x9F38, data_object_list))) + OK


def processing(locator: str, more: bytes = b"", profile: bytes = b"\x20\x00") -> bytes:
    return encode(0x77, encode(0x82, profile) + encode(0x94, bytes.fromhex(locator)) + more) + OK


def record(content: bytes) -> bytes:
    return encode(0x70, content) + OK


def error(*answers: bytes) -> Exception:
    return error_of(conversation(), list(answers))


def test_a_card_of_either_scheme_is_read_word_for_word() -> None:
    for case in CARDS:
        found = replay(conversation(), read_exchanges(case["exchanges"]))
        assert found.token == sha256(bytes.fromhex(case["number"]))[:16]
        assert found.expires_yymm == bytes.fromhex(case["expires_yymm"])
        assert found.blob.hex() == case["acquirer_objects"]
        assert found.counter == 1


def test_the_acquirer_gets_what_it_needs_as_it_was_said() -> None:
    for case in CARDS:
        objects = dict(parse(replay(conversation(), read_exchanges(case["exchanges"])).blob))
        assert sorted(objects) == sorted(BLOB_TAGS)
        assert objects[0x57].hex().upper().startswith(case["number"].rstrip("F") + "D3012")
        assert (objects[0x9F37], objects[0x9A], objects[0x9F02]) == (UNPREDICTABLE, TODAY, bytes(6))
        assert objects[0x9F27] == b"\x80", "the cryptogram is one that can be authorised"


def test_buffers_with_the_number_are_overwritten_when_the_conversation_is_over() -> None:
    for case in CARDS:
        vault = OpenVault()
        replay(conversation(vault), read_exchanges(case["exchanges"]))
        assert len(vault.shown) == 2
        assert [buffer for buffer in vault.shown if any(buffer)] == []


def test_responses_in_bytearrays_are_overwritten() -> None:
    for case in CARDS:
        answers = [bytearray(answer) for answer in answers_of(case)]
        answer_all(conversation(), answers)  # type: ignore[arg-type, unused-ignore]
        assert answers[2:] == [bytearray(len(answer)) for answer in answers[2:]]


def test_the_number_is_in_no_error_and_in_nothing_printed() -> None:
    other = record(encode(0x5A, bytes.fromhex("9999990000000026")) + EXPIRY)
    failed = error(directory((VISA, 1)), chosen(), processing("10010100", TRACK), other)
    assert str(failed) == "the card gives two numbers"
    found = replay(conversation(), read_exchanges(CARDS[0]["exchanges"]))
    assert NUMBER.hex() not in repr(found)


def taken(*contents: bytes) -> CardData:
    card = CardData()
    for content in contents:
        card.take(memoryview(content))
    return card


def test_a_number_is_the_same_however_it_is_coded() -> None:
    for digits in ("999999000018", "9999990000187", "9999990000000018", "9999990000000000187"):
        packed = bytes.fromhex(digits + "F" * (len(digits) % 2))
        track = digits + "D3012201"
        plain = taken(encode(0x70, encode(0x5A, packed) + EXPIRY))
        tracked = taken(encode(0x57, bytes.fromhex(track + "F" * (len(track) % 2))))
        assert plain.number == tracked.number == bytes.fromhex(digits + "F" * (20 - len(digits)))
        assert plain.expires_yymm == tracked.expires_yymm == b"\x30\x12"


def test_processing_options_without_tags_are_understood() -> None:
    plain = encode(0x80, bytes.fromhex("0000" + "10010100")) + OK
    failed = error(directory((VISA, 1)), chosen(), plain, record(TRACK))
    assert isinstance(failed, NotGenuine)
    assert failed.decision == DECISION_CARD_DECLINES, "the profile says that nothing is signed"


def first_choice(directory_answer: bytes) -> bytes:
    reading = conversation()
    next(reading)
    return reading.send(directory_answer)[5:-1]


def test_the_application_with_the_best_priority_is_selected() -> None:
    domestic = b"\xa0\x00\x00\x06\x58\x10\x10"
    assert first_choice(directory((VISA, 2), (MASTERCARD, 1))) == MASTERCARD
    assert first_choice(directory((MASTERCARD, 0), (VISA, 3))) == VISA
    assert first_choice(directory((domestic, 1), (VISA, 2))) == VISA
    assert first_choice(directory((VISA, 0x81), (MASTERCARD, 2))) == VISA
    assert first_choice(directory((MASTERCARD, 1), (VISA, 1))) == MASTERCARD


def test_the_next_application_is_tried_when_one_is_blocked() -> None:
    answers = answers_of(CARDS[1])
    answers[0] = b"\x62\x83"
    answers.insert(0, directory((VISA, 1), (MASTERCARD, 2)))
    found = answer_all(conversation(), answers)
    assert found.counter == 1


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


def test_an_answer_for_another_application_is_refused() -> None:
    for name in (MASTERCARD, b"", VISA[:5]):
        failed = error(directory((VISA, 1)), chosen(name=name))
        assert str(failed) == "the card answers for another application than was selected"
    whole_name = [directory((VISA, 1)), chosen(name=VISA + b"\x01"), b"\x69\x85"]
    assert isinstance(error(*whole_name), UnexpectedStatus), "a directory may name the beginning only"


def test_the_terminal_fills_what_a_card_asks_for() -> None:
    asked = bytes.fromhex("9F6604 9F0206 9F0306 9F1A02 9505 5F2A02 9A03 9C01 9F3704".replace(" ", ""))
    expected = "27804000 000000012345 000000000000 0398 0000000000 0398 240515 00 01020304".replace(" ", "")
    assert Terminal(12345, TODAY, UNPREDICTABLE).fill(asked) == bytes.fromhex(expected)


def test_numbers_are_cut_and_filled_on_the_left_and_all_else_on_the_right() -> None:
    filled = Terminal(12345, TODAY, UNPREDICTABLE).fill(bytes.fromhex("9F02029F02079F37029F3705DF0102"))
    assert filled == bytes.fromhex("2345" + "00000000012345" + "0102" + "0102030400" + "0000")


def test_a_card_that_asks_for_too_much_is_refused() -> None:
    assert isinstance(error(directory((VISA, 1)), chosen(b"\x9f\x02\xff")), CardError)
    assert isinstance(error(directory((VISA, 1)), chosen(b"\x9f\x02")), CardError)


def test_a_locator_that_cannot_be_is_refused() -> None:
    for locator in (
        "10",
        "100101",
        "10000100",
        "10020100",
        "00010100",
        "F8010100",
        "1001FF00",
        "10010900" * 2,
        "10010102",
    ):
        answers = [directory((VISA, 1)), chosen(), processing(locator, TRACK), record(EXPIRY)]
        failed = error(*answers)
        assert isinstance(failed, CardError), locator
        assert not isinstance(failed, NotGenuine), locator


def test_a_missing_record_ends_the_conversation() -> None:
    failed = error(directory((VISA, 1)), chosen(), processing("10010100"), b"\x6a\x83")
    assert isinstance(failed, UnexpectedStatus)


def test_an_authenticated_record_is_a_template() -> None:
    for content in (EXPIRY, encode(0x70, EXPIRY) + encode(0x70, b""), b""):
        failed = error(directory((VISA, 1)), chosen(), processing("10010101", TRACK), content + OK)
        assert str(failed) == "a record of the card is no template"


class Watching(OfflineAuthentication):
    """It looks at what would be authenticated, and ends there."""

    static = b""

    def card_key(self, rid, objects, number, static, today):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002
        self.static = bytes(static)
        raise CardError("seen")


def test_the_frame_of_a_record_is_authenticated_in_files_above_ten_alone() -> None:
    for file, expected in ((10, EXPIRY), (11, encode(0x70, EXPIRY))):
        watching = Watching(authorities())
        locator = bytes((file << 3, 1, 1, 1)).hex()
        answers = [directory((VISA, 1)), chosen(), processing(locator, TRACK), record(EXPIRY)]
        assert str(error_of(read_bank_card(OpenVault(), terminal(), watching), answers)) == "seen"
        assert watching.static == expected


def test_numbers_and_dates_that_cannot_be_are_refused() -> None:
    for content in (
        encode(0x5A, b""),
        encode(0x5A, bytes.fromhex("99999900001F")),
        encode(0x5A, bytes.fromhex("99999900000000000018")),
        encode(0x5A, bytes.fromhex("999999AB00000018")),
        encode(0x57, NUMBER),
        encode(0x57, NUMBER + b"\xd3"),
        encode(0x57, b"\xd3\x01\x22"),
        encode(0x57, NUMBER + b"\xd3\x01\x22" + bytes(9)),
        encode(0x5F24, b""),
        encode(0x5F24, b"\x30\x13\x01"),
        encode(0x5F24, b"\x30\x00\x01"),
        encode(0x5F24, b"\x3a\x01\x01"),
        encode(0x57, NUMBER + bytes.fromhex("D3011201")) + EXPIRY,
        encode(0x82, b"\x20\x00") + encode(0x82, b"\x00\x00"),
    ):
        try:
            taken(content)
        except CardError:
            continue
        raise AssertionError(content.hex())


def test_a_card_without_number_or_track_is_refused() -> None:
    for content in (EXPIRY, encode(0x5A, NUMBER) + EXPIRY):
        failed = error(directory((VISA, 1)), chosen(), processing("10010100"), record(content))
        assert str(failed) == "the card gives no number or no track"


def test_more_static_data_than_a_tap_has_time_for_is_refused() -> None:
    card = CardData()
    for _ in range(4):
        card.take_static(memoryview(bytes(250)))
    assert refusal(CardError, card.take_static, memoryview(bytes(250)))


def test_vectors_are_of_cards_that_no_scheme_issues() -> None:
    assert [case["number"][:6] for case in load("bank_cards")] == ["999999", "999999"]
