"""Counts the firmware's instructions between two waits, and notes what it does when."""

from __future__ import annotations

import uctypes
from emulated import instructions
from micropython import const

# Memory beyond the program and outside of the heap: notes cost the firmware nothing.
_NOTES_ADDRESS = const(0x21C00000)
_NOTES_MAX = const(200_000)
_MASK = const(0x3FFFFFFF)
_TRIES = const(16)
KINDS = ("resume", "write", "light", "program", "read", "erase", "wait")
RESUME, WRITE, LIGHT, PROGRAM, READ, ERASE, WAIT = range(7)


class Meter:
    """Counts from `resume` to a note, less what is done between `enter` and `leave`: what the board does that plays along."""

    def __init__(self) -> None:
        layout = {"words": (uctypes.ARRAY, uctypes.UINT32 | 2 * _NOTES_MAX)}
        self._words = uctypes.struct(_NOTES_ADDRESS, layout).words
        self._count = 0
        self._begun = self._entered = self._spent = self._calls = 0
        self._a_call = 0
        self.resume()
        for _ in range(_TRIES):
            self.enter()
            self.leave()
        self._a_call = ((instructions() - self._begun & _MASK) - self._spent) // _TRIES

    def resume(self) -> None:
        self._spent = self._calls = 0
        self._begun = instructions()

    def enter(self) -> None:
        self._entered = instructions()

    def leave(self) -> None:
        self._calls += 1
        self._spent += instructions() - self._entered & _MASK

    def note(self, kind: int, value: int = 0) -> None:
        """Note what happens at the last `enter`."""
        at = self._count
        since = (self._entered - self._begun & _MASK) - self._spent - self._calls * self._a_call
        self._words[2 * at] = kind << 16 | value
        self._words[2 * at + 1] = max(since, 0)
        self._count = at + 1

    def tell(self) -> None:
        """Print all notes: kind, value, instructions since the firmware was last resumed."""
        for at in range(self._count):
            head = self._words[2 * at]
            print(KINDS[head >> 16], head & 0xFFFF, self._words[2 * at + 1])
