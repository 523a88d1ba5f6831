"""A virtual transport card: DESFire EV2 with AES, as far as Jolaqy's layout uses it (data sheet MF2DLHX0).

What a transaction changes is committed by CommitTransaction and by nothing else: a card that leaves the field before has done
nothing, a card that leaves it after has done everything, whether or not anybody heard its answer. As on the real card, any error
ends the session and drops what is not committed, GetValue tells the committed value, and the transaction MAC is computed with the
card's own key over all that the transaction read and wrote.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from firmware.boards.crypto_cpython import Aes
from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import (
    command_vector,
    diversify,
    pad,
    response_vector,
    session_keys,
    short_mac,
)
from protocol.cards.transaction_mac import DEBIT, GET_VALUE, READ_DATA, signed_command, transaction_mac
from simulator.virtual_card import TornAway, VirtualCard, command_data

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DesfireCard", "TornAway"]

_AES = Aes()
_OK = b"\x91\x00"
_MORE = b"\x91\xaf"
_NO_CHANGES = b"\x91\x0c"
_ILLEGAL_COMMAND = b"\x91\x1c"
_INTEGRITY_ERROR = b"\x91\x1e"
_NO_SUCH_KEY = b"\x91\x40"
_LENGTH_ERROR = b"\x91\x7e"
_PERMISSION_DENIED = b"\x91\x9d"
_AUTHENTICATION_ERROR = b"\x91\xae"
_BOUNDARY_ERROR = b"\x91\xbe"
_FILE_NOT_FOUND = b"\x91\xf0"
_MAC_BYTES = 8
_VALUE_BYTES = 4
_ZERO_IV = bytes(16)


class _Refused(Exception):  # noqa: N818 - it carries an answer
    """The card refuses a command.

    Attributes:
        status: its answer.
    """

    def __init__(self, status: bytes) -> None:
        super().__init__()
        self.status = status


class _Session:
    """Secure messaging, and the transaction in it: from the card's side.

    Attributes:
        key_number: what the reader authenticated with.
        signed: input of the transaction MAC so far.
        debited_minor: what a commit will take.
    """

    def __init__(self, key_number: int, keys: tuple[bytes, bytes], transaction: bytes) -> None:
        self.key_number = key_number
        self.signed = b""
        self.debited_minor = 0
        self._encryption_key, self._mac_key = keys
        self._transaction = transaction
        self._counter = 0

    def check(self, ins: int, data: bytes) -> bytes:
        """Return a command's data without its MAC, which must hold."""
        body, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        head = bytes((ins,)) + self._counter.to_bytes(2, "little") + self._transaction
        if mac != short_mac(_AES, self._mac_key, head + body):
            raise _Refused(_INTEGRITY_ERROR)
        return body

    def decrypt(self, data: bytes, size: int) -> bytes:
        vector = command_vector(_AES, self._encryption_key, self._transaction, self._counter)
        plain = _AES.cbc_decrypt(self._encryption_key, vector, data)
        if plain != pad(plain[:size]):
            raise _Refused(_INTEGRITY_ERROR)
        return plain[:size]

    def answer(self, data: bytes, *, encrypted: bool) -> bytes:
        """Return an answer under secure messaging; the command has been carried out."""
        self._counter += 1
        if data and encrypted:
            vector = response_vector(_AES, self._encryption_key, self._transaction, self._counter)
            data = _AES.cbc_encrypt(self._encryption_key, vector, pad(data))
        head = b"\x00" + self._counter.to_bytes(2, "little") + self._transaction
        return data + short_mac(_AES, self._mac_key, head + data) + _OK


