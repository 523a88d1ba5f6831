"""Real processes in real time, killed again and again: the service at named points and random moments, validators at any.

In the end faults stop, everything comes home, the day is closed, and every green light must be cleared exactly once.
"""

from __future__ import annotations

import random
import sys
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from clearing.checkpoint import NAMES as CRASH_POINTS
from protocol.cards.card_layout import Environment
from protocol.tokens import LABEL_TRANSIT, medium_token
from simulator.city import day_start_ms
from simulator.desfire_card import DesfireCard
from simulator.fault_proxy import CALM, proxy_in_thread
from simulator.keys import derive_keys, write_keys
from simulator.phone import PhoneTicket
from simulator.service import Service, ServiceProcess
from tests.soak.riders import Riders
from tests.soak.tally import CITY, DAY, Tally, count
from tests.soak.validator import StreetValidator
from tests.soak.wall_clock import WallClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from simulator.fault_proxy import FaultProxy, Rates

ANY_MOMENT = "at any moment"
_HOUR_MS = 3_600_000
_PURSE_MINOR = 20_000_000
_CARDS = 4
_YEAR_S = 365 * 86_400
_LOOK_S = 0.01
# Somebody is woken again and again until the point is reached: a busy machine starts a validator slowly.
_POINT_IS_REACHED_S = (5.0, 10.0, 20.0, 40.0)
_ANY_MOMENT_S = (0.1, 1.2)
_CRASHING = (sys.executable, "-m", "tests.soak.crashing")
_PATIENCE_S = 120.0
# What a network does meanwhile. What leaves a validator waiting until it gives up is rare: that takes it twenty seconds.
RATES: Rates = {
    "drop": 0.03,
    "reset": 0.06,
    "delay": 0.05,
    "cut_request": 0.05,
    "cut_answer": 0.06,
    "drip": 0.08,
    "half_open": 0.02,
    "mute": 0.03,
    "garbage": 0.06,
}


class _Server:
    """`jolaqy serve`, which dies and comes back."""

    def __init__(self, home: Path, database_url: str, clock: WallClock, proxy: FaultProxy) -> None:
        self._home = home
        self._url = database_url
        self._options = ("--port", "0", "--clock-file", str(clock.path))
        self._proxy = proxy
        self.process: ServiceProcess | None = None

    def start(self, *crash: str) -> ServiceProcess:
        """Start it; with a point and a count, it crashes there."""
        program = (*_CRASHING, *crash) if crash else None
        self.process = ServiceProcess(self._home, *self._options, database_url=self._url, program=program)
        host, _, port = self.process.url.removeprefix("http://").partition(":")
        self._proxy.target = (host, int(port))
        return self.process

    def end(self) -> None:
        self._proxy.target = None
        if self.process is not None:
            self.process.kill()

    def live_until_killed(self, point: str, chance: random.Random, on_start: Callable[[], None]) -> str:
        """Start it and let it be killed; return where that happened."""
        crash = () if point == ANY_MOMENT else (point, str(chance.randrange(1, 4)))
        process = self.start(*crash)
        is_dead = False
        for patience_s in _POINT_IS_REACHED_S if crash else (chance.uniform(*_ANY_MOMENT_S),):
            on_start()
            is_dead = wait_until(lambda: not process.is_running(), patience_s)
            if is_dead:
                break
        self.end()
        return point if is_dead else ANY_MOMENT


def wait_until(is_so: Callable[[], bool], patience_s: float) -> bool:
    """Wait in real time until something is so; return whether it became so."""
    until_s = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > until_s:
            return False
        time.sleep(_LOOK_S)
    return True


