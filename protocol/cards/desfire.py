"""The conversation with a transport card: DESFire EV2 secure messaging with AES (data sheet MF2DLHX0, NXP AN12343).

Conversations are generators: they yield a command APDU and are sent the response. Random numbers and AES are passed in. A ride
is split, so that the validator can journal between its steps:

    yield from select_transit_card()         NotOurCard: it is another medium
    card = yield from open_transit_card(…)   who it is, what the purse holds, the counter before
    yield from debit(card.session, fare)     nothing is taken yet
    … the intent is journalled, with the counter before …
    counter, mac = yield from commit(card.session)
    … the outcome is journalled …

A card that is torn away stops answering; the driver then closes the generator. What the card did is unknown only between the
yield of CommitTransaction and its response. Its counter, read again later, tells: one more is committed, the same is not.

The counter comes from ReadData of the transaction MAC file. GetFileCounters, on the chips that have it, tells how often a
file was read: another counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.apdu import SW_OK, UnexpectedStatus, command, select, split_response
from protocol.cards.desfire_crypto import command_vector, diversify, pad, response_vector, session_keys, short_mac
from protocol.cards.transaction_mac import DEBIT, GET_VALUE, READ_DATA
from protocol.compat import const, constant_time_equal
from protocol.errors import CardError, LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Generator

    from protocol.cmac import Aes

    Conversation = Generator[bytes, bytes, bytes]

_CLA = const(0x90)
_AUTHENTICATE_EV2_FIRST = const(0x71)
_ADDITIONAL_FRAME = const(0xAF)
_COMMIT = const(0xC7)
_RETURN_TRANSACTION_MAC = b"\x01"
_STATUS_OK = const(0x9100)
_STATUS_MORE = const(0x91AF)
_STATUS_AUTHENTICATION = const(0x91AE)
_BLOCK_BYTES = const(16)
_MAC_BYTES = const(8)
_VALUE_BITS = const(31)
_ZERO_IV = bytes(16)


class NotOurCard(UnexpectedStatus):
    """The medium has no application of ours: it may be a bank card."""


class AuthenticationFailed(CardError):  # noqa: N818 - a result that the validator tells apart
    """The card does not know the key that it should have: a foreign card, or a forged one."""


class ForgedAnswer(AuthenticationFailed):
    """An answer's MAC does not hold: somebody else than the card has spoken."""


def _native(ins: int, data: bytes = b"") -> bytes:
    return command(_CLA, ins, 0, 0, data, 0)


def _require(response: bytes, status: int, what: str) -> bytes:
    data, found = split_response(response)
    if found == _STATUS_AUTHENTICATION:
        raise AuthenticationFailed(what + ": the card does not accept our key")
    if found != status:
        raise UnexpectedStatus(what, found)
    return data


class Session:
    """Secure messaging after a successful authentication."""

    def __init__(self, aes: Aes, keys: tuple[bytes, bytes], transaction: bytes) -> None:
        self._aes = aes
        self._encryption_key, self._mac_key = keys
        self._transaction = transaction
        self._counter = 0

    def maced(self, ins: int, header: bytes, data: bytes, what: str) -> Conversation:
        """Send a command in CommMode MAC and return the data of the answer, its MAC checked."""
        head = bytes((ins,)) + self._counter.to_bytes(2, "little") + self._transaction
        mac = short_mac(self._aes, self._mac_key, head + header + data)
        answer = _require((yield _native(ins, header + data + mac)), _STATUS_OK, what)
        self._counter += 1
        body, mac = answer[:-_MAC_BYTES], answer[-_MAC_BYTES:]
        head = b"\x00" + self._counter.to_bytes(2, "little") + self._transaction
        if not constant_time_equal(mac, short_mac(self._aes, self._mac_key, head + body)):
            raise ForgedAnswer(what + ": the answer's MAC does not hold")
        return body

    def full(self, ins: int, header: bytes, data: bytes, size: int, what: str) -> Conversation:
        """Send a command in CommMode full and return `size` bytes of the answer, checked and decrypted."""
        if data:
            vector = command_vector(self._aes, self._encryption_key, self._transaction, self._counter)
            data = self._aes.cbc_encrypt(self._encryption_key, vector, pad(data))
        answer = yield from self.maced(ins, header, data, what)
        if len(answer) != (len(pad(bytes(size))) if size else 0):
            raise CardError(what + ": the answer has another size")
        if not size:
            return answer
        vector = response_vector(self._aes, self._encryption_key, self._transaction, self._counter)
        plain = self._aes.cbc_decrypt(self._encryption_key, vector, answer)
        if plain != pad(plain[:size]):
            raise CardError(what + ": the answer is not padded as it must be")
        return plain[:size]