class DesfireCard(VirtualCard):
    """One transport card.

    Attributes:
        environment: who it is.
        balance_minor: purse as committed.
        counter: transactions committed.
        last_mac: transaction MAC of the last of them.
        committed_debits_minor: amount of each debit that was committed, in order: what the card itself can witness.
    """

    ats = b"\x06\x75\x77\x81\x02\x80"

    def __init__(
        self, uid: bytes, environment: layout.Environment, balance_minor: int, keys: Mapping[int, bytes], mac_key: bytes
    ) -> None:
        super().__init__(uid)
        self.environment = environment
        self.balance_minor = balance_minor
        self.counter = 0
        self.last_mac = bytes(_MAC_BYTES)
        self.committed_debits_minor: list[int] = []
        self._keys = dict(keys)
        self._mac_key = mac_key
        self._chance = random.Random(uid)
        self._handlers = {
            READ_DATA: self._read_data,
            GET_VALUE: self._get_value,
            DEBIT: self._debit,
            0xC7: self._commit,
        }
        self._forget()

    @classmethod
    def personalise(
        cls, uid: bytes, environment: layout.Environment, balance_minor: int, masters: Mapping[str, bytes]
    ) -> DesfireCard:
        """Return a card with keys of its own, made from `transit_read_master`, `transit_debit_master`, `transit_mac_master`."""
        material = layout.key_material(uid)
        keys = {
            layout.KEY_READ: diversify(_AES, masters["transit_read_master"], material),
            layout.KEY_DEBIT: diversify(_AES, masters["transit_debit_master"], material),
        }
        return cls(uid, environment, balance_minor, keys, diversify(_AES, masters["transit_mac_master"], material))

    @property
    def card_number(self) -> bytes:
        return self.environment.card_number

    def _forget(self) -> None:
        self._selected = False
        self._session: _Session | None = None
        self._challenge: tuple[int, bytes] | None = None

    def _respond(self, apdu: bytes) -> bytes:
        data = command_data(apdu) if len(apdu) >= 4 else None
        if data is None:
            return b"\x67\x00"
        if apdu[:4] == b"\x00\xa4\x04\x00":
            self._forget()
            self._selected = data == layout.DF_NAME
            return b"\x90\x00" if self._selected else b"\x6a\x82"
        if apdu[0] != 0x90:
            return b"\x6e\x00"
        try:
            return self._carry_out(apdu[1], data)
        except _Refused as refused:
            self._session = None
            return refused.status

    def _carry_out(self, ins: int, data: bytes) -> bytes:
        challenge, self._challenge = self._challenge, None
        if not self._selected:
            raise _Refused(_ILLEGAL_COMMAND)
        if ins == 0x71:
            return self._authenticate(data)
        if ins == 0xAF:
            return self._answer_challenge(challenge, data)
        handler = self._handlers.get(ins)
        if handler is None:
            raise _Refused(_ILLEGAL_COMMAND)
        if self._session is None:
            raise _Refused(_AUTHENTICATION_ERROR)
        return handler(self._session, data)

    def _authenticate(self, data: bytes) -> bytes:
        """AuthenticateEV2First, part 1: key number, and no capabilities of the reader."""
        self._session = None
        if len(data) < 2 or len(data) != 2 + data[1]:
            raise _Refused(_LENGTH_ERROR)
        if data[0] not in self._keys:
            raise _Refused(_NO_SUCH_KEY)
        random_b = self._chance.randbytes(16)
        self._challenge = (data[0], random_b)
        return _AES.cbc_encrypt(self._keys[data[0]], _ZERO_IV, random_b) + _MORE

    def _answer_challenge(self, challenge: tuple[int, bytes] | None, data: bytes) -> bytes:
        if challenge is None:
            raise _Refused(_ILLEGAL_COMMAND)
        if len(data) != 32:
            raise _Refused(_LENGTH_ERROR)
        key_number, random_b = challenge
        key = self._keys[key_number]
        plain = _AES.cbc_decrypt(key, _ZERO_IV, data)
        random_a = plain[:16]
        if plain[16:] != random_b[1:] + random_b[:1]:
            raise _Refused(_AUTHENTICATION_ERROR)
        transaction = self._chance.randbytes(4)
        self._session = _Session(key_number, session_keys(_AES, key, random_a, random_b), transaction)
        return _AES.cbc_encrypt(key, _ZERO_IV, transaction + random_a[1:] + random_a[:1] + bytes(12)) + _OK

    def _read_data(self, session: _Session, data: bytes) -> bytes:
        if len(data) != 7 + _MAC_BYTES:
            raise _Refused(_LENGTH_ERROR)
        header = session.check(READ_DATA, data)
        if header == layout.read_header(layout.FILE_TRANSACTION_MAC, layout.TRANSACTION_MAC_FILE_BYTES):
            return session.answer(self._transaction_mac_file(), encrypted=False)
        if header[0] not in {layout.FILE_ENVIRONMENT, layout.FILE_TRANSACTION_MAC}:
            raise _Refused(_FILE_NOT_FOUND)
        if header != layout.read_header(layout.FILE_ENVIRONMENT, layout.ENVIRONMENT_BYTES):
            raise _Refused(_BOUNDARY_ERROR)
        content = self.environment.encode()
        session.signed += signed_command(READ_DATA, header, answer=content)
        return session.answer(content, encrypted=True)

    def _transaction_mac_file(self) -> bytes:
        return self.counter.to_bytes(4, "little") + self.last_mac

    def _get_value(self, session: _Session, data: bytes) -> bytes:
        header = session.check(GET_VALUE, data)
        self._require_purse(session, header)
        value = self.balance_minor.to_bytes(_VALUE_BYTES, "little")
        session.signed += signed_command(GET_VALUE, header, answer=value)
        return session.answer(value, encrypted=True)

    def _debit(self, session: _Session, data: bytes) -> bytes:
        if len(data) != 1 + 16 + _MAC_BYTES:
            raise _Refused(_LENGTH_ERROR)
        body = session.check(DEBIT, data)
        self._require_purse(session, body[:1])
        amount = session.decrypt(body[1:], _VALUE_BYTES)
        amount_minor = int.from_bytes(amount, "little")
        if amount_minor > self.balance_minor - session.debited_minor:
            raise _Refused(_BOUNDARY_ERROR)
        session.debited_minor += amount_minor
        session.signed += signed_command(DEBIT, body[:1], amount)
        return session.answer(b"", encrypted=True)

    def _require_purse(self, session: _Session, header: bytes) -> None:
        if header != bytes((layout.FILE_PURSE,)):
            raise _Refused(_FILE_NOT_FOUND)
        if session.key_number != layout.KEY_DEBIT:
            raise _Refused(_PERMISSION_DENIED)

    def _commit(self, session: _Session, data: bytes) -> bytes:
        option = session.check(0xC7, data)
        if option not in {b"", b"\x00", b"\x01"}:
            raise _Refused(_LENGTH_ERROR)
        if not session.debited_minor:
            raise _Refused(_NO_CHANGES)
        self.balance_minor -= session.debited_minor
        self.committed_debits_minor.append(session.debited_minor)
        self.counter += 1
        self.last_mac = transaction_mac(_AES, self._mac_key, self.uid, self.counter, session.signed)
        session.debited_minor = 0
        session.signed = b""
        return session.answer(self._transaction_mac_file() if option == b"\x01" else b"", encrypted=False)
