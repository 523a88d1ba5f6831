"""How a card of type A is found and selected (ISO/IEC 14443-3 section 6), from the card's side. Frames come without their CRC.

A request finds the card in whatever state it is: the readers behind our doors cannot switch a field off, so for them a new
request is a new field. A card that was halted waits for a wake-up, or for the field to go.
"""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import TYPE_CHECKING

from simulator.iso_dep import IsoDep

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.iso_dep import Card

REQUEST = b"\x26"
WAKE_UP = b"\x52"
HALT = b"\x50\x00"
SELECT_CODES = b"\x93\x95\x97"
ANTICOLLISION = 0x20
SELECT = 0x70
CASCADE = b"\x88"
MORE_LEVELS = 0x04
SPEAKS_ISO_DEP = 0x20


def answer_to_request(uid: bytes) -> bytes:
    """Return ATQA as it is sent, low byte first: the UID's size, and bit frame anticollision."""
    return bytes(({4: 0x04, 7: 0x44, 10: 0x84}[len(uid)], 0x03))


def cascade_levels(uid: bytes) -> list[bytes]:
    """Return what is told at each cascade level: four bytes and their check byte."""
    levels = []
    while len(uid) > 4:
        levels.append(CASCADE + uid[:3])
        uid = uid[3:]
    return [level + bytes((reduce(xor, level),)) for level in (*levels, uid)]


class Anticollision:
    """How one card is found by a reader that sends raw frames; what is said to it then is somebody else's.

    Attributes:
        request_answer, select_answer: ATQA, low byte first, and the SAK of its last level.
    """

    def __init__(self, uid: bytes, serve: Callable[[bytes], bytes | None], leave: Callable[[], None]) -> None:
        """Take who answers once it is selected, and who is told that the field is gone."""
        self._levels = cascade_levels(uid)
        self._serve = serve
        self._leave = leave
        self.request_answer = answer_to_request(uid)
        self.select_answer = SPEAKS_ISO_DEP
        self.is_halted = False
        self._level: int | None = None

    @property
    def _is_selected(self) -> bool:
        return self._level == len(self._levels)

    def field_off(self) -> None:
        """The reader's field is gone, and with it whatever the card had in mind."""
        self._leave()
        self.is_halted = False
        self._level = None

    def receive(self, frame: bytes) -> bytes | None:
        """Return the card's answer to a frame; None when it keeps silent."""
        if frame in {REQUEST, WAKE_UP}:
            if self.is_halted and frame == REQUEST:
                return None
            self.field_off()
            self._level = 0
            return self.request_answer
        if self.is_halted or self._level is None:
            return None
        if self._is_selected:
            return self._serve(frame)
        return self._take_level(frame, self._level)

    def _take_level(self, frame: bytes, level: int) -> bytes | None:
        own = self._levels[level]
        if frame == bytes((SELECT_CODES[level], ANTICOLLISION)):
            return own
        if frame != bytes((SELECT_CODES[level], SELECT)) + own:
            self._level = None  # another card is meant, or nonsense was said
            return None
        self._level = level + 1
        return bytes((self.select_answer if self._is_selected else MORE_LEVELS,))


class TypeA(Anticollision):
    """One card before such a reader.

    Attributes:
        card: itself.
        blocks: its block protocol, reached once it is selected.
    """

    def __init__(self, card: Card) -> None:
        self.card = card
        self.blocks = IsoDep(card)
        super().__init__(card.uid, self._take_block, self._forget)

    def _forget(self) -> None:
        self.card.reset()
        self.blocks.leave()

    def _take_block(self, frame: bytes) -> bytes | None:
        if frame == HALT and not self.blocks.is_active:
            self.is_halted = True
            return None
        was_active = self.blocks.is_active
        answer = self.blocks.receive(frame)
        self.is_halted = was_active and not self.blocks.is_active
        return answer