class Street:
    """A clearing service on a database of its own, and validators with their riders."""

    def __init__(self, folder: Path, database_url: str, seed: int, runtimes: Sequence[str]) -> None:
        self._folder = folder
        self._seed = seed
        self._chance = random.Random(f"{seed} street")
        self._keys = derive_keys(seed)
        self._stack = ExitStack()
        self._start_ms = day_start_ms(DAY, "Asia/Almaty") + 8 * _HOUR_MS
        self._clock = WallClock(folder / "clock", self._start_ms)
        self._stack.enter_context(self._clock.running())
        self._proxy = self._stack.enter_context(proxy_in_thread(None, seed, CALM))
        home = folder / "home"
        home.mkdir()
        write_keys(home, seed)
        self._server = _Server(home, database_url, self._clock, self._proxy)
        self._stack.callback(self._server.end)
        self._cards: list[DesfireCard] = []
        self._validators: list[StreetValidator] = []
        self._runtimes = runtimes
        self.tally = Tally()

    def play(self, cycles: int, on_cycle: Callable[[], None] = lambda: None) -> Tally:
        """Kill the service so many times, and the validators meanwhile; then count."""
        with self._stack:
            self._open()
            self._proxy.rates = RATES
            for validator in self._validators:
                validator.is_calm = False
                validator.restart()
            for point in self._points(cycles):
                where = self._server.live_until_killed(point, self._chance, self._wake_somebody)
                self.tally.server_kills[where] += 1
                on_cycle()
            self._come_home()
        return self.tally

    def _points(self, cycles: int) -> list[str]:
        """Return where the service is killed: each point as often as any other."""
        points: list[str] = []
        while len(points) < cycles:
            round_ = [*CRASH_POINTS, ANY_MOMENT]
            self._chance.shuffle(round_)
            points += round_
        return points[:cycles]

    def _wake_somebody(self) -> None:
        """Let the power fail in one vehicle: who has found no service waits for long, who has just started does not."""
        self._chance.choice(self._validators).restart()

    def _office(self) -> Service:
        """Start the service, as its administrator."""
        service = Service(self._server.start().url, "")
        self._stack.callback(service.close)
        return service

    # The morning.

    def _open(self) -> None:
        service = self._office()
        city = service.get("/v1/network", city=CITY)
        for number, runtime in enumerate(self._runtimes):
            bus = city["vehicles"][number]
            riders = self._riders(number, bus["line"], city["number"], service)
            chance = random.Random(f"{self._seed} power {number}")
            validator = StreetValidator(
                bus["code"], runtime, self._folder / bus["code"], self._proxy.address, self._clock, riders, chance
            )
            invited = service.post("/v1/validators/invitations", {"city": CITY, "vehicle": bus["code"]})
            validator.enrol(service.address, invited["code"])
            self._stack.callback(validator.stop)
            self._validators.append(validator)
            validator.start()
        if not wait_until(lambda: all(each.riders.seen or each.is_broken for each in self._validators), _PATIENCE_S):
            self.tally.faults.append("a validator saw no rider in the morning")
        self._server.end()

    def _riders(self, number: int, line: int, city: int, service: Service) -> Riders:
        expires_s = self._start_ms // 1000 + _YEAR_S
        cards = []
        for each in range(_CARDS):
            name = bytes((number, each))
            environment = Environment(b"JQSOAK" + name, city, 1, expires_s)
            cards.append(DesfireCard.personalise(b"\x04SOAK" + name, environment, _PURSE_MINOR, self._keys))
            token = medium_token(self._keys["token_key"], LABEL_TRANSIT, environment.card_number)
            order = {"reference": f"sale-{number}-{each}", "token": token.hex(), "amount_minor": _PURSE_MINOR}
            service.post("/v1/top-ups", order | {"at_s": self._start_ms // 1000, "city": CITY})
        self._cards += cards

        def issue_ticket(each: int) -> PhoneTicket:
            return PhoneTicket(
                b"QR" + bytes((number,)) + each.to_bytes(5, "big"), city, 1, expires_s, self._keys["qr_master"]
            )

        return Riders(line, cards, issue_ticket, self._clock, random.Random(f"{self._seed} riders {number}"))

    # The evening.

    def _come_home(self) -> None:
        """Faults have stopped: who is at a validator is served, everything is sent, the day is closed and counted."""
        self._proxy.rates = CALM
        service = self._office()
        for validator in self._validators:
            validator.is_calm = True
            validator.riders.is_resting = True
            validator.restart()
        if not wait_until(lambda: all(each.riders.is_idle or each.is_broken for each in self._validators), _PATIENCE_S):
            self.tally.faults.append("a rider is not served when everything is well")
        if not wait_until(lambda: self._is_sent(service), _PATIENCE_S):
            self.tally.faults.append("not everything is sent when everything is well")
        for validator in self._validators:
            validator.stop()
        self._clock.jump_to(day_start_ms(DAY + timedelta(days=1), "Asia/Almaty") + 4 * _HOUR_MS)
        service.post("/v1/closes", {"city": CITY, "day": DAY.isoformat()})
        count(self.tally, service, self._validators, self._cards)
        self.tally.network.update(self._proxy.counts)

    def _is_sent(self, service: Service) -> bool:
        acked = {row["vehicle"]: row["acked_sequence"] for row in service.get("/v1/validators")["validators"]}
        return all(each.is_broken or acked[each.vehicle] >= max(each.riders.seen) for each in self._validators)