def authenticate(aes: Aes, key_number: int, key: bytes, random_a: bytes) -> Generator[bytes, bytes, Session]:
    """AuthenticateEV2First with an AES key; `random_a` has 16 bytes and is used once.

    Raises:
        AuthenticationFailed: the card has another key.
    """
    assert len(random_a) == _BLOCK_BYTES
    what = "authenticate"
    answer = _require((yield _native(_AUTHENTICATE_EV2_FIRST, bytes((key_number, 0)))), _STATUS_MORE, what)
    if len(answer) != _BLOCK_BYTES:
        raise CardError("authenticate: the challenge has 16 bytes")
    random_b = aes.cbc_decrypt(key, _ZERO_IV, answer)
    proof = aes.cbc_encrypt(key, _ZERO_IV, random_a + random_b[1:] + random_b[:1])
    answer = _require((yield _native(_ADDITIONAL_FRAME, proof)), _STATUS_OK, what)
    if len(answer) != 2 * _BLOCK_BYTES:
        raise CardError("authenticate: the answer has 32 bytes")
    plain = aes.cbc_decrypt(key, _ZERO_IV, answer)
    if not constant_time_equal(plain[4:20], random_a[1:] + random_a[:1]):
        raise AuthenticationFailed("authenticate: the card does not know the key")
    return Session(aes, session_keys(aes, key, random_a, random_b), plain[:4])


class TransitCard:
    """A transport card that proved itself, in the middle of its conversation.

    Attributes:
        environment: who the card is; its number must not leave the conversation.
        balance_minor: purse, tiyn.
        counter: how many transactions the card has committed.
        session: for `debit` and `commit`.
    """

    __slots__ = ("balance_minor", "counter", "environment", "session")

    def __init__(self, environment: layout.Environment, balance_minor: int, counter: int, session: Session) -> None:
        self.environment = environment
        self.balance_minor = balance_minor
        self.counter = counter
        self.session = session


def select_transit_card() -> Generator[bytes, bytes, None]:
    """Select our application.

    Raises:
        NotOurCard: the medium has none (6A82 from another card; some phones refuse in other words).
    """
    _, status = split_response((yield select(layout.DF_NAME)))
    if status != SW_OK:
        raise NotOurCard("select", status)


def open_transit_card(
    aes: Aes, uid: bytes, debit_master: bytes, random_a: bytes
) -> Generator[bytes, bytes, TransitCard]:
    """Authenticate a selected card with its own debit key and read what a decision needs.

    Raises:
        AuthenticationFailed: a foreign or forged card.
        CardError: anything else that a card of ours does not say.
    """
    key = diversify(aes, debit_master, layout.key_material(uid))
    session = yield from authenticate(aes, layout.KEY_DEBIT, key, random_a)
    header = layout.read_header(layout.FILE_ENVIRONMENT, layout.ENVIRONMENT_BYTES)
    environment = yield from session.full(READ_DATA, header, b"", layout.ENVIRONMENT_BYTES, "read environment")
    value = yield from session.full(GET_VALUE, bytes((layout.FILE_PURSE,)), b"", 4, "read purse")
    counter, _ = yield from _read_transaction_mac(session)
    balance_minor = int.from_bytes(value, "little")
    if balance_minor >> _VALUE_BITS:
        raise CardError("the purse is below zero")
    return TransitCard(layout.decode_environment(environment), balance_minor, counter, session)


def _read_transaction_mac(session: Session) -> Generator[bytes, bytes, tuple[int, bytes]]:
    header = layout.read_header(layout.FILE_TRANSACTION_MAC, layout.TRANSACTION_MAC_FILE_BYTES)
    return _counter_and_mac((yield from session.maced(READ_DATA, header, b"", "read transaction counter")))


def debit(session: Session, amount_minor: int) -> Conversation:
    """Take money from the purse, 1 tiyn at least; nothing is lost until `commit`."""
    if amount_minor <= 0 or amount_minor >> _VALUE_BITS:
        raise LocalProtocolError("a debit is more than nothing and fits the purse")
    header = bytes((layout.FILE_PURSE,))
    return (yield from session.full(DEBIT, header, amount_minor.to_bytes(4, "little"), 0, "debit"))


def commit(session: Session) -> Generator[bytes, bytes, tuple[int, bytes]]:
    """Commit; return the card's transaction counter after it, and its transaction MAC, 8 bytes."""
    return _counter_and_mac((yield from session.maced(_COMMIT, _RETURN_TRANSACTION_MAC, b"", "commit")))


def _counter_and_mac(data: bytes) -> tuple[int, bytes]:
    if len(data) != layout.TRANSACTION_MAC_FILE_BYTES:
        raise CardError("transaction counter and MAC have 12 bytes")
    return int.from_bytes(data[:4], "little"), data[4:]
