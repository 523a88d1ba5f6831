"""Plays riders with bank cards through validators and the clearing service, and then looks for their numbers everywhere.

Most taps are taken by validators in worker processes, for speed; a share by a real MicroPython process, whose memory is looked
at after each tap, as soon as no card is in the field: later, what was left might be overwritten by chance. All report to one
real clearing service, whose memory is looked at in the end.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from simulator.card_authorities import authorities_as_json
from simulator.pan_scan.forms import FORMS, Looked, Scanner
from simulator.pan_scan.memory import regions
from simulator.pan_scan.riders import Card, Lights, ValidatorHere, ValidatorProgram, Wiretap, in_turn
from simulator.service import ClockFile, Service, ServiceProcess
from simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CITY = "almaty"
# Wednesday 15 May 2024, 08:00 in Almaty.
_START_MS = 1_715_742_000_000
_TAPS_A_CARD = 20
_CARDS_MIN = 100
_TOLD_EVERY_TAPS = 25
_MEMORY_OF_VALIDATORS = "memory of validators"
_MEMORY_OF_SERVICE = "memory of the clearing service"


@dataclass(frozen=True)
class Plan:
    """Who does how much.

    Attributes:
        taps: altogether.
        on_micropython: of these, by a real MicroPython process.
        workers: processes that take the others.
        runtime: of the real process.
        plant: one number is put where it must not be.
    """

    taps: int
    on_micropython: int
    workers: int
    runtime: str
    plant: bool

    def shares(self) -> list[int]:
        """Return how many taps each worker takes."""
        others = self.taps - self.on_micropython
        return [others // self.workers + (worker < others % self.workers) for worker in range(self.workers)]


@dataclass(frozen=True)
class Task:
    """One worker's part."""

    worker: int
    taps: int
    address: tuple[str, int]
    code: str
    folder: Path
    clock: Path


