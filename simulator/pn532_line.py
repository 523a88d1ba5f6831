"""The serial line between an emulated PN532 and its host (UM0701-02 section 7.2.9): both must speak at the same rate."""

from __future__ import annotations

RATE_AT_START = 115_200


class Line:
    """One line.

    Attributes:
        rate: of the chip, bit/s.
        host_rate: of its host; None on a line that carries any, such as a pseudo-terminal.
        rate_max: at a higher one nobody understands anything; None where there is no such limit.
        keeps_rate: the chip says that it changes its rate, and does not.
    """

    def __init__(self) -> None:
        self.rate = RATE_AT_START
        self.host_rate: int | None = None
        self.rate_max: int | None = None
        self.keeps_rate = False
        self._next_rate: int | None = None

    def reset(self) -> None:
        """The chip has lost its power."""
        self.rate, self._next_rate = RATE_AT_START, None

    def ask_for(self, rate: int) -> None:
        """The host wants another rate."""
        self._next_rate = rate

    def acknowledge(self) -> None:
        """The host has acknowledged what the chip has said last: now the chip changes its rate, if it was to."""
        if self._next_rate is not None and not self.keeps_rate:
            self.rate = self._next_rate
        self._next_rate = None

    def carry(self, data: bytes) -> bytes:
        """Return what arrives: noise, where the two sides are not at the same rate."""
        is_too_fast = self.rate_max is not None and self.rate > self.rate_max
        if self.host_rate is None or (self.host_rate == self.rate and not is_too_fast):
            return data
        return bytes(byte | 0x88 for byte in data[::2])
