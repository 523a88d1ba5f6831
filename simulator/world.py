"""The only source of time and chance in a simulation: a virtual clock, an event queue and named streams of chance.

Events at the same moment run in the order in which they were asked for. A stream of chance depends on the seed and on its
own name alone, so that a new user of chance does not shift the others' draws. Nothing here sleeps or reads a real clock.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class World:
    """One simulated world.

    Attributes:
        seed: decides every draw of chance.
        now_ms: virtual unix time, milliseconds.
    """

    def __init__(self, seed: int, now_ms: int) -> None:
        self.seed = seed
        self.now_ms = now_ms
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0

    def chance(self, name: str) -> random.Random:
        """Return the stream of chance of that name, at its beginning."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return random.Random(int.from_bytes(digest[:8], "big"))

    def at(self, when_ms: int, action: Callable[[], None]) -> None:
        """Run `action` at that moment, or now when it has passed."""
        self._order += 1
        heapq.heappush(self._queue, (max(when_ms, self.now_ms), self._order, action))

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        self.at(self.now_ms + delay_ms, action)

    def next_event_ms(self) -> int | None:
        """Return the moment of the next event, or None."""
        return self._queue[0][0] if self._queue else None

    def run_next(self) -> None:
        """Run the next event at its moment."""
        self.now_ms, _, action = heapq.heappop(self._queue)
        action()
