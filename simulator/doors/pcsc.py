"""Cards in the virtual reader of pcscd (package `vsmartcard-vpcd`): the door of PC/SC programs.

The reader listens, the card is its client: two bytes of length, then one byte of control (00 off, 01 on, 02 reset, 04 for the
ATR) or a command APDU. A contactless reader answers some commands by itself (PC/SC part 3 section 3.2.2): it is asked for UID
and ATS, not the card. A card that is torn away leaves the reader.

Without an immediate acknowledgement before each receive, delayed ones make 20 APDUs a second out of 10 000.
"""

from __future__ import annotations

import select
import socket
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING

from simulator.doors.door import Door
from simulator.virtual_card import TornAway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator.iso_dep import Card

VPCD_PORT = 35963
_OFF, _ON, _RESET, _ATR = 0, 1, 2, 4
_OK = b"\x90\x00"
_NOT_SUPPORTED = b"\x6a\x81"
_FOR_READER = b"\xff"
# So long the reader stays empty, that pcscd notices: it looks every 400 ms.
_AWAY_S = 1.0


class ReaderMissing(Exception):  # noqa: N818 - named for what is wrong
    """There is no virtual reader to put a card into."""


def _historical_bytes(ats: bytes) -> bytes:
    interface_bytes = (ats[1] >> 4 & 7).bit_count()
    return ats[2 + interface_bytes : ats[0]]


def answer_to_reset(ats: bytes) -> bytes:
    """Return the ATR that PC/SC makes of a contactless card's ATS (part 3 section 3.1.3.2.3.1)."""
    historical = _historical_bytes(ats)
    body = bytes((0x80 | len(historical), 0x80, 0x01)) + historical
    return b"\x3b" + body + bytes((reduce(xor, body),))


def _ask_reader(card: Card, apdu: bytes) -> bytes:
    told = {b"\xca\x00": card.uid, b"\xca\x01": _historical_bytes(card.ats)}.get(apdu[1:3])
    return _NOT_SUPPORTED if told is None else told + _OK


class PcscDoor(Door):
    """Puts cards into the virtual reader, one after the other.

    When a card was spoken to and the reader lets go of it the next one is put there: a person at the desk does the same.
    """

    def __init__(self, cards: Iterator[Card], port: int = VPCD_PORT, tell: Callable[[str], None] | None = None) -> None:
        """Put the first card into the reader.

        Raises:
            ReaderMissing: nobody listens there.
        """
        self._cards = cards
        self._port = port
        self._tell = tell or (lambda _: None)
        self._card: Card | None = next(cards)
        self._is_used = False
        self._socket: socket.socket | None = self._connect()
        if self._socket is None:
            raise ReaderMissing
        super().__init__()

    def _connect(self) -> socket.socket | None:
        try:
            connection = socket.create_connection(("127.0.0.1", self._port))
        except ConnectionRefusedError:
            return None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _serve(self) -> None:
        while self._card is not None and not self._is_over.is_set():
            if self._socket is None:
                select.select([self._wake_reader], [], [], _AWAY_S)
                self._socket = self._connect()
            else:
                self._serve_card(self._card, self._socket)
                self._socket.close()
                self._socket = None
        if self._socket is not None:
            self._socket.close()

    def _serve_card(self, card: Card, connection: socket.socket) -> None:
        """Let the reader have a card until it is done with it, or the card is torn away."""
        while (message := self._receive(connection)) is not None:
            try:
                answer = self._control(card, message[0]) if len(message) == 1 else self._carry_out(card, message)
            except TornAway:
                return
            if answer is not None:
                connection.sendall(len(answer).to_bytes(2, "big") + answer)
            if message == bytes((_OFF,)) and self._is_used:
                self._is_used = False
                self._card = next(self._cards, None)
                if self._card is not card:
                    self._tell("another card" if self._card is not None else "no more cards")
                    return

    def _control(self, card: Card, code: int) -> bytes | None:
        if code == _ATR:
            return answer_to_reset(card.ats)
        if code in {_OFF, _ON, _RESET}:
            card.reset()
        return None

    def _carry_out(self, card: Card, apdu: bytes) -> bytes:
        self._is_used = True
        if apdu[:1] == _FOR_READER:
            return _ask_reader(card, apdu)
        return card.process(apdu)

    def _receive(self, connection: socket.socket) -> bytes | None:
        """Return the reader's next message; None when it has gone, or the door is closed."""
        head = self._receive_exactly(connection, 2)
        return None if head is None else self._receive_exactly(connection, int.from_bytes(head, "big"))

    def _receive_exactly(self, connection: socket.socket, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            select.select([connection.fileno(), self._wake_reader], [], [])
            if self._is_over.is_set():
                return None
            try:
                part = connection.recv(size - len(data))
            except ConnectionResetError:
                return None
            if not part:
                return None
            data += part
        return data
