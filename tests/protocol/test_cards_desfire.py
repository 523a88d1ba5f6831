"""Transport card: the published worked examples, a whole ride word for word, and cards that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.apdu import UnexpectedStatus
from protocol.cards.desfire import (
    AuthenticationFailed,
    ForgedAnswer,
    KeyInMemory,
    NotOurCard,
    Session,
    authenticate,
    open_transit_card,
    read_key_version,
    read_value,
    select_transit_card,
)
from protocol.cards.desfire_credit import authenticate_again, top_up
from protocol.cards.desfire_crypto import (
    diversify,
    pad,
    reader_id_key,
    response_vector,
    session_keys,
    short_mac,
    transaction_mac_key,
)
from protocol.cards.desfire_debit import change_value, commit, take, write_event
from protocol.cards.transaction_mac import DEBIT, ride_input, top_up_input, transaction_mac
from protocol.cmac import aes_cmac
from protocol.errors import CardError, LocalProtocolError
from tests.protocol.transcript import AES, answer_all, error_of, read_exchanges, replay
from tests.vectors.load import load

if TYPE_CHECKING:
    from collections.abc import Generator

    from protocol.cards.desfire import TransitCard

NXP = load("nxp_desfire")
RIDE = load("transit_ride")


def hexed(example: str, name: str) -> bytes:
    return bytes.fromhex(NXP[example][name])


def ride(name: str) -> bytes:
    return bytes.fromhex(RIDE[name])


# Published worked examples.


def test_authenticate_ev2_first_goes_as_in_the_application_note() -> None:
    case = "authenticate_ev2_first"
    exchanges = [
        (bytes.fromhex("9071000002000000"), hexed(case, "challenge") + b"\x91\xaf"),
        (bytes.fromhex("90AF000020") + hexed(case, "proof") + b"\x00", hexed(case, "answer") + b"\x91\x00"),
    ]
    session = replay(authenticate(AES, 0, KeyInMemory(AES, hexed(case, "key"), hexed(case, "random_a"))), exchanges)
    assert session._transaction == hexed(case, "transaction")
    assert session._encryption_key == hexed(case, "session_enc")
    assert session._cmac._key == hexed(case, "session_mac")


def test_session_keys_are_those_of_the_application_note() -> None:
    case = "authenticate_ev2_first"
    assert AES.cbc_decrypt(hexed(case, "key"), bytes(16), hexed(case, "challenge")) == hexed(case, "random_b")
    keys = session_keys(AES, hexed(case, "key"), hexed(case, "random_a"), hexed(case, "random_b"))
    assert keys == (hexed(case, "session_enc"), hexed(case, "session_mac"))


def test_a_maced_write_goes_as_in_the_application_note() -> None:
    case = "write_data_maced"
    session = Session(AES, bytes(16), hexed(case, "session_mac"), hexed(case, "transaction"))
    body = hexed(case, "header") + hexed(case, "data") + hexed(case, "mac")
    exchange = (b"\x90\x8d\x00\x00" + bytes((len(body),)) + body + b"\x00", hexed(case, "answer_mac") + b"\x91\x00")
    assert replay(session.maced(0x8D, hexed(case, "header") + hexed(case, "data"), "write"), [exchange]) == b""


def test_the_card_uid_is_decrypted_as_in_the_application_note() -> None:
    case = "card_uid_full"
    keys = hexed(case, "session_enc"), hexed(case, "session_mac")
    assert aes_cmac(AES, keys[1], b"\x51\x00\x00" + hexed(case, "transaction")) == hexed(case, "cmac")
    assert response_vector(AES, keys[0], hexed(case, "transaction"), 1) == hexed(case, "response_vector")
    mac = bytes([hexed(case, "cmac")[index] for index in range(1, 16, 2)])
    answer = hexed(case, "answer") + hexed(case, "answer_mac") + b"\x91\x00"
    exchange = (b"\x90\x51\x00\x00\x08" + mac + b"\x00", answer)
    session = Session(AES, keys[0], keys[1], hexed(case, "transaction"))
    assert replay(session.full(0x51, b"", b"", "uid"), [exchange]) == hexed(case, "uid")


def test_keys_are_diversified_as_in_the_application_note() -> None:
    case = "diversify"
    assert diversify(AES, hexed(case, "key"), hexed(case, "material")) == hexed(case, "diversified")


def test_transaction_mac_keys_are_those_of_the_published_example() -> None:
    case = "transaction_mac_keys"
    context = hexed(case, "key"), NXP[case]["counter_before"] + 1, hexed(case, "uid")
    assert transaction_mac_key(AES, *context) == hexed(case, "mac_key")
    assert reader_id_key(AES, *context) == hexed(case, "enc_key")


# A whole ride of our own.


def opening() -> Generator[bytes, bytes, TransitCard]:
    key = diversify(AES, ride("debit_master"), layout.key_material(ride("uid")))
    return open_transit_card(AES, KeyInMemory(AES, key, ride("random_a")))


def any_session() -> Session:
    return Session(AES, bytes(16), bytes(16), bytes(4))


def mac_key() -> bytes:
    return diversify(AES, ride("mac_master"), layout.key_material(ride("uid")))


def test_a_ride_is_spoken_word_for_word() -> None:
    replay(select_transit_card(), read_exchanges(RIDE["select"]))
    card = replay(opening(), read_exchanges(RIDE["open"]))
    assert card.environment.card_number == ride("card_number")
    assert (card.environment.city, card.environment.category) == (RIDE["city"], RIDE["category"])
    assert card.environment.expires_s == RIDE["expires_s"]
    assert [each.product for each in card.environment.passes] == [101, 102, 0]
    assert [each.trips_left for each in card.environment.passes] == [None, 0, None]
    assert (card.balance_minor, card.counter) == (RIDE["balance_minor"], RIDE["counter"])
    replay(take(card.session, layout.FILE_PURSE, RIDE["fare_minor"]), read_exchanges(RIDE["take"]))
    replay(write_event(card.session, ride("event")), read_exchanges(RIDE["write"]))
    counter, mac = replay(commit(card.session), read_exchanges(RIDE["commit"]))
    assert counter == RIDE["counter"] + 1
    assert mac == ride("transaction_mac")


def test_a_ride_is_as_short_as_it_can_be() -> None:
    """Select, two to authenticate, two reads (and one for a counted pass), abort, debit, event, commit."""
    commands = [len(RIDE[step]) for step in ("select", "open", "take", "write", "commit")]
    assert commands == [1, 2 + 2 + 1, 2, 1, 1]
    said = [each for step in ("select", "open", "take", "write", "commit") for each in read_exchanges(RIDE[step])]
    assert sum(len(command) for command, _ in said) <= 260
    assert sum(len(answer) for _, answer in said) <= 270


def test_a_card_of_the_layout_before_is_read() -> None:
    card = replay(opening(), read_exchanges(RIDE["open_old"]))
    assert (card.environment.layout, card.environment.card_number) == (1, ride("card_number"))
    assert (card.counter, len(card.events), len(card.environment.passes)) == (0, 0, 0)


def test_money_is_put_onto_a_card_in_the_middle_of_a_session() -> None:
    case = RIDE["top_up"]
    event, exchanges = bytes.fromhex(case["event"]), read_exchanges(case["exchanges"])
    session = replay(opening(), read_exchanges(case["open"])).session
    key = diversify(AES, ride("credit_master"), layout.key_material(ride("uid")))
    holder = KeyInMemory(AES, key, bytes(range(15, -1, -1)))
    replay(authenticate_again(session, layout.KEY_CREDIT, holder), exchanges[:3])
    counter, mac = replay(top_up(session, RIDE["fare_minor"], event), exchanges[3:])
    assert (counter, mac) == (case["counter"] + 1, bytes.fromhex(case["transaction_mac"]))
    signed = top_up_input(RIDE["fare_minor"], event)
    assert mac == transaction_mac(AES, mac_key(), ride("uid"), counter, signed)


def test_the_back_office_computes_the_transaction_mac_from_what_the_ride_was() -> None:
    event = layout.decode_event(ride("event"))
    counter = RIDE["counter"] + 1
    assert transaction_mac(AES, mac_key(), ride("uid"), counter, ride_input(event)) == ride("transaction_mac")
    event.amount_minor += 1
    assert transaction_mac(AES, mac_key(), ride("uid"), counter, ride_input(event)) != ride("transaction_mac")


def test_neither_card_number_nor_uid_nor_key_is_in_what_is_printed() -> None:
    card = replay(opening(), read_exchanges(RIDE["open"]))
    for printed in (repr(card), repr(card.environment), repr(card.session), repr(card.events[0]), str(card)):
        for secret in ("card_number", "uid", "debit_master"):
            assert RIDE[secret].lower() not in printed.lower()


# Cards that are not ours, and cards that lie.


def test_a_medium_without_our_application_is_not_our_card() -> None:
    for status in (b"\x6a\x82", b"\x6d\x00", b"\x69\x85"):
        assert isinstance(error_of(select_transit_card(), [status]), NotOurCard)


def test_a_card_that_refuses_our_key_is_told_apart() -> None:
    for answers in (
        [b"\x91\xae"],
        [bytes(16) + b"\x91\xaf", b"\x91\xae"],
        [bytes(16) + b"\x91\xaf", bytes(32) + b"\x91\x00"],
    ):
        error = error_of(authenticate(AES, 2, KeyInMemory(AES, bytes(16), bytes(range(16)))), answers)
        assert isinstance(error, AuthenticationFailed)


def test_an_authentication_of_another_size_is_a_broken_answer() -> None:
    for answers in (
        [b"\x91\xaf"],
        [bytes(15) + b"\x91\xaf"],
        [bytes(32) + b"\x91\xaf"],
        [bytes(16) + b"\x91\xaf", bytes(16) + b"\x91\x00"],
        [bytes(16) + b"\x91\xaf", bytes(48) + b"\x91\x00"],
    ):
        error = error_of(authenticate(AES, 2, KeyInMemory(AES, bytes(16), bytes(range(16)))), answers)
        assert isinstance(error, CardError)
        assert not isinstance(error, AuthenticationFailed)


def test_a_changed_byte_in_any_answer_ends_the_conversation() -> None:
    exchanges = read_exchanges(RIDE["open"])
    for turn in range(len(exchanges)):
        for index in range(0, len(exchanges[turn][1]), 5):
            answers = [answer for _, answer in exchanges]
            changed = bytearray(answers[turn])
            changed[index] ^= 1
            answers[turn] = bytes(changed)
            assert isinstance(error_of(opening(), answers), CardError), (turn, index)


def test_an_answer_of_an_earlier_session_is_forged() -> None:
    session = any_session()
    head = b"\x00\x01\x00" + bytes(4)
    answer = short_mac(AES, bytes(16), head) + b"\x91\x00"
    answer_all(session.maced(0xA7, b"", "abort"), [answer])
    assert isinstance(error_of(session.maced(0xA7, b"", "abort"), [answer]), ForgedAnswer)


def test_an_answer_under_another_mac_is_forged() -> None:
    error = error_of(commit(any_session()), [bytes(12 + 8) + b"\x91\x00"])
    assert isinstance(error, ForgedAnswer)


def test_an_answer_that_is_shorter_than_its_mac_is_forged() -> None:
    for answer in (b"\x91\x00", bytes(7) + b"\x91\x00"):
        assert isinstance(error_of(commit(any_session()), [answer]), ForgedAnswer)


def test_a_refused_command_is_told_with_its_status() -> None:
    error = error_of(change_value(any_session(), DEBIT, 2, 1), [b"\x91\xbe"])
    assert isinstance(error, UnexpectedStatus)
    assert error.status == 0x91BE


def enciphered(plain: bytes) -> bytes:
    """Return the first answer of `any_session`, in CommMode full."""
    answer = AES.cbc_encrypt(bytes(16), response_vector(AES, bytes(16), bytes(4), 1), plain)
    return answer + short_mac(AES, bytes(16), b"\x00\x01\x00" + bytes(4) + answer) + b"\x91\x00"


def test_a_negative_purse_is_refused() -> None:
    assert isinstance(error_of(read_value(any_session(), 2), [enciphered(pad(b"\xff\xff\xff\xff"))]), CardError)
    assert answer_all(read_value(any_session(), 2), [enciphered(pad(b"\x01\x00\x00\x00"))]) == 1
    error = error_of(opening(), [answer for _, answer in read_exchanges(RIDE["open_negative"])])
    assert str(error) == "the purse is below zero"


def test_what_is_not_padded_as_it_must_be_is_refused() -> None:
    for plain in (bytes(16), b"\x01" * 16, b"\x80" + bytes(31)):
        assert isinstance(error_of(read_value(any_session(), 2), [enciphered(plain)]), CardError)


def test_a_key_version_has_one_byte() -> None:
    assert answer_all(read_key_version(2), [b"\x07\x91\x00"]) == 7
    for answer in (b"\x91\x00", b"\x01\x02\x91\x00", b"\x91\x40"):
        assert isinstance(error_of(read_key_version(2), [answer]), CardError)


def test_a_random_uid_is_refused() -> None:
    try:
        layout.key_material(b"\x08\x01\x02\x03")
    except CardError:
        return
    raise AssertionError


def test_a_debit_of_nothing_or_of_too_much_is_not_asked_for() -> None:
    for amount_minor in (0, -1, 1 << 31):
        error = error_of(change_value(any_session(), DEBIT, 2, amount_minor), [b""])
        assert isinstance(error, LocalProtocolError)
