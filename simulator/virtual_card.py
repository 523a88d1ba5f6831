"""What every virtual card is: APDU in, APDU out, and a field that can end before or after any command."""

from __future__ import annotations

from abc import ABC, abstractmethod

# First byte and check sum of a block (ISO/IEC 14443-4).
_BLOCK_BYTES = 3


class TornAway(Exception):  # noqa: N818 - it is no error
    """The card left the field; it answers nothing more."""


class VirtualCard(ABC):
    """One card, as a reader meets it.

    Attributes:
        uid: told in anticollision.
        ats: answer to select, with its length byte.
        commands: how many it has carried out.
    """

    ats: bytes

    def __init__(self, uid: bytes) -> None:
        self.uid = uid
        self.commands = 0
        self._tear_at: int | None = None
        self._tear_carried_out = False
        self._tear_byte: int | None = None
        self._torn = False

    def tear_at(self, command: int, *, carried_out: bool) -> None:
        """Let the card leave the field in the so many-th command from now (1 is the next), before or after it is carried out.

        It happens once; the card is back after `reset`.
        """
        assert command >= 1
        self._tear_at = self.commands + command
        self._tear_carried_out = carried_out

    def tear_at_byte(self, position: int, *, carried_out: bool) -> None:
        """Let the card leave the field after so many further bytes of the air: blocks with their first byte and check sum.

        A command that has come as a whole may be carried out or not when the power fails just then: `carried_out` decides.
        """
        self._tear_byte = position
        self._tear_carried_out = carried_out

    def reset(self) -> None:
        """The field went off and on again: what was not committed is gone."""
        self._torn = False
        self._forget()

    def process(self, apdu: bytes) -> bytes:
        """Answer one command APDU.

        Raises:
            TornAway: the card is no longer there to answer.
        """
        tearing = self.commands + 1 == self._tear_at
        if self._torn or (tearing and not self._tear_carried_out) or self._breaks_off(apdu):
            self._tear()
        response = self._respond(apdu)
        self.commands += 1
        if tearing or self._tear_byte == 0 or self._breaks_off(response):
            self._tear()
        return response

    def _breaks_off(self, block: bytes) -> bool:
        """Return whether the card leaves before a block is whole; at its very end, before what it brings is carried out."""
        if self._tear_byte is None:
            return False
        self._tear_byte -= len(block) + _BLOCK_BYTES
        return self._tear_byte < 0 or (self._tear_byte == 0 and not self._tear_carried_out)

    def _tear(self) -> None:
        self._tear_at = self._tear_byte = None
        self._torn = True
        self._forget()
        raise TornAway

    @abstractmethod
    def _respond(self, apdu: bytes) -> bytes:
        """Carry out one command."""

    @abstractmethod
    def _forget(self) -> None:
        """Lose power: forget whatever is not stored."""


def command_data(apdu: bytes) -> bytes | None:
    """Return the data of a short command APDU, or None when its lengths contradict each other (ISO/IEC 7816-4 section 5.1)."""
    if len(apdu) in {4, 5}:
        return b""
    size = apdu[4]
    return apdu[5 : 5 + size] if size and len(apdu) - 5 - size in {0, 1} else None
