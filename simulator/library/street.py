"""The street in somebody's test: buses with real validators on one clock, and the network between them and the service."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from protocol.decision_names import DECISION_NAMES
from simulator.bus import Bus, DriverTerminal
from simulator.camera import QrScanner
from simulator.city import StopVisit
from simulator.library.media import Bureau
from simulator.library.service import START_MS
from simulator.network import CALM, FATES, Network
from simulator.pn532_chip import Pn532Chip
from simulator.process import ValidatorProcess
from simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulator.library.media import HeldCard, Phone
    from simulator.library.service import ClearingService

_SEED = 1
_MINUTE_MS = 60_000
_NO_LIGHT_MS = 5_000
_NEXT_RIDER_MS = 1_500
_SCANNER_TRIES = 5
_DEPOT_MINUTES = 20


@dataclass(frozen=True)
class Seen:
    """What a rider sees after one try.

    Attributes:
        light: `green`, `amber` (paid already, a moment ago), `red`, or nothing when it stayed dark for five seconds.
        display: the line of text with it.
        fare_minor, balance_minor: as displayed, tiyn; None where nothing is displayed of them.
        reason: why it is red, by the name of the decision; else nothing.
    """

    light: str
    display: str
    fare_minor: int | None = None
    balance_minor: int | None = None
    reason: str = ""


_DARK = Seen("", "")


def read_display(light: str, display: str) -> Seen:
    """Return what the display says beside a light (its words: `firmware.feedback`)."""
    word, *numbers = display.split()
    if word in {"ok", "again"}:
        _, fare_minor, balance_minor = numbers
        return Seen(light, display, int(fare_minor), None if balance_minor == "-" else int(balance_minor))
    reason = DECISION_NAMES[int(numbers[0])] if word == "refused" else ""
    return Seen(light, display, reason=reason)


class VirtualNetwork:
    """The mobile network of all buses; at first it is good.

    Attributes:
        covered: False where nothing can be dialled: a tunnel, a dead zone.
    """

    def __init__(self) -> None:
        self._networks: list[Network] = []
        self._weather = CALM
        self._covered = True

    def join(self, network: Network) -> None:
        """Take one bus's network along."""
        network.weather, network.covered = self._weather, self._covered
        self._networks.append(network)

    def set_weather(self, **fates: float) -> None:
        """Let requests meet these fates, with a probability each (`simulator.network.Weather`); without any it is good again."""
        self._weather = replace(CALM, **fates)  # type: ignore[arg-type]  # a latency is not among them
        for network in self._networks:
            network.weather = self._weather

    @property
    def covered(self) -> bool:
        return self._covered

    @covered.setter
    def covered(self, covered: bool) -> None:
        self._covered = covered
        for network in self._networks:
            network.covered = covered

    @property
    def counts(self) -> dict[str, int]:
        """How many requests met each fate so far; `carried` were well, `no_network` could not be dialled."""
        names = (*FATES, "carried", "no_network")
        return {name: sum(network.counts[name] for network in self._networks) for name in names}


