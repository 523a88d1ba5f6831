"""Where the vehicle is, as the driver's console says."""

from __future__ import annotations


class Place:
    """Where the vehicle is, as the driver's console says.

    Attributes:
        line, trip, stop: numbers; None while not yet told.
    """

    def __init__(self, line: int, trip: int | None = None) -> None:
        self.line: int | None = line
        self.trip = trip
        self.stop: int | None = None

    def take(self, words: list[str]) -> bool:
        """Take `line N`, `trip N` or `stop N`; return whether it was one of them."""
        if len(words) != 2 or words[0] not in {"line", "trip", "stop"} or not words[1].isdigit():
            return False
        number = int(words[1])
        if number > 0xFFFF:
            return False
        if words[0] == "line":
            self.line = number
        elif words[0] == "trip":
            self.trip = number
        else:
            self.stop = number
        return True
