"""A virtual transport card: DESFire EV2 with AES (data sheet MF2DLHX0), from the maker's blank card to one in a rider's hand.

What a transaction changes is committed by CommitTransaction and by nothing else: a card that leaves the field before has done
nothing, a card that leaves it after has done everything, whether or not anybody heard its answer. As on the real card, any error
ends the session and drops what is not committed, GetValue tells the committed value, and the transaction MAC is computed with the
card's own key over all that the transaction read and wrote.

Cards of the maker have a card master key of their own kind (DES); these come with an AES one, as they are ordered for a city.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import session_keys
from protocol.cards.desfire_issue import Desk, card_keys, issue_card
from simulator.desfire_application import Application, changed_key
from simulator.desfire_files import FULL, MAC, DataFile, RecordFile, ValueFile
from simulator.desfire_identity import Identity
from simulator.desfire_originality import sign_uid
from simulator.desfire_secure import (
    AES,
    APPLICATION_NOT_FOUND,
    AUTHENTICATION_ERROR,
    DUPLICATE_ERROR,
    ILLEGAL_COMMAND,
    LENGTH_ERROR,
    MORE,
    NO_SUCH_KEY,
    OK,
    PERMISSION_DENIED,
    CardSession,
    Refused,
)
from simulator.virtual_card import TornAway, VirtualCard, command_data

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["DesfireCard", "TornAway"]

_ZERO_IV = bytes(16)
_FREE_CREATION = 0x04
_FACTORY_SETTINGS = 0x0F
_SIGNATURE = b"\x91\x90"
_ISSUED_AT_S = 1_700_000_000


class DesfireCard(VirtualCard):
    """One card.

    Attributes:
        applications: by identifier.
    """

    TRANSPORT_KEY = bytes(16)
    ats = b"\x06\x75\x77\x81\x02\x80"

    def __init__(self, uid: bytes) -> None:
        super().__init__(uid)
        self.applications: dict[bytes, Application] = {}
        self._master = self.TRANSPORT_KEY
        self._version = 0
        self._settings = _FACTORY_SETTINGS
        self._chance = random.Random(uid)
        self._identity = Identity(uid)
        self._application: Application | None = None
        self._forget()

    @classmethod
    def blank(cls, uid: bytes) -> DesfireCard:
        """Return a card as it is delivered: no application, and a card master key that everybody knows."""
        return cls(uid)

    @classmethod
    def personalise(
        cls,
        uid: bytes,
        environment: layout.Environment,
        balance_minor: int,
        masters: Mapping[str, bytes],
        version: int = 1,
    ) -> DesfireCard:
        """Return a card with keys of its own, made from a city's masters as a bureau is handed them."""
        card = cls(uid)
        desk = Desk(AES, card._chance.randbytes, b"DESK", _ISSUED_AT_S)
        keys = card_keys(AES, masters, uid, version)
        _hold(card, issue_card(desk, cls.TRANSPORT_KEY, keys, environment, balance_minor))
        card.reset()
        card.commands = 0
        return card

    # What tests and tallies look at.

    @property
    def _ours(self) -> Application:
        return self.applications[layout.APPLICATION_ID]

    @property
    def environment(self) -> layout.Environment:
        """Who it is."""
        file = self._ours.files[layout.FILE_ENVIRONMENT]
        assert isinstance(file, DataFile)
        return layout.decode_environment(file.content)

    @property
    def events(self) -> list[layout.CardEvent]:
        """What happened to it, oldest first, as far as it remembers."""
        file = self._ours.files[layout.FILE_EVENTS]
        assert isinstance(file, RecordFile)
        return [layout.decode_event(record) for record in file.records]

    def value_file(self, number: int) -> ValueFile:
        """Return the purse, or the trips of a pass."""
        file = self._ours.files[number]
        assert isinstance(file, ValueFile)
        return file

    @property
    def balance_minor(self) -> int:
        """Purse as committed."""
        return self.value_file(layout.FILE_PURSE).value

    @property
    def counter(self) -> int:
        """Transactions committed."""
        witness = self._ours.witness()
        return 0 if witness is None else witness.counter

    @property
    def last_mac(self) -> bytes:
        """Transaction MAC of the last of them."""
        witness = self._ours.witness()
        assert witness is not None
        return witness.last_mac

    @property
    def committed_debits_minor(self) -> list[int]:
        """Amount of each debit of the purse that was committed, in order: what the card itself can witness."""
        return self.value_file(layout.FILE_PURSE).debits

    @property
    def committed_credits_minor(self) -> list[int]:
        """Amount of each credit, in the same way, the first purse included."""
        return self.value_file(layout.FILE_PURSE).credits

    @property
    def card_number(self) -> bytes:
        return self.environment.card_number

    # The card.

    def _forget(self) -> None:
        if self._application is not None:
            self._application.drop_transaction()
        self._application = None
        self._session: CardSession | None = None
        self._challenge: tuple[int, bytes, bool] | None = None

    def _respond(self, apdu: bytes) -> bytes:
        data = command_data(apdu) if len(apdu) >= 4 else None
        if data is None:
            return b"\x67\x00"
        if apdu[:4] == b"\x00\xa4\x04\x00":
            return self._select_name(data)
        if apdu[0] != 0x90:
            return b"\x6e\x00"
        try:
            return self._carry_out(apdu[1], data)
        except Refused as refused:
            self._end_session()
            return refused.status

    def _end_session(self) -> None:
        self._session = None
        if self._application is not None:
            self._application.drop_transaction()

    def _select_name(self, name: bytes) -> bytes:
        self._forget()
        self._application = next((each for each in self.applications.values() if each.name == name), None)
        return b"\x6a\x82" if self._application is None else b"\x90\x00"

    def _carry_out(self, ins: int, data: bytes) -> bytes:
        challenge, self._challenge = self._challenge, None
        if ins == 0xAF and challenge is not None:
            return self._answer_challenge(challenge, data)
        if ins in {0x71, 0x77}:
            return self._authenticate(ins, data)
        answer = self._answer_about_chip(ins, data)
        if answer is None:
            if self._application is None:
                answer = self._carry_out_on_card(ins, data)
            else:
                answer = self._application.carry_out(self._session, ins, data)
        if answer is None:
            raise Refused(ILLEGAL_COMMAND)
        if ins == 0xC4 and len(answer) == len(OK):
            self._session = None  # the key in use is another one now
        return answer

    def _answer_about_chip(self, ins: int, data: bytes) -> bytes | None:
        if ins == 0x5A:
            return self._select_number(data)
        if ins == 0x64 and len(data) == 1:
            return bytes((self._version_of(data[0]),)) + OK
        if ins == 0x3C and data == b"\x00":
            return sign_uid(self.uid) + _SIGNATURE
        if ins == 0x51 and self._session is not None:
            self._session.check(ins, data, MAC)
            return self._session.answer(self.uid, FULL)
        if self._session is None and (ins != 0x45 or self._application is None):
            return self._identity.respond(ins, data)
        return None

    def _version_of(self, number: int) -> int:
        if self._application is None:
            return self._version
        self._application.key(number)
        return self._application.versions[number]

    def _select_number(self, number: bytes) -> bytes:
        self._forget()
        if number == bytes(3):
            return OK
        self._application = self.applications.get(number)
        return APPLICATION_NOT_FOUND if self._application is None else OK

    # Authentication.

    def _key(self, number: int) -> bytes:
        if self._application is not None:
            return self._application.key(number)
        if number:
            raise Refused(NO_SUCH_KEY)
        return self._master

    def _authenticate(self, ins: int, data: bytes) -> bytes:
        """Part 1 of AuthenticateEV2First (key number, and no capabilities of the reader) and of AuthenticateEV2NonFirst."""
        is_first = ins == 0x71
        if len(data) < 1 or len(data) != (1 if not is_first else 2 + (data[1] if len(data) > 1 else 0)):
            raise Refused(LENGTH_ERROR)
        if is_first:
            self._end_session()
        elif self._session is None:
            raise Refused(PERMISSION_DENIED)
        key = self._key(data[0])
        random_b = self._chance.randbytes(16)
        self._challenge = (data[0], random_b, is_first)
        return AES.cbc_encrypt(key, _ZERO_IV, random_b) + MORE

    def _answer_challenge(self, challenge: tuple[int, bytes, bool], data: bytes) -> bytes:
        if len(data) != 32:
            raise Refused(LENGTH_ERROR)
        number, random_b, is_first = challenge
        key = self._key(number)
        plain = AES.cbc_decrypt(key, _ZERO_IV, data)
        random_a = plain[:16]
        if plain[16:] != random_b[1:] + random_b[:1]:
            raise Refused(AUTHENTICATION_ERROR)
        keys, turned = session_keys(AES, key, random_a, random_b), random_a[1:] + random_a[:1]
        if is_first:
            transaction = self._chance.randbytes(4)
            self._session = CardSession(number, keys, transaction)
            return AES.cbc_encrypt(key, _ZERO_IV, transaction + turned + bytes(12)) + OK
        assert self._session is not None
        self._session.use_keys(number, keys)
        return AES.cbc_encrypt(key, _ZERO_IV, turned) + OK

    # What concerns the card as a whole.

    def _carry_out_on_card(self, ins: int, data: bytes) -> bytes | None:
        if ins == 0x6A:
            session = self._session
            return (
                b"".join(self.applications) + OK
                if session is None
                else session.answer(b"".join(self.applications), MAC)
            )
        if ins == 0xCA and self._session is None and self._settings & _FREE_CREATION:
            self._create_application(data)
            return OK
        if ins not in {0xCA, 0xDA, 0xFC, 0xC4, 0x54}:
            return None
        if self._session is None:
            raise Refused(AUTHENTICATION_ERROR)
        body = self._session.check(ins, data, MAC)
        if ins == 0xC4:
            content = self._session.decrypt(body[1:])
            self._master, self._version = changed_key(content, self._master, is_own=True)
            return OK
        if ins == 0xCA:
            self._create_application(body)
        elif ins == 0x54:
            self._settings = self._session.decrypt(body)[0]
        elif ins == 0xFC:
            self.applications.clear()
        elif self.applications.pop(body, None) is None:
            raise Refused(APPLICATION_NOT_FOUND)
        return self._session.answer(b"", MAC)

    def _create_application(self, data: bytes) -> None:
        if len(data) < 8 or data[4] & 0xE0 != 0xA0:
            raise Refused(LENGTH_ERROR)
        if data[:3] in self.applications:
            raise Refused(DUPLICATE_ERROR)
        self.applications[data[:3]] = Application(data[7:], data[3], data[4] & 0x0F, self.uid)

    # Images.

    def to_image(self) -> dict[str, Any]:
        """Return all that it stores, for a file; its keys are in it."""
        return {
            "uid": self.uid.hex(),
            "master": self._master.hex(),
            "version": self._version,
            "settings": self._settings,
            "applications": {number.hex(): each.to_image() for number, each in self.applications.items()},
        }

    @classmethod
    def from_image(cls, image: dict[str, Any]) -> DesfireCard:
        """Return the card that an image was made of."""
        card = cls(bytes.fromhex(image["uid"]))
        card._master = bytes.fromhex(image["master"])
        card._version, card._settings = image["version"], image["settings"]
        for number, application in image["applications"].items():
            card.applications[bytes.fromhex(number)] = Application.from_image(application, card.uid)
        return card


def _hold(card: DesfireCard, conversation: Generator[bytes, bytes, object]) -> None:
    try:
        command = next(conversation)
        while True:
            command = conversation.send(card.process(command))
    except StopIteration:
        pass
