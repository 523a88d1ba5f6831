"""Plays one schedule: riders and faults, then faults stop, everybody comes home, days are closed, and everything is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.chaos import invariants
from simulator.chaos.books import close_days, fares_of
from simulator.chaos.crowd import Turn
from simulator.chaos.final import FINAL, rides_seen
from simulator.chaos.scene import Scene
from simulator.chaos.schedule import KINDS, draw_schedule
from simulator.chaos.stage import START_MS
from simulator.world import World

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from simulator.chaos.parts import Parts
    from simulator.chaos.run import Violation
    from simulator.chaos.schedule import Schedule
    from simulator.chaos.stage import Stage
    from simulator.chaos.unit import Unit

_TICK_MS = 20_000
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_LONGEST_MS = 12 * _HOUR_MS
_DRAIN_MS = 2 * _HOUR_MS
_TUNNEL_MS = (10_000, 900_000)
_SERVICE_DOWN_MS = (1_000, 120_000)
_JUMPS_MS = (3_000, 60_000, _HOUR_MS, _DAY_MS, 40 * _DAY_MS, 30 * 365 * _DAY_MS)


@dataclass(frozen=True)
class Outcome:
    """What came of a schedule.

    Attributes:
        taps: media held before validators, tries included.
        accepted, cleared: green lights, and rides in the books.
        excused: accepted taps that are not cleared because flash rotted, a copy drove, or a backup was too old.
        struck: how often each kind of fault struck.
    """

    schedule: Schedule
    taps: int
    accepted: int
    cleared: int
    excused: int
    power_cuts: int
    server_crashes: int
    restores: int
    requests: int
    struck: dict[str, int]
    violations: tuple[Violation, ...]
    trace_sha256: str
    trace: tuple[str, ...] = field(repr=False)
    faults: tuple[tuple[int, str, int], ...] = field(repr=False)

    def faults_in_words(self) -> list[str]:
        """What went wrong, and when: seconds since the beginning, as in the trace."""
        return [
            f"{(moment_ms - START_MS) / 1000:.3f} {kind}:{number} - {KINDS[kind].means}"
            for moment_ms, kind, number in self.faults
        ]


def play_seed(seed: int, taps: int, stage: Stage, folder: Path, parts: Parts | None = None) -> Outcome:
    """Draw the schedule of a seed and play it."""
    return play(draw_schedule(World(seed, START_MS), taps), stage, folder, parts)


def play(schedule: Schedule, stage: Stage, folder: Path, parts: Parts | None = None) -> Outcome:
    """Play a schedule."""
    scene = Scene(schedule, stage, folder, parts)
    try:
        _Play(scene).to_the_end()
        return _outcome(scene)
    finally:
        scene.close()


class _Play:
    """A schedule on its way."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._run = scene.run
        self._office = scene.office
        self._chance = scene.world.chance("ticks")

    def to_the_end(self) -> None:
        scene, run = self._scene, self._run
        for unit, crowd in zip(list(scene.units), list(scene.crowds), strict=True):
            unit.boot()
            crowd.begin()
        scene.world.after(_TICK_MS, self._tick)
        scene.run_until(START_MS + _LONGEST_MS, lambda: scene.turns_are_over)
        late = self._late_bus()
        leaving = run.faults.strike("retire")
        run.faults.end()
        scene.disarm()
        self._come_home(late)
        if leaving is not None and not scene.is_cloned and not run.violations:
            self._retire(late, leaving)
        self._close_days()
        if late is not None:
            late.network.covered = True
            self._offer_keys_again([late])
            self._drain([unit for unit in scene.units if unit.life == late.life and not unit.is_retired])
            self._close_days()
        if not run.violations:
            for name, check in FINAL:
                run.report(name, check(scene))

    # Faults that strike at any time.

    def _tick(self) -> None:
        if self._scene.turns_are_over:
            return
        for unit in list(self._scene.units):
            if not unit.is_retired:
                self._trouble(unit)
        self._scene.attacker.act()
        self._trouble_office()
        self._scene.world.after(_TICK_MS, self._tick)

    def _trouble(self, unit: Unit) -> None:
        strike, world = self._run.faults.strike, self._scene.world
        if strike("cut_any_time"):
            unit.cut()
        if chance := strike("clock_jump"):
            unit.rtc.jump(chance.choice(_JUMPS_MS) * chance.choice((-1, 1)))
        if strike("clock_dead"):
            unit.rtc.is_dead = True
        if chance := strike("flash_flip"):
            unit.flash.flip(chance.randrange(len(unit.nor.data)), chance.randrange(8))
        if chance := strike("flash_stuck"):
            unit.flash.stick(chance.randrange(len(unit.nor.data)))
        if chance := strike("tunnel"):
            unit.network.covered = False
            world.after(chance.randrange(*_TUNNEL_MS), lambda: self._leave_tunnel(unit))
        if self._scene.is_cloned or unit.task != "run":
            return
        # A copy of a validator that has another key meanwhile is no copy any more.
        if not any(each.has_new_key for each in self._scene.units) and strike("clone"):
            self._scene.clone(unit)
        elif strike("re_enrol"):
            self._scene.re_enrol(unit)
        elif unit.is_on and (chance := strike("device_key")):
            self._scene.change_device_key(unit, chance)

    def _leave_tunnel(self, unit: Unit) -> None:
        unit.network.covered = True

    def _trouble_office(self) -> None:
        office, strike = self._office, self._run.faults.strike
        if office.is_down:
            return
        if strike("backup"):
            office.back_up()
        if chance := strike("restore"):
            self._scene.restore_database(chance)
        if strike("migrate"):
            office.migrate()
        if chance := strike("list_change"):
            self._scene.changes.change_list(chance)
        if chance := strike("key_rotation"):
            self._scene.changes.rotate_key(chance)

    # The evening.

    def _late_bus(self) -> Unit | None:
        """Return the validator that stays in a tunnel until the day is closed, if there is one."""
        if not self._run.faults.strike("late_bus"):
            return None
        unit = next(unit for unit in self._scene.units if not unit.is_retired)
        unit.network.covered = False
        return unit

    def _come_home(self, late: Unit | None) -> None:
        """Faults have stopped: each card is held once more, which proves how its last debit ended; then all is sent."""
        scene = self._scene
        homely = [unit for unit in scene.units if unit is not late and not unit.is_retired]
        for unit in homely:
            unit.network.covered = True
        scene.run_for(_HOUR_MS // 2)
        self._offer_keys_again(homely)
        crowd = scene.crowds[scene.units.index(homely[0])] if homely else None
        for holder in scene.holders if crowd else ():
            assert crowd is not None
            scene.run_until(scene.world.now_ms + _HOUR_MS, lambda: crowd.is_idle)
            crowd.serve(Turn(holder=holder))
        scene.run_for(_HOUR_MS // 20)
        # What a copy has is judged when both are home: the service may have believed the one that comes late.
        self._drain([unit for unit in homely if late is None or unit.life != late.life])

    def _offer_keys_again(self, units: list[Unit]) -> None:
        """Whoever has a key that a restored service does not know, offers it again after the next start: at night."""
        scene = self._scene
        for unit in units:
            waits: Callable[[], bool] = lambda unit=unit: "rotation" in unit.files  # type: ignore[misc]  # noqa: E731
            if self._office.restores and unit.has_new_key and scene.run_until(scene.world.now_ms + _DRAIN_MS, waits):
                scene.start_anew(unit)

    def _retire(self, late: Unit | None, chance: random.Random) -> None:
        """One of those that have come home leaves for good."""
        for unit in self._scene.units:
            if unit is not late and not unit.is_retired and unit.is_on:
                self._scene.retire(unit, chance)
                return

    def _drain(self, units: list[Unit]) -> None:
        scene = self._scene
        until_ms = scene.world.now_ms + _DRAIN_MS
        is_done: Callable[[], bool] = lambda: all(invariants.is_drained(scene, unit) for unit in units)  # noqa: E731
        scene.run_until(until_ms, is_done)
        self._run.report("everything comes home", invariants.check_drained(scene, units))

    def _close_days(self) -> None:
        scene = self._scene
        if self._run.violations:
            return
        close_days(self._office, scene.world.now_ms + 2 * _DAY_MS)


def _outcome(scene: Scene) -> Outcome:
    run = scene.run
    fares = {} if run.violations else fares_of(scene)
    struck: dict[str, int] = {}
    for _, name, _ in run.faults.struck:
        struck[name] = struck.get(name, 0) + 1
    return Outcome(
        schedule=scene.schedule,
        taps=sum(crowd.presented for crowd in scene.crowds),
        accepted=sum(len(unit.accepted) for unit in scene.units),
        cleared=len(fares),
        excused=sum(ride.excuse != "" for ride in rides_seen(scene)),
        power_cuts=sum(unit.power_cuts for unit in scene.units),
        server_crashes=scene.office.crashes,
        restores=scene.office.restores,
        requests=sum(unit.network.requests for unit in scene.units),
        struck=struck,
        violations=tuple(run.violations),
        trace_sha256=run.trace_sha256(),
        trace=tuple(run.lines),
        faults=tuple(run.faults.struck),
    )
