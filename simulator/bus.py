"""A bus of the simulation: its validator (a real process), its door, its driver's terminal, its network and its mishaps.

Riders stand in one queue and take turns; a rider holds a medium, watches the light, and tries again when asked to. What the
bus notes of a ride is what a person standing beside the validator could note: the light, and the number on the display. It
knows nothing of journals, batches or clearing, and is therefore a witness against all three.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.decisions import (
    DECISION_MEDIUM_FAULT,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_QR_STALE,
    DECISION_TORN,
    DECISION_TWO_MEDIA,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.camera import QrScanner
    from simulator.city import StopVisit
    from simulator.network import Network
    from simulator.pn532_chip import Pn532Chip
    from simulator.process import ValidatorProcess
    from simulator.turn import Turn
    from simulator.world import World

_NEXT_RIDER_MS = 1_500
_TRY_AGAIN_MS = 1_800
_NO_LIGHT_MS = 5_000
_TRIES_MAX = 5
_OFF_MS = 25_000
# Reasons for which a rider holds the medium again: torn away, two media, outcome unknown, medium fault, code unreadable.
_WORTH_ANOTHER_TRY = frozenset(
    {DECISION_TORN, DECISION_TWO_MEDIA, DECISION_OUTCOME_UNKNOWN, DECISION_MEDIUM_FAULT, DECISION_QR_STALE}
)


@dataclass(frozen=True)
class Acceptance:
    """One green light, as seen from beside the validator: who held what, and the fare on the display."""

    medium: str
    category: int
    fare_minor: int
    at_ms: int


class DriverTerminal:
    """The driver's buttons and what the driver's console says of line, trip and stop: text lines on a UART."""

    def __init__(self) -> None:
        self._waiting = b""

    def say(self, text: str) -> None:
        self._waiting += text.encode() + b"\n"

    def receive_data(self, data: bytes, now_ms: int) -> None:
        """Nothing is said to the driver yet."""

    def data_to_send(self, now_ms: int) -> bytes:
        del now_ms
        waiting, self._waiting = self._waiting, b""
        return waiting

    def next_timeout_ms(self) -> int | None:
        return 0 if self._waiting else None


class Bus:
    """One vehicle with one validator.

    Attributes:
        accepted: every green light, once for each tap number shown.
        presented: media held before the validator, tries included.
        refused: red lights by decision code.
        loaded: money that came onto a card here, tiyn, by the number shown.
        power_cuts: how often the power failed.
        device: id of its validator, where the vehicle has more than one.
    """

    def __init__(
        self,
        world: World,
        code: str,
        network: Network,
        chip: Pn532Chip,
        camera: QrScanner,
        driver: DriverTerminal,
        start: Callable[[Callable[[str], None]], ValidatorProcess],
    ) -> None:
        self.world = world
        self.code = code
        self.network = network
        self.chip = chip
        self.camera = camera
        self.driver = driver
        self.process = start(self._hear)
        self.epoch = 1
        self.accepted: dict[tuple[int, int], Acceptance] = {}
        self.presented = 0
        self.refused: dict[int, int] = {}
        self.loaded: dict[tuple[int, int], int] = {}
        self.power_cuts = 0
        self.device = ""
        self.unsettled = 0
        self._queue: deque[Turn] = deque()
        self._turn: Turn | None = None
        self._shown: list[str] = []
        self._lights: list[tuple[str, list[str]]] = []
        self._generation = 0
        self._wakes_to_cut: int | None = None
        self._cut_at_next_boot: int | None = None
        self._place: list[str] = []

    # The world acts on the bus.

    def boot(self, cut_after_bytes: int | None = None) -> None:
        """Switch the validator on; with `cut_after_bytes` its power fails again at that byte written to flash."""
        self.process.boot(self.world.now_ms, cut_after_bytes)
        if not self.process.is_alive():
            self._power_is_gone()
            return
        for line in self._place:
            self.driver.say(line)
        self.wake()

    def visit(self, visit: StopVisit, riders: list[Turn]) -> None:
        """Stand at a stop: the console tells the validator where it is, and riders join the queue."""
        self.network.covered = visit.covered
        self._place = [f"line {visit.line}", f"trip {visit.trip}", f"stop {visit.stop}"]
        for line in self._place:
            self.driver.say(line)
        self._queue.extend(riders)
        if self._turn is None and self._queue:
            self._next_rider()
        self.wake()

    def join(self, turn: Turn) -> None:
        """Somebody comes to the end of the queue while the bus stands here."""
        self._queue.append(turn)
        if self._turn is None:
            self._next_rider()

    def cut_power(self) -> None:
        """The power fails now; it comes back after a while, and riders who saw no light try again."""
        if not self.process.is_alive():
            return
        self.process.kill()
        self._power_is_gone()

    def cut_power_in_next_turn(self, wakes: int) -> None:
        """Let the power fail after so many exchanges with the validator within the next rider's turn."""
        self._wakes_to_cut = wakes

    def cut_power_while_writing(self, after_bytes: int) -> None:
        """Cut the power now, and again, after the next start, at that byte written to flash."""
        self._cut_at_next_boot = after_bytes
        self.cut_power()

    def wake(self) -> None:
        """Let the validator run until it waits again, and come back when it wants to be woken."""
        if not self.process.is_alive():
            return
        deadline_ms = self.process.run_until_idle(self.world.now_ms)
        self._generation += 1
        generation = self._generation
        self._tell_apart_what_was_seen()
        if not self.process.is_alive():
            self._power_is_gone()
            return
        if self._turn is not None and self._wakes_to_cut is not None:
            self._wakes_to_cut -= 1
            if self._wakes_to_cut < 0:
                self._wakes_to_cut = None
                self.cut_power()
                return
        if deadline_ms is not None:
            self.world.at(deadline_ms, lambda: self._wake_if_nothing_came_first(generation))

    def _wake_if_nothing_came_first(self, generation: int) -> None:
        if generation == self._generation:
            self.wake()

    def _power_is_gone(self) -> None:
        self.power_cuts += 1
        self._generation += 1
        self._shown = []
        if self._turn is not None:
            self._take_away()
            self.world.after(_OFF_MS + _TRY_AGAIN_MS, self._settle_or_try_again(self._turn))
        cut = self._cut_at_next_boot
        self._cut_at_next_boot = None
        self.world.after(_OFF_MS, lambda: self.boot(cut))

    # Riders take turns.

    def _next_rider(self) -> None:
        self._turn = self._queue.popleft() if self._queue else None
        if self._turn is not None:
            self._present(self._turn)

    def _present(self, turn: Turn) -> None:
        if not self.process.is_alive():
            self.world.after(_TRY_AGAIN_MS, self._settle_or_try_again(turn))
            return
        self.presented += 1
        attempt = turn.attempt
        turn.attempt += 1
        turn.take_away = turn.present(self, attempt)
        self.world.after(_NO_LIGHT_MS, self._give_up_on(turn, turn.attempt))
        self.wake()

    def _give_up_on(self, turn: Turn, attempt: int) -> Callable[[], None]:
        def act() -> None:
            if self._turn is turn and turn.attempt == attempt and self.process.is_alive():
                if turn.is_accepted:
                    self._finish()
                    self.wake()
                    return
                self._take_away()
                self.wake()
                self._settle_or_try_again(turn)()

        return act

    def _settle_or_try_again(self, turn: Turn) -> Callable[[], None]:
        def act() -> None:
            if self._turn is not turn:
                return
            if turn.attempt < _TRIES_MAX:
                self._present(turn)
            else:
                self.unsettled += 1
                self._finish()

        return act

    def _take_away(self) -> None:
        if self._turn is not None and self._turn.take_away is not None:
            self._turn.take_away()
            self._turn.take_away = None

    def _finish(self) -> None:
        """The rider goes in (or away); the next one is at the validator a moment later."""
        self._take_away()
        self._turn = None
        self.world.after(_NEXT_RIDER_MS, self._next_if_free)

    def _next_if_free(self) -> None:
        if self._turn is None:
            self._next_rider()

    # The validator acts on the world.

    def _hear(self, line: str) -> None:
        if line.startswith("show "):
            self._shown = line.split()[1:]
        elif line.startswith("light ") and self._shown:
            self._lights.append((line.split()[1], self._shown))

    def _tell_apart_what_was_seen(self) -> None:
        lights, self._lights = self._lights, []
        for colour, shown in lights:
            if shown[0] in {"ok", "again"}:
                self._note_acceptance(shown)
            elif shown[0] in {"loaded", "later"}:
                self._note_top_up(shown)
            elif colour == "red" and shown[0] == "refused":
                self._note_refusal(int(shown[1]))

    def _note_acceptance(self, shown: list[str]) -> None:
        turn = self._turn
        sequence, fare_minor = int(shown[1]), int(shown[2])
        medium, category = (turn.medium, turn.category) if turn else ("unknown", 0)
        key = (self.epoch, sequence)
        if key not in self.accepted:
            self.accepted[key] = Acceptance(medium, category, fare_minor, self.world.now_ms)
        if turn is not None:
            turn.is_accepted = True
            if not turn.holds_on:
                self._finish()

    def _note_top_up(self, shown: list[str]) -> None:
        if shown[0] == "loaded":
            self.loaded[self.epoch, int(shown[1])] = int(shown[2])
        if self._turn is not None and self._turn.is_accepted:
            self._finish()

    def _note_refusal(self, decision: int) -> None:
        self.refused[decision] = self.refused.get(decision, 0) + 1
        turn = self._turn
        if turn is None:
            return
        if decision in _WORTH_ANOTHER_TRY and turn.attempt < _TRIES_MAX:
            self._take_away()
            self.world.after(_TRY_AGAIN_MS, self._settle_or_try_again(turn))
        else:
            self._finish()
