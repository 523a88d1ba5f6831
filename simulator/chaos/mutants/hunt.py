"""Hunts mutants: plays schedules with one until an invariant finds it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simulator.chaos.mutants import MUTANTS, Mutant
from simulator.chaos.parts import Parts
from simulator.chaos.play import play
from simulator.chaos.schedule import MEDIA, draw_schedule
from simulator.chaos.stage import START_MS
from simulator.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.chaos.stage import Stage

SCHEDULES_MAX = 40
_TAPS = 100


@dataclass(frozen=True)
class Catch:
    """How a mutant was caught.

    Attributes:
        schedules: played until then.
        invariant: which found it; empty when none did.
    """

    name: str
    stands_for: str
    schedules: int
    invariant: str
    text: str

    @property
    def is_caught(self) -> bool:
        return bool(self.invariant)


CONTROL = Mutant(
    "nothing",
    "No bug at all: what is caught here is a fault of the simulation, or of the product.",
    (),
    {},
    lambda _: None,
)


def hunt(name: str, seed: int, stage: Stage, folder: Path, schedules_max: int = SCHEDULES_MAX) -> Catch:
    """Play schedules with a mutant until it is caught, or no more than so many."""
    mutant = find_mutant(name)
    for count in range(1, schedules_max + 1):
        world = World(seed + count - 1, START_MS)
        parts = Parts()
        mutant.break_parts(parts)
        schedule = replace(draw_schedule(world, _TAPS, needed=mutant.needs), **{"media": MEDIA} | mutant.changes)
        outcome = play(schedule, stage, folder, parts)
        if outcome.violations:
            violation = outcome.violations[0]
            return Catch(name, mutant.stands_for, count, violation.invariant, violation.text)
    return Catch(name, mutant.stands_for, schedules_max, "", "")


def find_mutant(name: str) -> Mutant:
    """Return the mutant of that name.

    Raises:
        KeyError: there is none.
    """
    return {mutant.name: mutant for mutant in (*MUTANTS, CONTROL)}[name]