class VirtualBus:
    """One bus with one validator: the real firmware, in a process of its own, in lock-step.

    Attributes:
        code: of the vehicle.
        lights: every light since the beginning, in order.
        bus: the simulator's own bus behind it.
    """

    def __init__(self, street: VirtualStreet, code: str, folder: Path, runtime: str) -> None:
        self.code = code
        self.lights: list[Seen] = []
        self._street = street
        self._display = ""
        world = street.world
        self._chip, self._camera = Pn532Chip(), QrScanner(world.chance(f"camera {code}"))
        self._driver = DriverTerminal()
        network = Network(street.service.address, world.chance(f"network {code}"), CALM)
        street.network.join(network)

        def start(hear: Callable[[str], None]) -> ValidatorProcess:
            def hear_too(line: str) -> None:
                self._hear(line)
                hear(line)

            devices = (self._chip, self._camera, self._driver)
            return ValidatorProcess(runtime, folder, code, devices, network.dial, hear_too)

        self.bus = Bus(world, code, network, self._chip, self._camera, self._driver, start)

    def enrol(self) -> None:
        """Be mounted and switched on, as a technician does it with an invitation."""
        service = self._street.service
        asked = {"city": service.city, "vehicle": self.code}
        self.bus.process.enrol(service.address, service.post("/v1/validators/invitations", asked)["code"])
        self.bus.boot()
        self.drive_on(1)

    def _hear(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "show":
            self._display = rest
        elif word == "light" and self._display:
            self.lights.append(read_display(rest, self._display))

    # Riders.

    def hold(self, card: HeldCard) -> Seen:
        """A rider holds a card to the reader until a light comes, and takes it away; return what the rider sees."""
        self._chip.present(card.card, self._street.world.now_ms)
        seen = self._wait_for_light()
        self._chip.remove(card.card)
        self.bus.wake()
        self._street.run_for(_NEXT_RIDER_MS)
        return seen

    def show(self, phone: Phone) -> Seen:
        """A rider shows a phone to the scanner, turning it a little until the camera reads the code."""
        for _ in range(_SCANNER_TRIES):
            if self._camera.look_at(phone.text(), self._street.world.now_ms):
                break
        return self._wait_for_light_and_next()

    def press_cash(self) -> Seen:
        """Somebody pays the driver, who presses the button for it."""
        self._driver.say("cash")
        return self._wait_for_light_and_next()

    def _wait_for_light_and_next(self) -> Seen:
        seen = self._wait_for_light()
        self._street.run_for(_NEXT_RIDER_MS)
        return seen

    def _wait_for_light(self) -> Seen:
        before = len(self.lights)
        self.bus.wake()
        self._street.run_for(_NO_LIGHT_MS, lambda: len(self.lights) > before)
        return self.lights[before] if len(self.lights) > before else _DARK

    # The way.

    def stop_at(self, line: int, stop: int, trip: int = 1) -> None:
        """The driver's console tells the validator where the bus is."""
        world = self._street.world
        self.bus.visit(StopVisit(world.now_ms, self.code, line, trip, stop, self._street.network.covered), [])

    def drive_on(self, minutes: float) -> None:
        """Let time pass: here, on every other bus, and in the service."""
        self._street.let_pass(minutes)

    def cut_power(self, at_byte: int | None = None) -> None:
        """Cut the validator's power now; it is back after 25 s of driving on.

        Args:
            at_byte: then it fails once more, at that byte that is written to flash after the start.
        """
        if at_byte is None:
            self.bus.cut_power()
        else:
            self.bus.cut_power_while_writing(at_byte)

    @property
    def is_on(self) -> bool:
        return self.bus.process.is_alive()


class VirtualStreet:
    """Everything on one clock: service, buses, network, and who issues media.

    Attributes:
        service, network: what all buses share.
        bureau: issues cards and tickets.
        world: the simulator's clock, events and chance.
    """

    def __init__(self, service: ClearingService, network: VirtualNetwork, folder: Path, runtime: str) -> None:
        self.service = service
        self.network = network
        self.world = World(_SEED, START_MS)
        self.bureau = Bureau(service, lambda: self.now_s)
        self._folder = folder
        self._runtime = runtime
        self._buses: list[VirtualBus] = []
        service.follow(lambda: self.world.now_ms, self._end_day)

    @property
    def now_s(self) -> int:
        """Virtual unix time."""
        return self.world.now_ms // 1000

    def bus(self, code: str) -> VirtualBus:
        """Return a bus of the city's network, its validator enrolled and running."""
        bus = VirtualBus(self, code, self._folder / code, self._runtime)
        self._buses.append(bus)
        bus.enrol()
        return bus

    def let_pass(self, minutes: float) -> None:
        self.run_for(round(minutes * _MINUTE_MS))

    def run_for(self, duration_ms: int, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Let so much time pass, or less if something has come about."""
        world = self.world
        until_ms = world.now_ms + duration_ms
        while not is_enough() and (next_ms := world.next_event_ms()) is not None and next_ms <= until_ms:
            self.service.clock.set(next_ms)
            world.run_next()
        if not is_enough():
            world.now_ms = until_ms
        self.service.clock.set(world.now_ms)

    def _end_day(self, until_ms: int) -> None:
        """All buses stand in the depot until what they had is acknowledged, and are switched off."""
        self.network.set_weather()
        self.network.covered = True
        self.let_pass(_DEPOT_MINUTES)
        self.close()
        self.run_for(max(0, until_ms - self.world.now_ms))

    def close(self) -> None:
        for bus in self._buses:
            bus.bus.process.close()
        self._buses = []
