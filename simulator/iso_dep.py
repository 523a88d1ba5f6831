"""The half-duplex block protocol (ISO/IEC 14443-4) on both sides: blocks without their CRC in, blocks out.

`IsoDep` is the card's side. It keeps one block number, and its rules are few (section 7.5.3):

    I-block            toggles the number; if it is chained the card acknowledges it, else it answers
    R(ACK), another number    the reader has the last block: the next part of a long answer follows
    R, the same number        the reader has not understood: the last block is sent again
    R(NAK), another number    the card has not understood: R(ACK) says so, and the reader sends again
    S(WTX)             the card needs more time, and was given it
    S(DESELECT)        ends it

What is malformed is not answered: a card is silent, it never complains. `exchange_blocks` is the reader's side, a conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from simulator.virtual_card import TornAway

if TYPE_CHECKING:
    from collections.abc import Generator


class Card(Protocol):
    """What is behind the protocol, and what a field holds."""

    uid: bytes
    ats: bytes

    def process(self, apdu: bytes) -> bytes: ...

    def reset(self) -> None: ...


RATS = 0xE0
_FRAME_BYTES = (16, 24, 32, 40, 48, 64, 96, 128, 256)
_EDC_BYTES = 2
_APDU_BYTES_MAX = 261
_I_BLOCK = 0x02
_R_ACK = 0xA2
_R_NAK = 0xB2
_S_DESELECT = 0xC2
_S_WTX = 0xF2
_NUMBER = 0x01
_HAS_CID = 0x08
_CHAINED = 0x10
_PPS = 0xD0
_MORE_TIME = 1
_TRIES = 3


class BlockError(Exception):
    """The other side does not keep to the protocol, or is not there any more."""


def frame_bytes(indicator: int) -> int:
    """Return a frame size from FSDI or FSCI (section 5.1)."""
    return _FRAME_BYTES[min(indicator, len(_FRAME_BYTES) - 1)]


class IsoDep:
    """One card's side of the protocol.

    Attributes:
        is_active: the card has answered RATS and was not deselected.
        waits: how often the card asks for more time before each of its answers.
    """

    def __init__(self, card: Card) -> None:
        self._card = card
        self.waits = 0
        self.leave()

    def leave(self) -> None:
        """Be as a card that nobody has activated."""
        self.is_active = False
        self._number = 1
        self._command = b""
        self._rest = b""
        self._last: bytes | None = None
        self._waits_left = 0
        self._cid = 0
        self._uses_cid = False
        self._reader_frame_bytes = frame_bytes(0)

    def receive(self, block: bytes) -> bytes | None:
        """Return the card's block in answer to the reader's; None for silence."""
        if not self.is_active:
            return self._activate(block)
        if self._last is None and len(block) >= 2 and block[0] == _PPS | self._cid:
            return block[:1]  # the reader may ask for another bit rate once, before anything else; ours has none
        if not block or not self._is_for_us(block):
            return None
        body = block[2:] if block[0] & _HAS_CID else block[1:]
        if len(block) > self._frame_bytes_max:
            return None
        return self._take(block[0] & ~_HAS_CID, body)

    def _activate(self, block: bytes) -> bytes | None:
        if len(block) != 2 or block[0] != RATS or block[1] & 0x0F == 0x0F:
            return None
        self.leave()
        self.is_active = True
        self._cid = block[1] & 0x0F
        self._reader_frame_bytes = frame_bytes(block[1] >> 4)
        return self._card.ats

    @property
    def _frame_bytes_max(self) -> int:
        return frame_bytes(self._card.ats[1] & 0x0F) - _EDC_BYTES

    def _is_for_us(self, block: bytes) -> bool:
        self._uses_cid = bool(block[0] & _HAS_CID)
        if self._uses_cid:
            return len(block) >= 2 and block[1] & 0x0F == self._cid
        return self._cid == 0

    def _take(self, control: int, body: bytes) -> bytes | None:
        if control & ~(_CHAINED | _NUMBER) == _I_BLOCK:
            return self._take_information(body, is_chained=bool(control & _CHAINED))
        if control & ~_NUMBER in {_R_ACK, _R_NAK} and not body:
            return self._take_receipt(control)
        if control == _S_WTX and len(body) == 1 and self._waits_left:
            self._waits_left -= 1
            return self._ask_for_time() if self._waits_left else self._carry_out()
        if control == _S_DESELECT:
            answer = self._block(_S_DESELECT, body)
            self._card.reset()
            self.leave()
            return answer
        return None

    def _take_information(self, body: bytes, *, is_chained: bool) -> bytes | None:
        self._number ^= _NUMBER
        self._rest = b""
        self._command += body
        if len(self._command) > _APDU_BYTES_MAX:
            self._command = b""
            return None
        if is_chained:
            return self._send(_R_ACK | self._number)
        self._waits_left = self.waits
        return self._ask_for_time() if self._waits_left else self._carry_out()

    def _take_receipt(self, control: int) -> bytes | None:
        if control & _NUMBER == self._number:
            return self._last
        if control & ~_NUMBER == _R_NAK:
            return self._send(_R_ACK | self._number)
        if not self._rest:
            return None
        self._number ^= _NUMBER
        return self._send_part()

    def _ask_for_time(self) -> bytes:
        return self._send(_S_WTX, bytes((_MORE_TIME,)))

    def _carry_out(self) -> bytes | None:
        command, self._command = self._command, b""
        try:
            self._rest = self._card.process(command)
        except TornAway:
            self.leave()
            return None
        return self._send_part()

    def _send_part(self) -> bytes:
        room = self._reader_frame_bytes - _EDC_BYTES - (2 if self._uses_cid else 1)
        part, self._rest = self._rest[:room], self._rest[room:]
        return self._send((_I_BLOCK | _CHAINED if self._rest else _I_BLOCK) | self._number, part)

    def _send(self, control: int, body: bytes = b"") -> bytes:
        self._last = self._block(control, body)
        return self._last

    def _block(self, control: int, body: bytes) -> bytes:
        return (bytes((control | _HAS_CID, self._cid)) if self._uses_cid else bytes((control,))) + body


class Blocks:
    """The reader's side after RATS: what there is to remember between two APDUs."""

    def __init__(self, ats: bytes, reader_frame_bytes: int = 256) -> None:
        self._room = min(frame_bytes(ats[1] & 0x0F), reader_frame_bytes) - _EDC_BYTES - 1
        self._number = 0

    def exchange(self, apdu: bytes) -> Generator[bytes, bytes | None, bytes]:
        """Send an APDU in as many blocks as it takes and return the response; silence is sent as None.

        Raises:
            BlockError: the card keeps silent, or does not keep to the protocol.
        """
        parts = [apdu[start : start + self._room] for start in range(0, len(apdu), self._room)]
        for part in parts[:-1]:
            answer = yield from self._send(bytes((_I_BLOCK | _CHAINED | self._number,)) + part)
            if answer[0] != _R_ACK | self._number:
                raise BlockError("the card does not acknowledge a part of a command")
            self._number ^= _NUMBER
        answer = yield from self._send(bytes((_I_BLOCK | self._number,)) + parts[-1])
        response = self._content(answer)
        while answer[0] & _CHAINED:
            answer = yield from self._send(bytes((_R_ACK | self._number,)))
            response += self._content(answer)
        return response

    def _content(self, answer: bytes) -> bytes:
        if answer[0] & ~_CHAINED != _I_BLOCK | self._number:
            raise BlockError("the card answers out of turn")
        self._number ^= _NUMBER
        return answer[1:]

    def _send(self, block: bytes) -> Generator[bytes, bytes | None, bytes]:
        """Send a block until there is an answer to it, granting whatever time the card asks for."""
        sent = block
        for _ in range(_TRIES):
            answer = yield sent
            while answer and answer[0] == _S_WTX:
                answer = yield answer
            if answer and answer[0] == _R_ACK | self._number ^ _NUMBER and sent != block:
                sent = block  # the card never had it
            elif answer:
                return answer
            else:
                sent = bytes((_R_NAK | self._number,))
        raise BlockError("the card does not answer")