def cards_of(worker: int, taps: int) -> list[Card]:
    """Return the cards of those who ride with one worker; nobody rides with two."""
    count = max(_CARDS_MIN, taps // _TAPS_A_CARD)
    return [Card(worker * 10_000_000 + number) for number in range(1, min(count, taps) + 1)]


def ride_here(task: Task) -> tuple[int, int]:
    """Take a worker's taps; returns how many were accepted and not. What the validator leaves behind is written into files."""
    world = World(task.worker, _START_MS)
    clock = ClockFile(task.clock, _START_MS) if task.worker == 1 else ClockFile(task.folder / f"clock-{task.worker}", 0)
    name = f"here-{task.worker}"
    with (task.folder / f"{name}.capture").open("wb") as capture, (task.folder / f"{name}.log").open("wb") as log:
        lights = Lights(log)
        validator = ValidatorHere(name, world, Wiretap(task.address, capture), lights, clock)
        validator.enrol(task.code)
        progress = task.folder / f"{name}.taps"
        for number, card in enumerate(in_turn(cards_of(task.worker, task.taps), task.taps), 1):
            validator.hold(card)
            if number % _TOLD_EVERY_TAPS == 0:
                progress.write_text(str(number))
        validator.send()
    (task.folder / f"{name}.flash").write_bytes(validator.flash.data)
    for file, data in validator.files.items():
        (task.folder / f"{name}.{file}.store").write_bytes(data)
    return lights.accepted, lights.others


class Scan:
    """One run.

    Args:
        home: of the clearing service, with its keys.
        folder: for everything else.
        progress: told how much is done, 0 to 1, and what is going on.
    """

    def __init__(self, plan: Plan, home: Path, folder: Path, progress: Callable[[float, str], None]) -> None:
        self._plan = plan
        self._home = home
        self._folder = folder
        self._progress = progress
        self._looked = Looked()
        self._accepted = self._others = 0
        numbers = [card.number for worker, taps in self._all_shares() for card in cards_of(worker, taps)]
        self._cards = len(numbers)
        self._scanner = Scanner(numbers)
        self._planted = numbers[0]

    def _all_shares(self) -> list[tuple[int, int]]:
        return [(0, self._plan.on_micropython), *enumerate(self._plan.shares(), 1)]

    def run(self) -> dict[str, Any]:
        """Play, look, and tell."""
        begun = time.monotonic()
        clock_path = self._folder / "clock"
        ClockFile(clock_path, _START_MS)
        with ExitStack() as stack:
            served = ServiceProcess(
                self._home,
                "--port",
                "0",
                "--clock-file",
                str(clock_path),
                database_url=f"sqlite:///{self._home}/jolaqy.db",
            )
            stack.callback(served.stop)
            token = served.command("token", "issue", "scan", "--role", "administrator", "--json")["token"]
            service = Service(served.url, token)
            stack.callback(service.close)
            service.post("/v1/card-authorities", authorities_as_json(CITY))
            self._ride(service, clock_path)
            for name, data in regions(served.process_id):
                self._scanner.look_at(self._looked, _MEMORY_OF_SERVICE, name, data)
        self._look_at_files()
        return self._told(time.monotonic() - begun)

    def _ride(self, service: Service, clock: Path) -> None:
        vehicles = [row["code"] for row in service.get("/v1/network", city=CITY)["vehicles"]]
        codes = [
            service.post("/v1/validators/invitations", {"city": CITY, "vehicle": vehicle})["code"]
            for vehicle in vehicles[: 1 + self._plan.workers]
        ]
        tasks = [
            Task(worker, taps, service.address, codes[worker], self._folder, clock)
            for worker, taps in enumerate(self._plan.shares(), 1)
            if taps
        ]
        with ProcessPoolExecutor(max(1, len(tasks)), mp_context=get_context("spawn")) as pool:
            riding = [pool.submit(ride_here, task) for task in tasks]
            self._ride_on_micropython(service, codes[0])
            while not all(each.done() for each in riding):
                self._tell_progress()
                time.sleep(0.5)
            for each in as_completed(riding):
                accepted, others = each.result()
                self._accepted += accepted
                self._others += others

    def _ride_on_micropython(self, service: Service, code: str) -> None:
        taps = self._plan.on_micropython
        if not taps:
            return
        world = World(0, _START_MS)
        name = self._folder / "micropython"
        with name.with_suffix(".capture").open("wb") as capture, name.with_suffix(".log").open("wb") as log:
            lights = Lights(log)
            clock = ClockFile(self._folder / "clock-0", 0)
            tap = Wiretap(service.address, capture)
            program = ValidatorProgram(self._plan.runtime, self._folder / "state", world, tap, lights, service, clock)
            try:
                program.start(service, code)
                for number, card in enumerate(in_turn(cards_of(0, taps), taps), 1):
                    program.hold(card)
                    self._look_at_validator(program, number)
                    if number % _TOLD_EVERY_TAPS == 0:
                        (self._folder / "micropython.taps").write_text(str(number))
                        self._tell_progress()
                program.send()
                self._look_at_validator(program, taps)
            finally:
                program.validator.close()
            if self._plan.plant:
                log.write(f"log card {self._planted}\n".encode())
        self._accepted += lights.accepted
        self._others += lights.others

    def _look_at_validator(self, program: ValidatorProgram, tap: int) -> None:
        for name, data in regions(program.process_id):
            self._scanner.look_at(self._looked, _MEMORY_OF_VALIDATORS, f"{name} after tap {tap}", data)

    def _tell_progress(self) -> None:
        done = sum(int(path.read_text() or 0) for path in self._folder.glob("*.taps"))
        self._progress(0.95 * done / self._plan.taps, f"{done} of {self._plan.taps} taps")

    def _look_at_files(self) -> None:
        self._progress(0.97, "looking at files")
        kinds = {".capture": "wire captures", ".log": "logs", ".flash": "journals", ".store": "files of validators"}
        for path in sorted(self._folder.iterdir()):
            if path.suffix in kinds:
                self._scanner.look_at_file(self._looked, kinds[path.suffix], path)
        for path in sorted((self._folder / "state").glob("*")):
            what = "journals" if path.name == "flash.bin" else "logs" if path.name == "stderr" else kinds[".store"]
            self._scanner.look_at_file(self._looked, what, path)
        for path in sorted(self._home.iterdir()):
            if path.is_file():
                what = "databases" if path.name.startswith("jolaqy.db") else "logs and files of the clearing service"
                self._scanner.look_at_file(self._looked, what, path)

    def _told(self, seconds: float) -> dict[str, Any]:
        looked = self._looked
        return {
            "hits": len(looked.hits),
            "found": looked.hits[:100],
            "taps": self._plan.taps,
            "taps_accepted": self._accepted,
            "taps_not_accepted": self._others,
            "cards": self._cards,
            "taps_on_micropython": self._plan.on_micropython,
            "taps_in_process": self._plan.taps - self._plan.on_micropython,
            "runtime": self._plan.runtime,
            "forms": list(FORMS),
            "looked_at": [
                {"what": what, "pieces": count, "size_bytes": looked.size_bytes[what]}
                for what, count in sorted(looked.pieces.items())
            ],
            "seconds": round(seconds, 1),
        }
