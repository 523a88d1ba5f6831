"""What all parts of one simulated schedule share: the world, the faults, the trace, and what was found to be wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.chaos.schedule import Faults

if TYPE_CHECKING:
    from simulator.chaos.parts import Parts
    from simulator.chaos.schedule import Schedule
    from simulator.world import World


@dataclass(frozen=True)
class Violation:
    """A promise that was broken.

    Attributes:
        invariant: its name.
        text: where and how.
    """

    invariant: str
    text: str


class Run:
    """One schedule being played.

    Attributes:
        violations: what was found, in order.
        lines: the trace.
    """

    def __init__(self, world: World, schedule: Schedule, parts: Parts) -> None:
        self.world = world
        self.schedule = schedule
        self.parts = parts
        self.faults = Faults(world, schedule)
        self.violations: list[Violation] = []
        self.lines: list[str] = []
        self._started_ms = world.now_ms

    def trace(self, line: str) -> None:
        self.lines.append(f"{(self.world.now_ms - self._started_ms) / 1000:.3f} {line}")

    def trace_sha256(self) -> str:
        """Name the trace: the same seed must give the same one."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    def report(self, invariant: str, texts: list[str]) -> None:
        """Note what an invariant found."""
        for text in texts:
            self.trace(f"VIOLATION {invariant}: {text}")
            self.violations.append(Violation(invariant, text))
