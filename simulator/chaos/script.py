"""A world driven by a script, for the scenarios of the corpus: nothing goes wrong in it but what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from clearing.fleet.documents import DENY_LIST
from clearing.ingest.models import TapException, TapRow
from clearing.network.service_day import service_day
from protocol.tap import KIND_INTENT, KIND_SINGLE
from simulator.chaos import invariants
from simulator.chaos.books import close_days, fares_of
from simulator.chaos.crowd import Turn
from simulator.chaos.final import FINAL
from simulator.chaos.scene import Scene
from simulator.chaos.schedule import Schedule
from simulator.chaos.stage import ZONE
from simulator.flash import PowerCut

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

    from simulator.chaos.crowd import CardHolder, Crowd
    from simulator.chaos.stage import Stage
    from simulator.chaos.unit import Unit

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Script:
    """One validator, its riders and the service, at the hands of a script.

    Attributes:
        scene: the world.
        faults: what was not as expected.
    """

    def __init__(self, stage: Stage, folder: Path, sectors: int = 8) -> None:
        self.scene = Scene(Schedule(seed=0, taps=0, sectors=sectors), stage, folder)
        self.faults: list[str] = []
        self.unit.boot()
        self.wait(2 * SECOND_MS)

    @property
    def unit(self) -> Unit:
        return self.scene.units[0]

    @property
    def crowd(self) -> Crowd:
        return self.scene.crowds[0]

    def expect(self, holds: bool, text: str) -> None:
        """Note what should hold and does not."""
        if not holds:
            self.faults.append(text)

    # Time.

    def wait(self, duration_ms: int) -> None:
        self.scene.run_for(duration_ms)

    def wait_for(self, is_so: Callable[[], bool], what: str, within_ms: int = 2 * HOUR_MS) -> None:
        """Let time pass until something is so; it is a fault when it does not become so."""
        self.expect(self.scene.run_until(self.scene.world.now_ms + within_ms, is_so), f"never: {what}")

    # Riders.

    def cash(self, times: int = 1) -> None:
        """Let riders pay in cash, one after another."""
        for _ in range(times):
            self._serve(Turn())

    def card(self, number: int = 0) -> CardHolder:
        """Let a rider hold a card until it is answered."""
        holder = self.scene.holders[number]
        self._serve(Turn(holder=holder))
        return holder

    def press_cash_and_cut_at_the_light(self) -> None:
        """The power fails in the moment in which the light turns green."""
        see = self.unit.on_light
        self.unit.on_light = _fail
        assert self.unit.board is not None
        self.unit.board.driver.deliver(b"cash\n")
        self.unit.wake()
        self.unit.on_light = see
        self.expect(not self.unit.is_on, "the power failed")
        self.wait_for_power()

    def _serve(self, turn: Turn) -> None:
        self.crowd.serve(turn)
        self.wait_for(lambda: self.crowd.is_idle, "a rider is answered", 10 * MINUTE_MS)
        self.wait(SECOND_MS)

    # The vehicle and the service.

    def force(self, fault: str, times: int = 1) -> None:
        self.scene.run.faults.force(fault, times)

    def tunnel(self) -> None:
        self.unit.network.covered = False

    def daylight(self) -> None:
        self.unit.network.covered = True

    def cut(self) -> None:
        """The power fails, and comes back."""
        self.unit.cut()
        self.wait_for_power()

    def restore(self) -> None:
        """The database is replaced by its last copy, and people do what is to be done then."""
        self.scene.restore_database(self.scene.world.chance("restore"))

    def wait_for_power(self) -> None:
        self.wait_for(lambda: self.unit.is_on, "the validator is on again", 10 * MINUTE_MS)
        self.wait(2 * SECOND_MS)

    def come_home(self) -> None:
        """Let everything be sent."""
        self.daylight()
        self.wait_for(lambda: invariants.is_drained(self.scene, self.unit), "everything is sent")

    @property
    def list_held(self) -> bytes:
        """The entries of the validator's deny list."""
        return self.unit.files[DENY_LIST][: -invariants.TRAILER_BYTES]

    @property
    def stored(self) -> int:
        """Up to where the service has the journal."""
        return self.scene.stored.chain(self.unit.life).mark

    @property
    def reasons(self) -> set[str]:
        """Why there is something on the exceptions list."""
        with self.scene.office.database.reading() as session:
            rows = session.scalars(select(TapException.reason).where(TapException.device_id == self.unit.device))
            return set(rows)

    @property
    def odd_days(self) -> list[int]:
        """Sequences of taps that are counted on another day than today, and are not on the exceptions list."""
        today = service_day(ZONE, self.scene.world.now_ms // 1000)
        with self.scene.office.database.reading() as session:
            flagged = session.scalars(select(TapException.sequence).where(TapException.device_id == self.unit.device))
            odd = select(TapRow.sequence).where(
                TapRow.device_id == self.unit.device,
                TapRow.kind.in_((KIND_SINGLE, KIND_INTENT)),
                TapRow.service_day != today,
            )
            return sorted(set(session.scalars(odd)) - set(flagged))

    @property
    def cleared(self) -> int:
        """How many rides of the validator are in the books."""
        return sum(device == self.unit.device for device, _, _ in fares_of(self.scene))

    def finish(self) -> list[str]:
        """Come home, close the days, hold everything against the books, and return all faults."""
        self.come_home()
        close_days(self.scene.office, self.scene.world.now_ms + 2 * DAY_MS)
        accepted = len(self.unit.accepted)
        self.expect(self.cleared == accepted, f"{accepted} rides were accepted, {self.cleared} are cleared")
        for name, check in FINAL:
            self.scene.run.report(name, check(self.scene))
        return self.faults + [f"{each.invariant}: {each.text}" for each in self.scene.run.violations]


def _fail(colour: str, shown: list[str]) -> NoReturn:
    del colour, shown
    raise PowerCut
