"""A whole world for one schedule: the back office, validators in vehicles, riders, network and attacker; and who watches them.

A schedule drives it by chance (`play`), a scenario of the corpus by a script.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from clearing.fleet.documents import DENY_LIST, FARE_TABLE
from protocol import cbor, cose
from protocol.ack import decode_ack
from protocol.errors import ProtocolError
from simulator.chaos import invariants
from simulator.chaos.attacker import Attacker
from simulator.chaos.changes import Changes
from simulator.chaos.crowd import Crowd, issue_cards, issue_tickets
from simulator.chaos.network import Network
from simulator.chaos.office import Office
from simulator.chaos.parts import Parts
from simulator.chaos.run import Run
from simulator.chaos.stage import CITY, CITY_NUMBER, START_MS, VEHICLES, enrol_board
from simulator.chaos.stored import Stored
from simulator.chaos.unit import Unit
from simulator.world import World

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from simulator.chaos.schedule import Schedule
    from simulator.chaos.stage import Stage

_CARDS = 12
_TICKETS = 30
_OFF_MS = (300, 40_000)
_TECHNICIAN_WAITS_MS = 600_000
_TECHNICIAN_LEAVES_MS = 120_000
_LEAVES_WITHIN_MS = 7_200_000
_WAITS_OF_ROTATION = 40
_OK = b"HTTP/1.1 200 "


class Scene:
    """The world of one schedule.

    Attributes:
        units: the validators; clones come last.
        crowds: the riders of each.
        is_cloned: two validators claim to be one.
        unrefillable: (life, sequence) of what was restored away after the validator had rightly forgotten it.
    """

    def __init__(self, schedule: Schedule, stage: Stage, folder: Path, parts: Parts | None = None) -> None:
        self.stage = stage
        self.schedule = schedule
        self.world = World(schedule.seed, START_MS)
        self.run = Run(self.world, schedule, parts or Parts())
        # One schedule after another in each process.
        path = folder / f"{os.getpid()}.db"
        shutil.copyfile(stage.database, path)
        self.office = Office(self.world, path, stage.key_store(), self.run.parts.office)
        self.stored = Stored(path)
        self.stored.catch_up()  # what was there before the first validator started is nobody's
        self.office.on_answer = self._see_answer
        self.changes = Changes(self.office, CITY)
        self.attacker = Attacker(self.world, self.office, self.run.faults, stage.stolen, self.office.keys.ack.kid, CITY)
        chance, now_s = self.world.chance("wallets"), START_MS // 1000
        self.holders = issue_cards(chance, _CARDS, CITY_NUMBER, stage.keys, now_s)
        self.tickets = issue_tickets(_TICKETS, CITY_NUMBER, stage.keys, now_s)
        self.units: list[Unit] = []
        self.crowds: list[Crowd] = []
        self.is_cloned = False
        self.unrefillable: set[tuple[tuple[bytes, int], int]] = set()
        self._answers_since_restore: set[bytes] = set()
        self._told: set[str] = set()
        self._enrolments = 0
        self._turns_left = schedule.taps
        self._power = self.world.chance("power")
        for vehicle in VEHICLES[: schedule.buses]:
            files = dict(stage.stores[vehicle])
            if not schedule.brings_documents:
                del files[FARE_TABLE], files[DENY_LIST]
            device, _ = cbor.decode(files["identity"])
            self.add_unit(Unit(self.run, vehicle, device, files))

    def add_unit(self, unit: Unit) -> Unit:
        """Put a validator into a vehicle with a network and riders."""
        unit.network = Network(
            self.world, unit.name, self.office, self.run.faults, self.attacker, unit.wake, self.run.trace
        )
        unit.network.on_flood = lambda text: self.run.report("retries are bounded", [text])
        unit.network.on_arrival = lambda answer: (
            self._told.add(unit.name) if answer in self._answers_since_restore else None
        )
        unit.on_erase = lambda sequences: self._note_erased(unit, sequences)
        unit.on_store = lambda name: self._see_store(unit, name)
        unit.was_stored = lambda sequence, record: self._is_stored(unit, sequence, record)
        crowd = Crowd(self.run, unit, self.holders, self.tickets, self._take_turn)
        lose_power = unit.on_power_loss
        unit.on_power_loss = lambda: self._come_back(unit, lose_power)
        self.units.append(unit)
        self.crowds.append(crowd)
        return unit

    def close(self) -> None:
        """Leave nothing behind."""
        for unit in self.units:
            unit.switch_off()
        self.stored.close()
        self.office.stop()
        self.office.remove()

    # Time.

    def run_until(self, until_ms: int, is_done: Callable[[], bool] = lambda: False) -> bool:
        """Let everything happen up to a moment, or until it is done; return whether it was."""
        while not self.run.violations and not is_done():
            next_ms = self.world.next_event_ms()
            if next_ms is None or next_ms > until_ms:
                self.world.now_ms = max(self.world.now_ms, until_ms)
                break
            self.world.run_next()
            self.run.report("the acknowledged mark is durable", invariants.check_marks(self))
        return is_done()

    def run_for(self, duration_ms: int) -> None:
        self.run_until(self.world.now_ms + duration_ms)

    # Who watches.

    def _take_turn(self) -> bool:
        self._turns_left -= 1
        return self._turns_left >= 0

    @property
    def turns_are_over(self) -> bool:
        """Whether every rider has had a turn, and no technician waits."""
        waits = any(
            crowd.is_retired and not unit.is_retired for unit, crowd in zip(self.units, self.crowds, strict=True)
        )
        return self._turns_left <= 0 and not waits and all(crowd.is_idle for crowd in self.crowds)

    def _come_back(self, unit: Unit, lose_power: Callable[[], None]) -> None:
        """The power of a vehicle comes back by itself."""
        lose_power()
        self.world.after(self._power.randrange(*_OFF_MS), lambda: None if unit.is_on else unit.boot())

    def _see_answer(self, answer: bytes | None) -> None:
        """The service has answered, or crashed: look what is durable, and whether the answer promises more."""
        report = self.run.report
        report("the service never fails", [self.office.failures.pop() for _ in list(self.office.failures)])
        report("what is stored was journalled", invariants.check_stored_was_journalled(self, self.stored.catch_up()))
        if self.office.is_down:
            self.run.trace("the service has crashed")
            self.world.after(self._power.randrange(*_OFF_MS), self.office.start)
        if answer is None or not answer.startswith(_OK):
            return
        try:
            ack = decode_ack(cose.parse(answer.partition(b"\r\n\r\n")[2]).payload)
        except ProtocolError:
            return  # a document
        report("no ack for what is not durable", invariants.check_ack_is_durable(self, ack))
        if self.office.restores:
            self._answers_since_restore.add(answer)

    def _see_store(self, unit: Unit, name: str) -> None:
        """A small file of a validator is about to change."""
        if name == DENY_LIST:
            self.run.report("a list is what was issued", invariants.check_list(self, unit))
        elif name == "retired":
            self.run.report("nobody leaves before all is said", invariants.check_may_leave(self, unit))

    def _is_stored(self, unit: Unit, sequence: int, record: bytes) -> bool:
        if (unit.life, sequence, record) in self.stored.ever:
            return True
        # Two faults at once: where records lie that rotted, a copy cannot tell the other's chain from its own.
        return self.is_cloned and (unit.flash.has_rotted or self.stored.is_evidence(unit.life, sequence, record))

    def _note_erased(self, unit: Unit, sequences: list[int]) -> None:
        """What goes before the validator can know that the back office was restored, cannot be refilled."""
        if self.office.restores and not self.knows_of_restore(unit):
            self.unrefillable |= {(unit.life, sequence) for sequence in sequences}

    # What happens to the world.

    def disarm(self) -> None:
        """Take back what was prepared and has not happened yet."""
        for unit in self.units:
            unit.nor.cut_after_bytes = unit.waits_to_cut = None

    def restore_database(self, chance: random.Random) -> None:
        """The back office loses what came after its last backup; what no validator has any more is gone."""
        if not self.office.restore():
            return
        self.run.trace("the database is restored from its backup")
        before = {life: dict(chain.records) for life, chain in self.stored.chains.items()}
        self.stored.close()
        self.stored.open()
        self.stored.catch_up()
        self.changes.lift_numbers(chance)
        self._answers_since_restore.clear()
        self._told.clear()
        # A validator sends records of its present life only.
        living = [unit for unit in self.units if not unit.is_retired]
        kept = {(unit.life, sequence) for unit in living for sequence in unit.flash.present}
        for life, records in before.items():
            missing = records.keys() - self.stored.chain(life).records.keys()
            self.unrefillable |= {(life, sequence) for sequence in missing} - kept
        for unit in self.units:
            if not unit.is_retired and self.stored.epoch_of(unit.device) < unit.epoch:
                self.world.after(_TECHNICIAN_WAITS_MS, lambda unit=unit: self._enrol_again(unit))  # type: ignore[misc]

    def _enrol_again(self, unit: Unit) -> None:
        """The backup was older than the validator's enrolment: a technician repeats it, and it gets the same epoch again."""
        if self.office.is_down or self.office.is_busy:
            self.world.after(_TECHNICIAN_WAITS_MS, lambda: self._enrol_again(unit))
        elif self.stored.epoch_of(unit.device) < unit.epoch:
            self.run.trace(f"{unit.name} is enrolled again")
            unit.switch_off()
            self._enrol(unit)
            unit.boot()

    def _enrol(self, unit: Unit) -> dict[str, bytes]:
        self._enrolments += 1
        return enrol_board(self.office, unit.name.partition("/")[0], unit.files, 1 + self._enrolments)

    def re_enrol(self, unit: Unit) -> None:
        """A technician enrols a validator anew, once it has sent everything: sequences begin again, in another epoch."""
        crowd = self.crowds[self.units.index(unit)]
        crowd.is_retired = True
        self._re_enrol_when_drained(unit, crowd, self.world.now_ms + _TECHNICIAN_WAITS_MS)

    def _re_enrol_when_drained(self, unit: Unit, crowd: Crowd, until_ms: int) -> None:
        if self.is_cloned or self.world.now_ms >= until_ms:
            crowd.is_retired = False
            crowd.begin()
        elif crowd.is_idle and invariants.is_drained(self, unit) and not (self.office.is_down or self.office.is_busy):
            self._enrol_anew(unit)
        else:
            self.world.after(1_000, lambda: self._re_enrol_when_drained(unit, crowd, until_ms))

    def _enrol_anew(self, unit: Unit) -> None:
        self.run.trace(f"{unit.name} is enrolled anew")
        unit.switch_off()
        unit.is_retired = True
        files = self._enrol(unit)
        name = f"{unit.name.partition('/')[0]}/{unit.epoch + 1}"
        successor = self.add_unit(Unit(self.run, name, unit.device, files, unit.epoch + 1, unit))
        successor.boot()
        self.crowds[-1].begin()

    def change_device_key(self, unit: Unit, chance: random.Random) -> None:
        """A technician lets a validator change its key; the power may fail meanwhile, and nobody waits for long."""
        if unit.has_new_key and "restore" in self.schedule.rates:
            return  # of two changes since a backup the first is nowhere any more: the validator would have to enrol
        self.run.trace(f"{unit.name} changes its key")
        unit.switch_off()
        unit.has_new_key = True
        unit.boot("rotate")
        if unit.is_on and chance.random() < 0.5:
            unit.waits_to_cut = chance.randrange(_WAITS_OF_ROTATION)
        self.world.after(_TECHNICIAN_LEAVES_MS, lambda: self._leave_to_itself(unit))

    def _leave_to_itself(self, unit: Unit) -> None:
        """The technician goes: the validator serves again, and goes on with its new key by itself."""
        if unit.is_on and unit.task == "rotate":
            unit.switch_off()
            unit.boot()

    def start_anew(self, unit: Unit) -> None:
        """A night: what a validator does after a start only, it does now."""
        self.run.trace(f"{unit.name} is switched off for the night")
        unit.switch_off()
        unit.boot()

    def retire(self, unit: Unit, chance: random.Random) -> None:
        """A validator leaves for good: it says its last word and erases itself; the power may fail in that, too."""
        self.run.trace(f"{unit.name} shall leave")
        unit.switch_off()
        unit.boot("retire")
        if chance.random() < 0.5:
            unit.cut_at_erase = chance.randrange(1, self.schedule.sectors + 1)
        has_left: Callable[[], bool] = lambda: unit.files.get("retired") is not None  # noqa: E731
        self.run_until(self.world.now_ms + _LEAVES_WITHIN_MS, has_left)
        self.run.report("a validator can leave", [] if has_left() else [f"{unit.name} has not left"])
        unit.is_retired = True
        unit.switch_off()

    def knows_of_restore(self, unit: Unit) -> bool:
        """Whether an answer has reached a validator that the back office gave after it was restored."""
        return unit.name in self._told

    def clone(self, unit: Unit) -> Unit:
        """Somebody copies a validator, keys and flash, and drives with both."""
        self.run.trace(f"{unit.name} is cloned")
        self.is_cloned = True
        twin = self.add_unit(Unit(self.run, f"{unit.name}-twin", unit.device, dict(unit.files), unit.epoch))
        unit.flash.copy_onto(twin.flash)
        twin.boots = 1000
        twin.boot()
        self.crowds[-1].begin()
        return twin
