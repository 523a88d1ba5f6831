"""The air as UDP, as nfcpy's driver `udp:HOST:PORT` speaks it: a datagram is `106A ` and a frame in hexadecimal, without CRC.

`UdpDoor` is a card before such a reader. `UdpCard` is the other way round: a card that a reader plays (nfcpy in listen mode), to
be put into the field of a virtual chip, so that a validator meets it.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from simulator.doors.door import Door
from simulator.iso_dep import BlockError, Blocks
from simulator.type_a import (
    ANTICOLLISION,
    MORE_LEVELS,
    REQUEST,
    SELECT,
    SELECT_CODES,
    SPEAKS_ISO_DEP,
    TypeA,
)
from simulator.virtual_card import TornAway

if TYPE_CHECKING:
    from simulator.iso_dep import Card

_TYPE_A_106 = b"106A"
FIELD_OFF = b"RFOFF"
_DATAGRAM_BYTES_MAX = 1024
_RATS = b"\xe0\x80"
_DESELECT = b"\xc2"


def encode_datagram(frame: bytes) -> bytes:
    """Return a frame as a datagram."""
    return _TYPE_A_106 + b" " + frame.hex().encode()


def decode_datagram(datagram: bytes) -> bytes | None:
    """Return the frame of a datagram; None for one of another kind, or no frame at all."""
    kind, _, digits = datagram.partition(b" ")
    try:
        frame = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return None
    return frame if kind == _TYPE_A_106 and frame else None


class UdpDoor(Door):
    """A card at a UDP port of this machine.

    Attributes:
        port: where it is.
    """

    def __init__(self, card: Card, port: int = 0) -> None:
        """Take a port, any free one if it is 0.

        Raises:
            OSError: it cannot be had.
        """
        self._air = TypeA(card)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        super().__init__()
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        super().close()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._socket.fileno(), self._wake_reader], [], [])
            if self._is_over.is_set():
                return
            if self._socket.fileno() in ready:
                datagram, reader = self._socket.recvfrom(_DATAGRAM_BYTES_MAX)
                answer = self._answer(datagram)
                if answer is not None:
                    self._socket.sendto(answer, reader)

    def _answer(self, datagram: bytes) -> bytes | None:
        if datagram.startswith(FIELD_OFF):
            self._air.field_off()
            return None
        frame = decode_datagram(datagram)
        answer = None if frame is None else self._air.receive(frame)
        return None if answer is None else encode_datagram(answer)


class UdpCard:
    """A card that somebody plays at a UDP port.

    Attributes:
        uid, ats: as it told them.
    """

    def __init__(self, host: str, port: int, patience_s: float) -> None:
        """Select the card.

        Raises:
            BlockError: there is none, or it does not speak ISO-DEP.
        """
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((host, port))
        self._socket.settimeout(patience_s)
        try:
            self.uid = self._find()
            self.ats = self._ask(_RATS)
        except BlockError:
            self._socket.close()
            raise
        self._blocks = Blocks(self.ats)
        self._is_used = False

    def _find(self) -> bytes:
        self._ask(REQUEST)
        uid = b""
        for code in SELECT_CODES:
            level = self._ask(bytes((code, ANTICOLLISION)))
            answer = self._ask(bytes((code, SELECT)) + level)
            if not answer[0] & MORE_LEVELS:
                if not answer[0] & SPEAKS_ISO_DEP:
                    raise BlockError("the card does not speak ISO-DEP")
                return uid + level[:4]
            uid += level[1:4]
        raise BlockError("the card has a UID without end")

    def _ask(self, frame: bytes) -> bytes:
        answer = self._try(frame)
        if answer is None:
            raise BlockError("the card does not answer")
        return answer

    def _try(self, frame: bytes) -> bytes | None:
        try:
            self._socket.send(encode_datagram(frame))
            return decode_datagram(self._socket.recv(_DATAGRAM_BYTES_MAX))
        except (TimeoutError, ConnectionRefusedError):
            return None

    def process(self, apdu: bytes) -> bytes:
        """Carry an APDU to the card.

        Raises:
            TornAway: it answers no more.
        """
        self._is_used = True
        conversation = self._blocks.exchange(apdu)
        block = next(conversation)
        try:
            while True:
                block = conversation.send(self._try(block))
        except StopIteration as end:
            response: bytes = end.value
            return response
        except BlockError as error:
            raise TornAway from error

    def reset(self) -> None:
        """Let go of the card, once it was spoken to: it stays before the reader, and answers no more."""
        if self._is_used:
            self._is_used = False
            self._try(_DESELECT)

    def close(self) -> None:
        """Switch the field off."""
        self._socket.send(FIELD_OFF)
        self._socket.close()
