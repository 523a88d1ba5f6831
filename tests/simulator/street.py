"""A street for tests: a clearing service, and buses whose validators are real processes."""

from __future__ import annotations

import random
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.bus import Bus, DriverTerminal
from simulator.camera import QrScanner
from simulator.card_authorities import authorities_as_json
from simulator.city import StopVisit
from simulator.keys import read_keys, write_keys
from simulator.network import CALM, Network
from simulator.pn532_chip import Pn532Chip
from simulator.process import ValidatorProcess
from simulator.service import ClockFile, Service, ServiceProcess
from tests.builders import NOW_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simulator.turn import Turn
    from simulator.vehicle_network import Plug
    from simulator.world import World

SEED = 11
CITY = "almaty"


@dataclass(frozen=True)
class Office:
    """A running service, its clock standing at `NOW_MS` until somebody moves it."""

    home: Path
    process: ServiceProcess
    service: Service
    clock: ClockFile
    keys: dict[str, bytes]

    def invite(self, vehicle: str) -> str:
        """Return an invitation's code."""
        return str(self.service.post("/v1/validators/invitations", {"city": CITY, "vehicle": vehicle})["code"])

    def clear(self, vehicle: str) -> None:
        """Revoke what earlier tests have mounted in a vehicle."""
        for each in self.service.get("/v1/validators")["validators"]:
            if each["vehicle"] == vehicle and each["status"] == "active":
                self.service.post(f"/v1/validators/{each['device']}/revocation", {})

    def acked_sequence(self, vehicle: str) -> int:
        """Return up to which record the service has what the vehicle's validator recorded."""
        validators = self.service.get("/v1/validators")["validators"]
        return max(
            int(each["acked_sequence"])
            for each in validators
            if each["vehicle"] == vehicle and each["status"] == "active"
        )


@contextmanager
def open_office(folder: Path) -> Iterator[Office]:
    home = folder / "home"
    home.mkdir()
    write_keys(home, SEED)
    clock = ClockFile(folder / "clock", NOW_MS)
    with ExitStack() as stack:
        database_url = f"sqlite:///{home / 'jolaqy.db'}"
        process = ServiceProcess(home, "--port", "0", "--clock-file", str(clock.path), database_url=database_url)
        stack.callback(process.stop)
        token = process.command("token", "issue", "simulator", "--role", "administrator", "--json")["token"]
        service = Service(process.url, token)
        stack.callback(service.close)
        service.post("/v1/card-authorities", authorities_as_json(CITY))
        yield Office(home, process, service, clock, read_keys(home))


class Stand:
    """One validator on its own, with everything that is plugged into it, and a clock that is moved by hand.

    Without a seed each is another device: two of the same would be taken for copies of one.

    Attributes:
        heard: every line that it showed, lit or beeped.
    """

    def __init__(
        self,
        office: Office,
        folder: Path,
        runtime: str,
        seed: str = "",
        options: tuple[str, ...] = (),
        plug: Plug | None = None,
    ) -> None:
        self.office = office
        self.chip, self.driver = Pn532Chip(), DriverTerminal()
        self.network = Network(office.service.address, random.Random(1), CALM)
        self.heard: list[str] = []
        self.scanner = QrScanner(random.Random(1))
        devices = (self.chip, self.scanner, self.driver)
        self.process = ValidatorProcess(
            runtime, folder, seed or str(folder), devices, self.network.dial, self.heard.append, options, plug
        )
        self.now_ms = NOW_MS
        # Whoever stood here before has moved it, and a validator would find that its own clock is wrong.
        office.clock.set(self.now_ms)

    def enrol(self, vehicle: str = "A-101") -> None:
        self.office.clear(vehicle)
        self.mount(vehicle)

    def mount(self, vehicle: str) -> None:
        """Enrol it beside the others of the vehicle."""
        self.process.enrol(self.office.service.address, self.office.invite(vehicle))

    def boot(self, cut_after_bytes: int | None = None) -> None:
        self.process.boot(self.now_ms, cut_after_bytes)

    def run_for(self, duration_ms: int) -> None:
        """Let time pass."""
        until_ms = self.now_ms + duration_ms
        deadline_ms: int | None = self.now_ms
        while deadline_ms is not None and deadline_ms <= until_ms:
            self.now_ms = deadline_ms
            self.office.clock.set(self.now_ms)
            deadline_ms = self.process.run_until_idle(self.now_ms)
        self.now_ms = until_ms

    def pay_cash(self) -> None:
        self.driver.say("cash")
        self.run_for(2_000)


def drive_bus(office: Office, world: World, folder: Path, runtime: str, address: tuple[str, int]) -> Bus:
    """Return a bus whose validator is enrolled and running; `address` is where it finds the service."""
    network = Network(address, world.chance("network"), CALM)
    chip, camera, driver = Pn532Chip(), QrScanner(world.chance("camera")), DriverTerminal()

    def start(hear: Callable[[str], None]) -> ValidatorProcess:
        return ValidatorProcess(runtime, folder, str(folder), (chip, camera, driver), network.dial, hear)

    bus = Bus(world, "A-102", network, chip, camera, driver, start)
    bus.process.enrol(address, office.invite("A-102"))
    bus.boot()
    return bus


def serve(bus: Bus, turns: list[Turn], for_ms: int) -> None:
    """Let riders board at a stop, and let time pass."""
    world = bus.world
    until_ms = world.now_ms + for_ms
    bus.visit(StopVisit(world.now_ms, bus.code, 1, 1, 101, True), turns)
    while (next_ms := world.next_event_ms()) is not None and next_ms <= until_ms:
        world.run_next()
    world.now_ms = until_ms
