"""Transport card: the published worked examples, a whole ride word for word, and cards that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.apdu import UnexpectedStatus
from protocol.cards.desfire import (
    AuthenticationFailed,
    ForgedAnswer,
    NotOurCard,
    Session,
    authenticate,
    commit,
    debit,
    open_transit_card,
    select_transit_card,
)
from protocol.cards.desfire_crypto import (
    diversify,
    pad,
    response_vector,
    session_keys,
    short_mac,
    transaction_mac_keys,
)
from protocol.cards.transaction_mac import ride_input, transaction_mac
from protocol.cmac import aes_cmac
from protocol.errors import CardError, LocalProtocolError
from tests.protocol.transcript import AES, answer_all, error_of, read_exchanges, replay
from tests.vectors.load import load

if TYPE_CHECKING:
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
    session = replay(authenticate(AES, 0, hexed(case, "key"), hexed(case, "random_a")), exchanges)
    assert session._transaction == hexed(case, "transaction")
    assert session._encryption_key == hexed(case, "session_enc")
    assert session._mac_key == hexed(case, "session_mac")


def test_session_keys_are_those_of_the_application_note() -> None:
    case = "authenticate_ev2_first"
    assert AES.cbc_decrypt(hexed(case, "key"), bytes(16), hexed(case, "challenge")) == hexed(case, "random_b")
    keys = session_keys(AES, hexed(case, "key"), hexed(case, "random_a"), hexed(case, "random_b"))
    assert keys == (hexed(case, "session_enc"), hexed(case, "session_mac"))


def test_a_maced_write_goes_as_in_the_application_note() -> None:
    case = "write_data_maced"
    session = Session(AES, (bytes(16), hexed(case, "session_mac")), hexed(case, "transaction"))
    body = hexed(case, "header") + hexed(case, "data") + hexed(case, "mac")
    exchange = (b"\x90\x8d\x00\x00" + bytes((len(body),)) + body + b"\x00", hexed(case, "answer_mac") + b"\x91\x00")
    assert replay(session.maced(0x8D, hexed(case, "header"), hexed(case, "data"), "write"), [exchange]) == b""


def test_the_card_uid_is_decrypted_as_in_the_application_note() -> None:
    case = "card_uid_full"
    keys = hexed(case, "session_enc"), hexed(case, "session_mac")
    assert aes_cmac(AES, keys[1], b"\x51\x00\x00" + hexed(case, "transaction")) == hexed(case, "cmac")
    assert response_vector(AES, keys[0], hexed(case, "transaction"), 1) == hexed(case, "response_vector")
    mac = bytes([hexed(case, "cmac")[index] for index in range(1, 16, 2)])
    answer = hexed(case, "answer") + hexed(case, "answer_mac") + b"\x91\x00"
    exchange = (b"\x90\x51\x00\x00\x08" + mac + b"\x00", answer)
    session = Session(AES, keys, hexed(case, "transaction"))
    assert replay(session.full(0x51, b"", b"", 7, "uid"), [exchange]) == hexed(case, "uid")


def test_keys_are_diversified_as_in_the_application_note() -> None:
    case = "diversify"
    assert diversify(AES, hexed(case, "key"), hexed(case, "material")) == hexed(case, "diversified")


def test_transaction_mac_keys_are_those_of_the_published_example() -> None:
    case = "transaction_mac_keys"
    keys = transaction_mac_keys(AES, hexed(case, "key"), NXP[case]["counter_before"] + 1, hexed(case, "uid"))
    assert keys == (hexed(case, "mac_key"), hexed(case, "enc_key"))


# A whole ride of our own.


def open_card(exchanges: list[tuple[bytes, bytes]]) -> TransitCard:
    return replay(open_transit_card(AES, ride("uid"), ride("debit_master"), ride("random_a")), exchanges)


def test_a_ride_is_spoken_word_for_word() -> None:
    replay(select_transit_card(), read_exchanges(RIDE["select"]))
    card = open_card(read_exchanges(RIDE["open"]))
    assert card.environment.card_number == ride("card_number")
    assert (card.environment.city, card.environment.category) == (RIDE["city"], RIDE["category"])
    assert card.environment.expires_s == RIDE["expires_s"]
    assert (card.balance_minor, card.counter) == (RIDE["balance_minor"], RIDE["counter"])
    replay(debit(card.session, RIDE["fare_minor"]), read_exchanges(RIDE["debit"]))
    counter, mac = replay(commit(card.session), read_exchanges(RIDE["commit"]))
    assert counter == RIDE["counter"] + 1
    assert mac == ride("transaction_mac")


def test_the_back_office_computes_the_transaction_mac_from_what_the_ride_was() -> None:
    environment = layout.Environment(ride("card_number"), RIDE["city"], RIDE["category"], RIDE["expires_s"])
    signed = ride_input(environment.encode(), RIDE["balance_minor"], RIDE["fare_minor"])
    key = diversify(AES, ride("mac_master"), layout.key_material(ride("uid")))
    assert transaction_mac(AES, key, ride("uid"), RIDE["counter"] + 1, signed) == ride("transaction_mac")
    dearer = ride_input(environment.encode(), RIDE["balance_minor"], RIDE["fare_minor"] + 1)
    assert transaction_mac(AES, key, ride("uid"), RIDE["counter"] + 1, dearer) != ride("transaction_mac")


def test_neither_card_number_nor_uid_nor_key_is_in_what_is_printed() -> None:
    card = open_card(read_exchanges(RIDE["open"]))
    for printed in (repr(card), repr(card.environment), repr(card.session), str(card)):
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
        error = error_of(authenticate(AES, 2, bytes(16), bytes(range(16))), answers)
        assert isinstance(error, AuthenticationFailed)


def test_a_changed_byte_in_any_answer_ends_the_conversation() -> None:
    exchanges = read_exchanges(RIDE["open"])
    for turn in range(len(exchanges)):
        for index in (0, len(exchanges[turn][1]) // 2, len(exchanges[turn][1]) - 1):
            answers = [answer for _, answer in exchanges]
            changed = bytearray(answers[turn])
            changed[index] ^= 1
            answers[turn] = bytes(changed)
            conversation = open_transit_card(AES, ride("uid"), ride("debit_master"), ride("random_a"))
            assert isinstance(error_of(conversation, answers), CardError), (turn, index)


def test_an_answer_under_another_mac_is_forged() -> None:
    session = Session(AES, (bytes(16), bytes(16)), bytes(4))
    error = error_of(commit(session), [bytes(12 + 8) + b"\x91\x00"])
    assert isinstance(error, ForgedAnswer)


def test_a_refused_command_is_told_with_its_status() -> None:
    session = Session(AES, (bytes(16), bytes(16)), bytes(4))
    error = error_of(debit(session, 1), [b"\x91\xbe"])
    assert isinstance(error, UnexpectedStatus)
    assert error.status == 0x91BE


def test_a_negative_purse_is_refused() -> None:
    session = Session(AES, (bytes(16), bytes(16)), bytes(4))
    head = b"\x00\x01\x00" + bytes(4)
    plain = b"\xff\xff\xff\xff"
    answer = AES.cbc_encrypt(bytes(16), response_vector(AES, bytes(16), bytes(4), 1), pad(plain))
    reading = session.full(0x6C, b"\x02", b"", 4, "read purse")
    value = answer_all(reading, [answer + short_mac(AES, bytes(16), head + answer) + b"\x91\x00"])
    assert value == plain
    exchanges = read_exchanges(RIDE["open_negative"])
    conversation = open_transit_card(AES, ride("uid"), ride("debit_master"), ride("random_a"))
    error = error_of(conversation, [answer for _, answer in exchanges])
    assert str(error) == "the purse is below zero"


def test_a_random_uid_is_refused() -> None:
    try:
        answer_all(open_transit_card(AES, b"\x08\x01\x02\x03", bytes(16), bytes(16)), [b""])
    except CardError:
        return
    raise AssertionError


def test_a_debit_of_nothing_or_of_too_much_is_not_asked_for() -> None:
    for amount_minor in (0, -1, 1 << 31):
        session = Session(AES, (bytes(16), bytes(16)), bytes(4))
        assert isinstance(error_of(debit(session, amount_minor), [b""]), LocalProtocolError)


def test_an_environment_is_read_as_it_was_written() -> None:
    environment = layout.Environment(bytes(range(8)), 1, 3, 1_900_000_000)
    again = layout.decode_environment(environment.encode())
    assert again.encode() == environment.encode()
    assert again.category == 3


def test_an_environment_of_another_size_or_layout_is_refused() -> None:
    good = layout.Environment(bytes(8), 1, 1, 0).encode()
    for data in (b"", good[:31], good + b"\x00", good[:16] + b"\x02" + good[17:]):
        try:
            layout.decode_environment(data)
        except CardError:
            continue
        raise AssertionError
