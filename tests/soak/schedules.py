"""Schedules of `simulator.chaos`, and in them how often the service crashed at which point of its work.

Beside schedules as they are drawn there are those in which it crashes at every other request: what lies between COMMIT and the
ack that reaches the validator is where taps are doubled.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clearing.checkpoint import COMMITTED, SIGNED
from clearing.ingest.receiver import Receiver
from simulator.chaos.office import ServerCrash
from simulator.chaos.parts import Parts
from simulator.chaos.play import play
from simulator.chaos.pool import stage_in_memory
from simulator.chaos.report import DOUBLED, LOST, PHANTOM
from simulator.chaos.schedule import draw_schedule
from simulator.chaos.stage import START_MS
from simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from clearing.ingest.receiver import Answer
    from simulator.chaos.play import Outcome
    from simulator.chaos.schedule import Schedule
    from simulator.chaos.stage import Stage

TAPS = 1000
BETWEEN_COMMIT_AND_ACK = (COMMITTED, SIGNED)
_CRASH_RATE = 0.5


def as_drawn(seed: int) -> Schedule:
    return draw_schedule(World(seed, START_MS), TAPS)


def with_crashes(seed: int) -> Schedule:
    """Return a schedule in which almost every tap is sent alone, and the service crashes at every other request."""
    drawn = as_drawn(seed)
    rates = drawn.rates | {"crash": _CRASH_RATE}
    return replace(drawn, upload_interval_s=20, gap_ms=40_000, rates=rates)


def play_schedules(schedules: Iterable[Schedule]) -> tuple[Counter[str], list[str]]:
    """Play them; return counts, and the first broken promise of each that broke one."""
    counts: Counter[str] = Counter()
    faults = []
    with stage_in_memory() as (stage, folder):
        for schedule in schedules:
            outcome, crashes = _play(schedule, stage, folder)
            counts.update(crashes)
            counts.update(_counts(outcome))
            faults += [
                f"seed {schedule.seed}, {violation.invariant}: {violation.text}" for violation in outcome.violations[:1]
            ]
    return counts, faults


def _play(schedule: Schedule, stage: Stage, folder: Path) -> tuple[Outcome, Counter[str]]:
    crashes: Counter[str] = Counter()

    class CountingReceiver(Receiver):
        """It notes where it was when the service crashed."""

        def receive(self, message: bytes) -> Answer:
            try:
                return super().receive(message)
            except ServerCrash as crash:
                crashes[str(crash)] += 1
                raise

    parts = Parts()
    parts.office.receiver = CountingReceiver
    return play(schedule, stage, folder, parts), crashes


def _counts(outcome: Outcome) -> dict[str, Any]:
    broken = [violation.invariant for violation in outcome.violations]
    kinds = {
        kind: sum(invariant in names for invariant in broken)
        for kind, names in (("lost", LOST), ("doubled", DOUBLED), ("phantom", PHANTOM))
    }
    return {
        "schedules": 1,
        "taps": outcome.taps,
        "accepted": outcome.accepted,
        "cleared": outcome.cleared,
        "excused": outcome.excused,
        "power cuts": outcome.power_cuts,
        "crashes": outcome.server_crashes,
        "restores": outcome.restores,
        "requests": outcome.requests,
        "violations": len(broken),
        **kinds,
    }
