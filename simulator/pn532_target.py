"""An emulated PN532 as a card for another reader (UM0701-02 sections 7.3.14 to 7.3.21): it is found by itself, the host answers.

Anticollision and selection are the chip's own affair, with a UID of four bytes that begins with 08. The first frame after it
answers TgInitAsTarget, each further one TgGetInitiatorCommand; what the host says goes out with TgResponseToInitiator.
"""

from __future__ import annotations

from collections import deque

from simulator.type_a import Anticollision

TG_INIT_AS_TARGET = 0x8C
TG_GET_INITIATOR_COMMAND = 0x88
TG_RESPONSE_TO_INITIATOR = 0x90
TARGET_COMMANDS = frozenset({TG_INIT_AS_TARGET, TG_GET_INITIATOR_COMMAND, TG_RESPONSE_TO_INITIATOR})
_PARAMETERS_BYTES_MIN = 37
_RANDOM_UID = b"\x08"
_TYPE_A_106 = b"\x00"
_OK = b"\x00"
_BAD_PARAMETER = b"\x10"
_FIELD_GONE = b"\x29"


class Pn532Target:
    """The chip's part as a card.

    Attributes:
        spoken: what the host has said, and goes out now.
    """

    def __init__(self) -> None:
        self._played: Anticollision | None = None
        self._heard: deque[bytes] = deque()
        self._waiting: int | None = None
        self._field_is_gone = False
        self.spoken: deque[bytes] = deque()

    def carry_out(self, code: int, parameters: bytes) -> bytes | None:
        """Return the answer to a host's command; None while what it waits for was not heard."""
        if code == TG_RESPONSE_TO_INITIATOR:
            self.spoken.append(parameters)
            return _OK
        if code == TG_INIT_AS_TARGET:
            if len(parameters) < _PARAMETERS_BYTES_MIN:
                return _BAD_PARAMETER
            self._heard.clear()
            self._played = Anticollision(_RANDOM_UID + parameters[3:6], self._heard.append, _nothing)
            self._played.request_answer, self._played.select_answer = parameters[1:3], parameters[6]
        self._waiting = code
        return self._answer()

    def interrupt(self) -> None:
        """The host wants something else."""
        self._waiting = None

    def hear(self, frame: bytes | None) -> tuple[bytes | None, tuple[int, bytes] | None]:
        """Hear the other reader's frame, None for that its field went off.

        Returns:
            What the chip says to the reader by itself, and the answer that the host has waited for, with its command.
        """
        if self._played is None:
            return None, None
        said = None
        self._field_is_gone = frame is None
        if frame is None:
            self._played.field_off()
            self._heard.clear()
        else:
            said = self._played.receive(frame)
        code = self._waiting
        answer = self._answer()
        return said, None if code is None or answer is None else (code, answer)

    def _answer(self) -> bytes | None:
        """Return what answers the command that waits, if it can be answered now."""
        if self._waiting is None or self._played is None:
            return None
        is_first = self._waiting == TG_INIT_AS_TARGET
        if self._heard:
            self._waiting = None
            return (_TYPE_A_106 if is_first else _OK) + self._heard.popleft()
        if self._field_is_gone and not is_first:
            self._waiting = None
            return _FIELD_GONE
        return None


def _nothing() -> None:
    """The host has all that is to be forgotten."""
