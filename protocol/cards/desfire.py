"""The conversation with a transport card: DESFire EV2 secure messaging with AES (data sheet MF2DLHX0, NXP AN12343).

Conversations are generators: they yield a command APDU and are sent the response. AES and whoever knows the card's key are
passed in. A ride is split, so that the validator can journal between its steps:

    yield from select_transit_card()         NotOurCard: it is another medium
    card = yield from open_transit_card(…)   who it is, its purse, its newest event, the counter before
    yield from take(card.session, …)         from the purse or a pass; nothing is taken yet
    … the intent is journalled, with the counter before …
    yield from write_event(card.session, …)
    counter, mac = yield from commit(card.session)
    … the outcome is journalled …

A card that is torn away stops answering; the driver then closes the generator. What the card did is unknown only between the
yield of CommitTransaction and its response. Its counter, read again later, tells: one more is committed, the same is not.

What was read before `take` is dropped from the transaction MAC's input by AbortTransaction: only what a ride changes is signed.
What changes a card stands in `desfire_debit`: who only reads cards does not load it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.apdu import SW_OK, UnexpectedStatus, command, select, split_response
from protocol.cards.desfire_crypto import command_vector, pad, response_vector, session_keys, shortened
from protocol.cards.transaction_mac import GET_VALUE, READ_DATA, READ_RECORDS
from protocol.cmac import Cmac
from protocol.compat import const, constant_time_equal
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Protocol

    from protocol.cmac import Aes

    Conversation = Generator[bytes, bytes, bytes]

    class KeyHolder(Protocol):
        """Who knows a card's key, for one authentication: memory, or a secure element."""

        def prove(self, challenge: bytes) -> bytes:
            """Return what answers a card's challenge (16 bytes): 32 bytes."""

        def open(self, answer: bytes) -> tuple[bytes, bytes, bytes]:
            """Return encryption key, MAC key and transaction id of the session; AuthenticationFailed for a wrong answer."""


_CLA = const(0x90)
_AUTHENTICATE_EV2_FIRST = const(0x71)
_ADDITIONAL_FRAME = const(0xAF)
_GET_KEY_VERSION = const(0x64)
_STATUS_OK = const(0x9100)
_STATUS_MORE = const(0x91AF)
_STATUS_AUTHENTICATION = const(0x91AE)
_BLOCK_BYTES = const(16)
_MAC_BYTES = const(8)
_ZERO_IV = bytes(16)


class NotOurCard(UnexpectedStatus):
    """The medium has no application of ours: it may be a bank card."""


class AuthenticationFailed(CardError):  # noqa: N818 - a result that the validator tells apart
    """The card does not know the key that it should have: a foreign card, or a forged one."""


class ForgedAnswer(AuthenticationFailed):
    """An answer's MAC does not hold: somebody else than the card has spoken, or said again what it had said before."""


def native(ins: int, data: bytes = b"") -> bytes:
    """Return a command of the card's own, wrapped for ISO/IEC 7816-4."""
    return command(_CLA, ins, 0, 0, data, 0)


def require(response: bytes, status: int, what: str) -> bytes:
    """Return the data of a response with that status; `what` names the command in the error."""
    data, found = split_response(response)
    if found == _STATUS_AUTHENTICATION:
        raise AuthenticationFailed(what + ": the card does not accept our key")
    if found != status:
        raise UnexpectedStatus(what, found)
    return data


class KeyInMemory:
    """A card's key, for one authentication; a secure element stands here with the same two methods."""

    def __init__(self, aes: Aes, key: bytes, random_a: bytes) -> None:
        """Take the key and 16 random bytes, which are used once."""
        assert len(random_a) == _BLOCK_BYTES
        self._aes = aes
        self._key = key
        self._random_a = random_a
        self._random_b = b""

    def prove(self, challenge: bytes) -> bytes:
        self._random_b = self._aes.cbc_decrypt(self._key, _ZERO_IV, challenge)
        turned = self._random_b[1:] + self._random_b[:1]
        return self._aes.cbc_encrypt(self._key, _ZERO_IV, self._random_a + turned)

    def open(self, answer: bytes) -> tuple[bytes, bytes, bytes]:
        plain = self._aes.cbc_decrypt(self._key, _ZERO_IV, answer)
        transaction = plain[:4] if len(plain) > _BLOCK_BYTES else b""
        turned = plain[len(transaction) : len(transaction) + _BLOCK_BYTES]
        if not constant_time_equal(turned, self._random_a[1:] + self._random_a[:1]):
            raise AuthenticationFailed("authenticate: the card does not know the key")
        encryption_key, mac_key = session_keys(self._aes, self._key, self._random_a, self._random_b)
        return encryption_key, mac_key, transaction


