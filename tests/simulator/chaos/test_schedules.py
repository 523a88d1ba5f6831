"""A schedule of the chaos holds, is the same twice, and one that fails can be made small and played again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from simulator.chaos.minimise import Minimiser, replay_command
from simulator.chaos.mutants.hunt import find_mutant
from simulator.chaos.parts import Parts
from simulator.chaos.play import play, play_seed
from simulator.chaos.schedule import KINDS, Faults, Schedule, draw_schedule
from simulator.chaos.stage import START_MS
from simulator.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.chaos.stage import Stage


_SELDOM = ("device_key", "forge_key_set", "key_rotation", "list_change", "retire")


@pytest.mark.parametrize("seed", range(1, 4))
def test_nothing_is_lost_while_keys_and_lists_change_and_validators_leave(
    seed: int, stage: Stage, folder: Path
) -> None:
    rates = {name: KINDS[name].rates[1] for name in (*_SELDOM, "lose_request", "lose_answer", "cut_at_store")}
    outcome = play(replace(draw_schedule(World(seed, START_MS), 80), rates=rates), stage, folder)
    assert outcome.violations == ()
    assert outcome.struck.keys() >= {"list_change", "key_rotation", "device_key", "retire"}
    assert any("says the new key counts" in line for line in outcome.trace) or "cut_at_store" in outcome.struck


def test_the_same_seed_gives_the_same_trace(stage: Stage, folder: Path) -> None:
    first, second = (play_seed(11, 40, stage, folder) for _ in range(2))
    assert first.trace == second.trace
    assert first.trace_sha256 == second.trace_sha256
    assert first.trace_sha256 != play_seed(12, 40, stage, folder).trace_sha256


def test_without_faults_everything_is_cleared(stage: Stage, folder: Path) -> None:
    outcome = play(Schedule(seed=5, taps=30), stage, folder)
    assert outcome.violations == ()
    assert outcome.struck == {}
    assert outcome.excused == outcome.power_cuts == 0
    assert outcome.accepted == outcome.cleared >= 20


def test_a_fault_that_is_left_out_shifts_no_other() -> None:
    def struck(schedule: Schedule) -> list[tuple[int, str, int]]:
        faults = Faults(World(3, START_MS), schedule)
        for _ in range(50):
            for name in ("torn", "tunnel"):
                faults.strike(name)
        return faults.struck

    schedule = Schedule(seed=3, rates={"torn": 0.3, "tunnel": 0.3})
    everything = struck(schedule)
    assert struck(schedule.leaving_out(["torn"])) == [fault for fault in everything if fault[1] == "tunnel"]
    assert struck(schedule.leaving_out(["torn:2"])) == [fault for fault in everything if fault[1:] != ("torn", 2)]


def test_every_kind_of_fault_is_drawn_by_some_seed() -> None:
    drawn = {name for seed in range(200) for name in draw_schedule(World(seed, START_MS), 10).rates}
    assert drawn == set(KINDS)


def test_a_failing_schedule_is_made_small_and_can_be_played_again(stage: Stage, folder: Path) -> None:
    parts = Parts()
    find_mutant("ack-before-commit").break_parts(parts)
    failed = play(draw_schedule(World(7, START_MS), 60, needed=["crash"]), stage, folder, parts)
    assert failed.violations
    small = Minimiser(failed, stage, folder, parts).run()
    assert set(small.struck) == {"crash"}
    assert small.schedule.taps < failed.schedule.taps
    assert small.violations[0].invariant == failed.violations[0].invariant
    assert play(small.schedule, stage, folder, parts).trace == small.trace
    command = replay_command(small.schedule)
    assert command.startswith(f"jolaqy-sim chaos --replay 7 --taps {small.schedule.taps}")
