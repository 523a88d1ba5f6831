"""What a simulated world is made of. Production parts, unless a mutant hands in others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clearing.ingest.receiver import Receiver
from clearing.settlement.closing import run_close
from firmware import app
from firmware.loop import Loop
from simulator.chaos.board import ChaosBoard

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any


class WatchedLoop(Loop):
    """A loop that can be ended in the middle of everything, as by a power cut."""

    def __init__(self, board: ChaosBoard) -> None:
        super().__init__(board)
        self._spawned: list[Coroutine[Any, Any, Any]] = []

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._spawned.append(coroutine)
        super().spawn(coroutine)

    def end(self) -> None:
        """End every task where it stands."""
        for coroutine in self._spawned:
            coroutine.close()


class OfficeParts:
    """What the back office is made of."""

    def __init__(self) -> None:
        self.receiver: Callable[..., Receiver] = Receiver
        self.close: Callable[..., object] = run_close


class Parts:
    """What a world is made of.

    Attributes:
        validator: parts of the validator, see `firmware.app.Parts`.
        board: makes a board.
        office: parts of the back office.
    """

    def __init__(self) -> None:
        self.validator = app.Parts()
        self.validator.loop = WatchedLoop
        self.board: Callable[..., ChaosBoard] = ChaosBoard
        self.office = OfficeParts()