class Session:
    """Secure messaging after a successful authentication.

    Attributes:
        counter: how many commands it has carried.
    """

    def __init__(self, aes: Aes, encryption_key: bytes, mac_key: bytes, transaction: bytes) -> None:
        self.counter = 0
        self._aes = aes
        self._transaction = transaction
        self.use_keys(encryption_key, mac_key)

    def use_keys(self, encryption_key: bytes, mac_key: bytes) -> None:
        """Go on with other keys: those of a further authentication."""
        self._encryption_key = encryption_key
        self._cmac = Cmac(self._aes, mac_key)

    def _mac(self, code: int, message: bytes) -> bytes:
        head = bytes((code, self.counter & 0xFF, self.counter >> 8))
        return shortened(self._cmac.digest(b"".join((head, self._transaction, message))))

    def maced(self, ins: int, data: bytes, what: str) -> Conversation:
        """Send a command in CommMode MAC and return the data of the answer, its MAC checked."""
        answer = require((yield native(ins, data + self._mac(ins, data))), _STATUS_OK, what)
        self.counter += 1
        body, mac = answer[:-_MAC_BYTES], answer[-_MAC_BYTES:]
        if not constant_time_equal(mac, self._mac(0, body)):
            raise ForgedAnswer(what + ": the answer's MAC does not hold")
        return body

    def full(self, ins: int, header: bytes, data: bytes, what: str) -> Conversation:
        """Send a command in CommMode full and return the answer, checked and decrypted."""
        if data:
            vector = command_vector(self._aes, self._encryption_key, self._transaction, self.counter)
            data = self._aes.cbc_encrypt(self._encryption_key, vector, pad(data))
        answer = yield from self.maced(ins, header + data, what)
        if not answer:
            return answer
        if len(answer) % _BLOCK_BYTES:
            raise CardError(what + ": the answer is not in whole blocks")
        vector = response_vector(self._aes, self._encryption_key, self._transaction, self.counter)
        plain = self._aes.cbc_decrypt(self._encryption_key, vector, answer)
        content = plain.rstrip(b"\x00")[:-1]
        if plain != pad(content):
            raise CardError(what + ": the answer is not padded as it must be")
        return content


def authenticate(aes: Aes, key_number: int, holder: KeyHolder) -> Generator[bytes, bytes, Session]:
    """AuthenticateEV2First with an AES key.

    Raises:
        AuthenticationFailed: the card has another key.
    """
    session = yield from prove(native(_AUTHENTICATE_EV2_FIRST, bytes((key_number, 0))), holder, 2 * _BLOCK_BYTES)
    return Session(aes, session[0], session[1], session[2])


def prove(request: bytes, holder: KeyHolder, answer_bytes: int) -> Generator[bytes, bytes, tuple[bytes, bytes, bytes]]:
    """Answer the challenge that a request brings, and return the session's keys and transaction id."""
    what = "authenticate"
    challenge = require((yield request), _STATUS_MORE, what)
    if len(challenge) != _BLOCK_BYTES:
        raise CardError("authenticate: the challenge has 16 bytes")
    answer = require((yield native(_ADDITIONAL_FRAME, holder.prove(challenge))), _STATUS_OK, what)
    if len(answer) != answer_bytes:
        raise CardError("authenticate: the answer has another size")
    return holder.open(answer)


