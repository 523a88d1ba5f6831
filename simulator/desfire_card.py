"""A virtual transport card: DESFire EV2 with AES, as far as Jolaqy's layout uses it.

APDU in, APDU out. What a transaction changes is committed by CommitTransaction and by nothing else: a card that leaves the
field before has done nothing, a card that leaves it after has done everything, whether or not anybody heard its answer.
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
    transaction_mac_keys,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_AES = Aes()
_OK = b"\x91\x00"
_MORE = b"\x91\xaf"
_AUTHENTICATION_ERROR = b"\x91\xae"
_PERMISSION_DENIED = b"\x91\x9d"
_INTEGRITY_ERROR = b"\x91\x1e"
_LENGTH_ERROR = b"\x91\x7e"
_BOUNDARY_ERROR = b"\x91\xbe"
_FILE_NOT_FOUND = b"\x91\xf0"
_ILLEGAL_COMMAND = b"\x91\x1c"
_ZERO_IV = bytes(16)


class _Session:
    def __init__(self, key_number: int, keys: tuple[bytes, bytes], transaction: bytes) -> None:
        self.key_number = key_number
        self.encryption_key, self.mac_key = keys
        self.transaction = transaction
        self.counter = 0
        self.transaction_input = b""
        self.debited_minor = 0


class TornAway(Exception):  # noqa: N818 - it is no error
    """The card left the field; it answers nothing more."""


class DesfireCard:
    """One card.

    Attributes:
        uid: 7 bytes, told in anticollision.
        ats: answer to select.
        balance_minor: purse as committed.
        counter: transactions committed.
        committed_debits_minor: amount of each debit that was committed, in order: what the card itself can witness.
        tear_after: the card is torn away after so many commands; None for never.
        tear_before_answer: it still carries out that last command, and only its answer is lost.
    """

    ats = b"\x06\x75\x77\x81\x02\x80"

    def __init__(
        self, uid: bytes, environment: layout.Environment, balance_minor: int, keys: Mapping[int, bytes], mac_key: bytes
    ) -> None:
        self.uid = uid
        self.balance_minor = balance_minor
        self.counter = 0
        self.last_mac = bytes(8)
        self.committed_debits_minor: list[int] = []
        self.tear_after: int | None = None
        self.tear_before_answer = False
        self._environment = environment
        self._keys = dict(keys)
        self._mac_key = mac_key
        self._chance = random.Random(uid)
        self.reset()

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
        return self._environment.card_number

    def reset(self) -> None:
        """The field went off: sessions and uncommitted changes are gone."""
        self._selected = False
        self._session: _Session | None = None
        self._challenge: tuple[int, bytes] | None = None

    def process(self, apdu: bytes) -> bytes:
        """Answer one command APDU; TornAway when the card is no longer there to answer."""
        if self.tear_after is not None:
            if self.tear_after < 0 or (self.tear_after == 0 and not self.tear_before_answer):
                raise TornAway
            self.tear_after -= 1
        response = self._respond(apdu)
        if self.tear_after is not None and self.tear_after < 0:
            raise TornAway
        return response

    def _respond(self, apdu: bytes) -> bytes:
        if len(apdu) < 5:
            return b"\x67\x00"
        if apdu[:4] == b"\x00\xa4\x04\x00":
            self.reset()
            self._selected = apdu[5 : 5 + apdu[4]] == layout.DF_NAME
            return b"\x90\x00" if self._selected else b"\x6a\x82"
        data = apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""
        if apdu[0] != 0x90 or not self._selected:
            return b"\x6e\x00"
        handler = {
            0x71: self._authenticate,
            0xAF: self._authenticate_part_2,
            0xAD: self._read_data,
            0x6C: self._get_value,
            0xDC: self._debit,
            0xC7: self._commit,
        }.get(apdu[1])
        return handler(data) if handler else _ILLEGAL_COMMAND

    def _authenticate(self, data: bytes) -> bytes:
        self._session = None
        if len(data) < 2 or data[0] not in self._keys:
            return _AUTHENTICATION_ERROR
        random_b = self._chance.randbytes(16)
        self._challenge = (data[0], random_b)
        return _AES.cbc_encrypt(self._keys[data[0]], _ZERO_IV, random_b) + _MORE

    def _authenticate_part_2(self, data: bytes) -> bytes:
        if self._challenge is None or len(data) != 32:
            return _AUTHENTICATION_ERROR
        key_number, random_b = self._challenge
        self._challenge = None
        key = self._keys[key_number]
        plain = _AES.cbc_decrypt(key, _ZERO_IV, data)
        random_a = plain[:16]
        if plain[16:] != random_b[1:] + random_b[:1]:
            return _AUTHENTICATION_ERROR
        transaction = self._chance.randbytes(4)
        self._session = _Session(key_number, session_keys(_AES, key, random_a, random_b), transaction)
        answer = transaction + random_a[1:] + random_a[:1] + bytes(12)
        return _AES.cbc_encrypt(key, _ZERO_IV, answer) + _OK

    # Files.

    def _read_data(self, data: bytes) -> bytes:
        session = self._session
        if session is None:
            return _AUTHENTICATION_ERROR
        if len(data) < 7:
            return _LENGTH_ERROR
        header = data[:7]
        size = int.from_bytes(header[4:7], "little")
        if header[0] == layout.FILE_TRANSACTION_MAC:
            session.counter += 1
            return self.counter.to_bytes(4, "little") + self.last_mac + _OK
        if header[0] != layout.FILE_ENVIRONMENT:
            return _FILE_NOT_FOUND
        if int.from_bytes(header[1:4], "little") != 0 or size != layout.ENVIRONMENT_BYTES:
            return _BOUNDARY_ERROR
        if not self._takes(session, 0xAD, data[:7], data[7:]):
            return self._fail()
        content = self._environment.encode()
        session.transaction_input += _zero_padded(b"\xad" + header) + _zero_padded(content)
        return self._answer(session, content)

    def _get_value(self, data: bytes) -> bytes:
        session = self._session
        if session is None:
            return _AUTHENTICATION_ERROR
        if data[:1] != bytes((layout.FILE_PURSE,)):
            return _FILE_NOT_FOUND
        if not self._takes(session, 0x6C, data[:1], data[1:]):
            return self._fail()
        value = (self.balance_minor - session.debited_minor).to_bytes(4, "little")
        session.transaction_input += _zero_padded(b"\x6c" + data[:1]) + _zero_padded(value)
        return self._answer(session, value)

    def _debit(self, data: bytes) -> bytes:
        session = self._session
        if session is None:
            return _AUTHENTICATION_ERROR
        if session.key_number != layout.KEY_DEBIT:
            return _PERMISSION_DENIED
        if len(data) != 1 + 16 + 8 or data[0] != layout.FILE_PURSE:
            return _LENGTH_ERROR
        vector = command_vector(_AES, session.encryption_key, session.transaction, session.counter)
        plain = _AES.cbc_decrypt(session.encryption_key, vector, data[1:17])
        if not self._takes(session, 0xDC, data[:17], data[17:]) or plain != pad(plain[:4]):
            return self._fail()
        amount_minor = int.from_bytes(plain[:4], "little")
        if amount_minor > self.balance_minor - session.debited_minor:
            return _BOUNDARY_ERROR
        session.debited_minor += amount_minor
        session.transaction_input += _zero_padded(b"\xdc" + data[:1] + plain[:4])
        return self._answer(session, b"")

    def _commit(self, data: bytes) -> bytes:
        session = self._session
        if session is None:
            return _AUTHENTICATION_ERROR
        if not self._takes(session, 0xC7, data[:1], data[1:]):
            return self._fail()
        self.balance_minor -= session.debited_minor
        if session.debited_minor:
            self.committed_debits_minor.append(session.debited_minor)
        self.counter += 1
        mac_key, _ = transaction_mac_keys(_AES, self._mac_key, self.counter, self.uid)
        self.last_mac = short_mac(_AES, mac_key, session.transaction_input)
        session.debited_minor = 0
        session.transaction_input = b""
        return self._answer(session, self.counter.to_bytes(4, "little") + self.last_mac, encrypted=False)

    # Secure messaging.

    def _takes(self, session: _Session, ins: int, signed: bytes, mac: bytes) -> bool:
        head = bytes((ins,)) + session.counter.to_bytes(2, "little") + session.transaction
        return mac == short_mac(_AES, session.mac_key, head + signed)

    def _answer(self, session: _Session, data: bytes, *, encrypted: bool = True) -> bytes:
        session.counter += 1
        if data and encrypted:
            vector = response_vector(_AES, session.encryption_key, session.transaction, session.counter)
            data = _AES.cbc_encrypt(session.encryption_key, vector, pad(data))
        head = b"\x00" + session.counter.to_bytes(2, "little") + session.transaction
        return data + short_mac(_AES, session.mac_key, head + data) + _OK

    def _fail(self) -> bytes:
        self._session = None
        return _INTEGRITY_ERROR


def _zero_padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)
