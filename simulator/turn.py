"""One rider's turn at a validator, from the first try to a light that settles it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.bus import Bus


class Turn:
    """One turn.

    Attributes:
        medium, category: what is presented, and of whom.
        present: puts the medium before the validator (`attempt` counts from 0) and returns what takes it away again.
        holds_on: the rider expects money to come onto the card, and holds it until the validator says that it is there, or waits.
        attempt: tries so far.
        is_accepted: a green light was seen.
    """

    def __init__(
        self,
        medium: str,
        category: int,
        present: Callable[[Bus, int], Callable[[], None]],
        *,
        holds_on: bool = False,
    ) -> None:
        self.medium = medium
        self.category = category
        self.present = present
        self.holds_on = holds_on
        self.attempt = 0
        self.is_accepted = False
        self.take_away: Callable[[], None] | None = None
