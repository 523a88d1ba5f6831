"""Makes a failing schedule small: leaves out riders and faults, by kind and one by one, while it still fails the same way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.chaos.play import play

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.chaos.parts import Parts
    from simulator.chaos.play import Outcome
    from simulator.chaos.schedule import Schedule
    from simulator.chaos.stage import Stage

_PLAYS_MAX = 120


class Minimiser:
    """Shrinks one failing schedule.

    Attributes:
        outcome: of the smallest schedule that fails so far.
        plays: how many it took.
    """

    def __init__(self, failed: Outcome, stage: Stage, folder: Path, parts: Parts | None = None) -> None:
        assert failed.violations
        self.outcome = failed
        self.plays = 0
        self._invariant = failed.violations[0].invariant
        self._stage = stage
        self._folder = folder
        self._parts = parts

    def run(self) -> Outcome:
        """Shrink as far as it goes, or as the bound allows, and return the smallest failure."""
        self._fewer_riders()
        for kind in sorted(self.outcome.struck):
            self._keep_if_it_fails(self.outcome.schedule.leaving_out([kind]))
        for _, kind, number in reversed(self.outcome.faults):
            self._keep_if_it_fails(self.outcome.schedule.leaving_out([f"{kind}:{number}"]))
        self._fewer_riders()
        return self.outcome

    def _fewer_riders(self) -> None:
        taps = self.outcome.schedule.taps
        step = taps // 2
        while step:
            if step < taps and self._keep_if_it_fails(replace(self.outcome.schedule, taps=taps - step)):
                taps -= step
            step //= 2

    def _keep_if_it_fails(self, schedule: Schedule) -> bool:
        if self.plays >= _PLAYS_MAX:
            return False
        self.plays += 1
        outcome = play(schedule, self._stage, self._folder, self._parts)
        fails = bool(outcome.violations) and outcome.violations[0].invariant == self._invariant
        if fails:
            self.outcome = outcome
        return fails


def replay_command(schedule: Schedule) -> str:
    """Return the command that plays a schedule again."""
    without = "".join(f" --without {fault}" for fault in sorted(schedule.without))
    return f"jolaqy-sim chaos --replay {schedule.seed} --taps {schedule.taps}{without}"
