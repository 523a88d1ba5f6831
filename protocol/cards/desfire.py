"""The conversation with a transport card: DESFire EV2 secure messaging with AES (data sheet MF2DLHX0, NXP AN12343).

Conversations are generators: they yield a command APDU and are sent the response. Random numbers and AES are passed in. The
debit is split, so that the validator can journal its intent before the card commits and its outcome after.

A card that is torn away simply stops answering; the driver then closes the generator, and what the card did is unknown only
between the yield of CommitTransaction and its response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.apdu import command, require_ok, select, split_response
from protocol.cards.desfire_crypto import command_vector, diversify, pad, response_vector, session_keys, short_mac
from protocol.compat import const, constant_time_equal
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Generator

    from protocol.cmac import Aes

    Conversation = Generator[bytes, bytes, bytes]

_CLA = const(0x90)
_AUTHENTICATE_EV2_FIRST = const(0x71)
_ADDITIONAL_FRAME = const(0xAF)
_READ_DATA = const(0xAD)
_GET_VALUE = const(0x6C)
_DEBIT = const(0xDC)
_COMMIT = const(0xC7)
_STATUS_OK = const(0x9100)
_STATUS_MORE = const(0x91AF)
_STATUS_AUTHENTICATION = const(0x91AE)
_MAC_BYTES = const(8)
_ZERO_IV = bytes(16)
_TRANSACTION_MAC_FILE_BYTES = const(12)


class AuthenticationFailed(CardError):  # noqa: N818 - a result that the validator tells apart
    """The card does not know the key that it should have: a foreign card, or a forged one."""


class NativeStatus(CardError):  # noqa: N818 - the card's word
    """The card refused a command.

    Attributes:
        status: 16 bits, 91xx.
    """

    def __init__(self, what: str, status: int) -> None:
        super().__init__(what + ": status " + hex(status))
        self.status = status


def _native(ins: int, data: bytes = b"") -> bytes:
    return command(_CLA, ins, 0, 0, data, 0)


def _require(response: bytes, status: int, what: str) -> bytes:
    data, found = split_response(response)
    if found == _STATUS_AUTHENTICATION:
        raise AuthenticationFailed(what + ": the card does not accept our key")
    if found != status:
        raise NativeStatus(what, found)
    return data


class Session:
    """Secure messaging after a successful authentication."""

    def __init__(self, aes: Aes, keys: tuple[bytes, bytes], transaction: bytes) -> None:
        self._aes = aes
        self._encryption_key, self._mac_key = keys
        self._transaction = transaction
        self._counter = 0

    def plain(self, ins: int, header: bytes, what: str) -> Conversation:
        """Send a command in CommMode plain: it still counts."""
        data = _require((yield _native(ins, header)), _STATUS_OK, what)
        self._counter += 1
        return data

    def maced(self, ins: int, header: bytes, what: str) -> Conversation:
        """Send a command in CommMode MAC and return the data of the answer, its MAC checked."""
        return (yield from self._exchange(ins, header, b"", what))

    def full(self, ins: int, header: bytes, data: bytes, size: int, what: str) -> Conversation:
        """Send a command in CommMode full and return `size` bytes of the answer, checked and decrypted."""
        if data:
            vector = command_vector(self._aes, self._encryption_key, self._transaction, self._counter)
            data = self._aes.cbc_encrypt(self._encryption_key, vector, pad(data))
        answer = yield from self._exchange(ins, header, data, what)
        if not size:
            return answer
        if not answer or len(answer) % 16:
            raise CardError(what + ": the answer is not whole blocks")
        vector = response_vector(self._aes, self._encryption_key, self._transaction, self._counter)
        plain = self._aes.cbc_decrypt(self._encryption_key, vector, answer)
        if plain != pad(plain[:size]):
            raise CardError(what + ": the answer has another size")
        return plain[:size]

    def _exchange(self, ins: int, header: bytes, data: bytes, what: str) -> Conversation:
        head = bytes((ins,)) + self._counter.to_bytes(2, "little") + self._transaction
        mac = short_mac(self._aes, self._mac_key, head + header + data)
        answer = _require((yield _native(ins, header + data + mac)), _STATUS_OK, what)
        self._counter += 1
        body, mac = answer[:-_MAC_BYTES], answer[-_MAC_BYTES:]
        head = b"\x00" + self._counter.to_bytes(2, "little") + self._transaction
        if not constant_time_equal(mac, short_mac(self._aes, self._mac_key, head + body)):
            raise CardError(what + ": the answer's MAC does not hold")
        return body


def authenticate(aes: Aes, key_number: int, key: bytes, random_a: bytes) -> Generator[bytes, bytes, Session]:
    """AuthenticateEV2First with an AES key.

    Raises:
        AuthenticationFailed: the card has another key.
    """
    what = "authenticate"
    answer = _require((yield _native(_AUTHENTICATE_EV2_FIRST, bytes((key_number, 0)))), _STATUS_MORE, what)
    if len(answer) != 16:
        raise CardError("authenticate: the challenge has 16 bytes")
    random_b = aes.cbc_decrypt(key, _ZERO_IV, answer)
    proof = aes.cbc_encrypt(key, _ZERO_IV, random_a + random_b[1:] + random_b[:1])
    answer = _require((yield _native(_ADDITIONAL_FRAME, proof)), _STATUS_OK, what)
    if len(answer) != 32:
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

    def __init__(self, environment: layout.Environment, balance_minor: int, counter: int, session: Session) -> None:
        self.environment = environment
        self.balance_minor = balance_minor
        self.counter = counter
        self.session = session


def select_transit_card() -> Conversation:
    """Select our application; an `UnexpectedStatus` 6A82 means that this is no card of ours."""
    return require_ok((yield select(layout.DF_NAME)), "select")


def open_transit_card(
    aes: Aes, uid: bytes, debit_master: bytes, random_a: bytes
) -> Generator[bytes, bytes, TransitCard]:
    """Authenticate a selected card with its own debit key and read what a decision needs."""
    key = diversify(aes, debit_master, layout.key_material(uid))
    session = yield from authenticate(aes, layout.KEY_DEBIT, key, random_a)
    header = _read_header(layout.FILE_ENVIRONMENT, layout.ENVIRONMENT_BYTES)
    environment = yield from session.full(_READ_DATA, header, b"", layout.ENVIRONMENT_BYTES, "read environment")
    value = yield from session.full(_GET_VALUE, bytes((layout.FILE_PURSE,)), b"", 4, "read purse")
    header = _read_header(layout.FILE_TRANSACTION_MAC, _TRANSACTION_MAC_FILE_BYTES)
    counter = yield from session.plain(_READ_DATA, header, "read transaction counter")
    if len(counter) != _TRANSACTION_MAC_FILE_BYTES:
        raise CardError("read transaction counter: 12 bytes are expected")
    balance = int.from_bytes(value, "little")
    if balance >> 31:
        raise CardError("the purse is below zero")
    return TransitCard(layout.decode_environment(environment), balance, int.from_bytes(counter[:4], "little"), session)


def _read_header(file: int, size: int) -> bytes:
    return bytes((file, 0, 0, 0)) + size.to_bytes(3, "little")


def debit(session: Session, amount_minor: int) -> Conversation:
    """Take money from the purse; nothing is lost until `commit`."""
    header = bytes((layout.FILE_PURSE,))
    return (yield from session.full(_DEBIT, header, amount_minor.to_bytes(4, "little"), 0, "debit"))


def commit(session: Session) -> Generator[bytes, bytes, tuple[int, bytes]]:
    """Commit; return the card's transaction counter after it, and its transaction MAC, 8 bytes."""
    answer = yield from session.maced(_COMMIT, b"\x01", "commit")
    if len(answer) != _TRANSACTION_MAC_FILE_BYTES:
        raise CardError("commit: counter and transaction MAC are expected")
    return int.from_bytes(answer[:4], "little"), answer[4:]