class TransitCard:
    """A transport card that proved itself, in the middle of its conversation.

    Attributes:
        environment: who the card is; its number must not leave the conversation.
        balance_minor: purse, tiyn.
        counter: how many transactions the card has committed.
        events: newest first; none on a card of layout 1.
        session: for what follows.
    """

    __slots__ = ("balance_minor", "counter", "environment", "events", "session")

    def __init__(
        self,
        environment: layout.Environment,
        balance_minor: int,
        counter: int,
        events: list[layout.CardEvent],
        session: Session,
    ) -> None:
        self.environment = environment
        self.balance_minor = balance_minor
        self.counter = counter
        self.events = events
        self.session = session


def select_transit_card() -> Generator[bytes, bytes, None]:
    """Select our application.

    Raises:
        NotOurCard: the medium has none (6A82 from another card; some phones refuse in other words).
    """
    _, status = split_response((yield select(layout.DF_NAME)))
    if status != SW_OK:
        raise NotOurCard("select", status)


def read_key_version(key_number: int) -> Generator[bytes, bytes, int]:
    """Return the version of a key of the selected application; needed while cards of two generations are about."""
    data = require((yield native(_GET_KEY_VERSION, bytes((key_number,)))), _STATUS_OK, "key version")
    if len(data) != 1:
        raise CardError("a key version has one byte")
    return data[0]


def open_transit_card(
    aes: Aes, holder: KeyHolder, reads_all_events: bool = False
) -> Generator[bytes, bytes, TransitCard]:
    """Authenticate a selected card with its own debit key and read what a decision needs: the newest event, or all of them.

    Raises:
        AuthenticationFailed: a foreign or forged card.
        LayoutUnknown: a card that is newer than this program.
        CardError: anything else that a card of ours does not say.
    """
    session = yield from authenticate(aes, layout.KEY_DEBIT, holder)
    environment = layout.decode_environment((yield from read_file(session, layout.FILE_ENVIRONMENT, "environment")))
    if environment.layout == layout.LAYOUT_VERSION_1:
        balance_minor = yield from read_value(session, layout.FILE_PURSE)
        counter, _ = yield from read_transaction_mac(session)
        return TransitCard(environment, balance_minor, counter, [], session)
    events = yield from read_events(session, 0 if reads_all_events else 1)
    for slot, each in enumerate(environment.passes):
        if each.is_counted:
            each.trips_left = yield from read_value(session, layout.FILE_TRIPS + slot)
    return TransitCard(environment, events[0].balance_minor, events[0].counter, events, session)


def read_events(session: Session, count: int) -> Generator[bytes, bytes, list[layout.CardEvent]]:
    """Return so many of the card's events (0: all), newest first."""
    header = layout.read_header(layout.FILE_EVENTS, count)
    data = yield from session.full(READ_RECORDS, header, b"", "events")
    if not data or len(data) % layout.EVENT_BYTES or (count and len(data) != count * layout.EVENT_BYTES):
        raise CardError("events have 32 bytes each, and one is there")
    size = layout.EVENT_BYTES
    return [layout.decode_event(data[at : at + size]) for at in range(len(data) - size, -1, -size)]


def read_transaction_mac(session: Session) -> Generator[bytes, bytes, tuple[int, bytes]]:
    """Return the card's transaction counter and its last transaction MAC."""
    header = layout.read_header(layout.FILE_TRANSACTION_MAC, layout.TRANSACTION_MAC_FILE_BYTES)
    return counter_and_mac((yield from session.maced(READ_DATA, header, "transaction counter")))


def read_file(session: Session, file: int, what: str) -> Conversation:
    """Return the whole content of a data file."""
    return (yield from session.full(READ_DATA, layout.read_header(file, 0), b"", what))


def read_value(session: Session, file: int) -> Generator[bytes, bytes, int]:
    """Return what a value file holds, as committed."""
    data = yield from session.full(GET_VALUE, bytes((file,)), b"", "read value")
    if len(data) != 4 or data[3] & 0x80:
        raise CardError("the purse is below zero, or no value")
    return int.from_bytes(data, "little")


def counter_and_mac(data: bytes) -> tuple[int, bytes]:
    """Return transaction counter and transaction MAC of what the card says of them."""
    if len(data) != layout.TRANSACTION_MAC_FILE_BYTES:
        raise CardError("transaction counter and MAC have 12 bytes")
    return int.from_bytes(data[:4], "little"), data[4:]
