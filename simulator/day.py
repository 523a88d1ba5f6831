"""A city's day: buses with real validators, riders, a bad network, power cuts; then clearing, and the count of everything.

The same seed gives the same day, if the city's keys are the same, too (`simulator.keys`).
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from simulator.city import StopVisit, Vehicle, day_start_ms, timetable
from simulator.count import Witnesses, count_day
from simulator.counterparties.sms_aggregator import Habits, SmsAggregator
from simulator.morning import Morning, Place
from simulator.network import CALM, Weather
from simulator.riders import Rider, draw_riders
from simulator.wallet import Wallet, msisdn, picture_turn
from simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulator.bus import Bus
    from simulator.desfire_card import DesfireCard
    from simulator.service import ClockFile, Service
    from simulator.turn import Turn

CITY = "almaty"
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_TOP_UP_HOURS_BEFORE = 2
_DRAIN_MINUTES = 50
_LATEST_BOARDING_MINUTES = 40
_CUTS_MARGIN_MINUTES = 30
_FRIEND_MS = 3_000


@dataclass(frozen=True)
class Settings:
    """What kind of day.

    Attributes:
        hours: local time, from and to: when buses drive.
        runtime: what runs the validators.
        power_cuts: how many, over the whole fleet.
        report_heap: measure the validators' heap (slower).
        doors: of each vehicle, 1 or 2; with two, every second ticket is shown as a picture at the other one, too.
        cards: transport cards that a desk has issued with the city's keys, fresh; riders hold them in place of their own.
        cards_are_sold: the desk has told clearing what was loaded onto them.

    With transport cards of their own, one rider in ten has paid money in by an app: it waits for the card to be held.
    """

    seed: int = 1
    riders: int = 700
    day: date = date(2024, 5, 15)
    hours: tuple[int, int] = (6, 22)
    runtime: str = "micropython"
    power_cuts: int = 12
    weather: Weather = field(default_factory=Weather)
    report_heap: bool = False
    doors: int = 1
    cards: tuple[DesfireCard, ...] = ()
    cards_are_sold: bool = False


@dataclass
class Report:
    """What came of a day; `result` is the part that is the same for the same seed."""

    result: dict[str, Any]
    seconds: float
    simulated_seconds: float
    heap_peak: int


class Day:
    """One day of one city.

    Args:
        settings: what kind of day.
        service: the clearing service, its clock in `clock`.
        keys: of the city, as its card bureau has them.
        folder: for the validators' state.
        progress: told how much of the day has passed, 0 to 1, and what is going on.

    Attributes:
        buses: by the vehicle's code, as seen from the front door.
        back_doors: the same buses as seen from the other door, where they have one.
        wallets: what each rider holds.
    """

    def __init__(
        self,
        settings: Settings,
        service: Service,
        clock: ClockFile,
        keys: dict[str, bytes],
        folder: Path,
        progress: Callable[[float, str], None],
    ) -> None:
        self._settings = settings
        self._service = service
        self._clock = clock
        self._progress = progress
        self._city = service.get("/v1/network", city=CITY)
        self._midnight_ms = day_start_ms(settings.day, self._city["zone"])
        self._world = World(settings.seed, self._midnight_ms + (settings.hours[0] - _TOP_UP_HOURS_BEFORE) * _HOUR_MS)
        self._clock.set(self._world.now_ms)
        self._validators = ExitStack()
        self._morning = Morning(
            settings, self._city, service, keys, self._world, Place(folder, self._validators, progress)
        )
        self.buses, self.back_doors, self.wallets = (
            self._morning.buses,
            self._morning.back_doors,
            self._morning.wallets,
        )
        self._boardings_missed = 0
        self._ended_ms = 0
        self._aggregator = SmsAggregator(self._world, service, Habits())

    def run(self) -> Report:
        """Play the day and count it."""
        started = time.monotonic()
        with self._validators:
            self._prepare()
            self._ended_ms = self._drive()
            self._drain(self._ended_ms)
        result = self._count()
        return Report(
            result,
            time.monotonic() - started,
            (self._ended_ms - self._midnight_ms) / 1000 - self._settings.hours[0] * 3600,
            max(bus.process.heap_peak for bus in self._morning.all_doors()),
        )

    def _count(self) -> dict[str, Any]:
        self._progress(1, "closing the day")
        witnesses = Witnesses(self._morning.all_doors(), self.wallets, self._aggregator, self._morning.app)
        settings = self._settings
        return {
            "city": CITY,
            "day": settings.day.isoformat(),
            "seed": settings.seed,
            "runtime": settings.runtime,
            "validators": len(self._morning.all_doors()),
            "riders": settings.riders,
            "boardings_missed": self._boardings_missed,
            **count_day(self._service, CITY, settings.day.isoformat(), witnesses),
        }

    def _prepare(self) -> None:
        vehicles = [Vehicle(row["code"], row["line"]) for row in self._city["vehicles"]]
        lines = sorted({vehicle.line for vehicle in vehicles})
        riders = draw_riders(self._world.chance("riders"), self._settings.riders, lines, self._settings.hours)
        self._morning.prepare(riders, vehicles)
        self._plan(timetable(vehicles, self._settings.day, self._city["zone"], self._settings.hours), riders)
        self._plan_power_cuts()
        self._bring_friends()

    def _plan(self, visits: list[StopVisit], riders: list[Rider]) -> None:
        """Let each rider board the first bus of the line that stands at the stop after the rider has come."""
        waiting: dict[tuple[int, int], list[tuple[int, Wallet, int]]] = {}
        for wallet, rider in zip(self.wallets, riders, strict=True):
            for index, boarding in enumerate(rider.boardings):
                at_ms = self._midnight_ms + boarding.minute * _MINUTE_MS
                waiting.setdefault((boarding.line, boarding.stop), []).append((at_ms, wallet, index))
        for queue in waiting.values():
            queue.sort(key=lambda entry: (entry[0], entry[1].rider.number))
        chance = self._world.chance("mishaps")
        for visit in visits:
            queue = waiting.get((visit.line, visit.stop), [])
            boarding_now = [entry for entry in queue if entry[0] <= visit.at_ms]
            if boarding_now:
                waiting[visit.line, visit.stop] = queue[len(boarding_now) :]
            self._world.at(visit.at_ms, self._visit(visit, boarding_now, chance))
        self._boardings_missed = sum(len(queue) for queue in waiting.values())
        for bus in self._morning.all_doors():
            first_ms = min(visit.at_ms for visit in visits if visit.vehicle == bus.code)
            self._world.at(first_ms - 10 * _MINUTE_MS, bus.boot)

    def _visit(self, visit: StopVisit, boarding: list[tuple[int, Wallet, int]], chance: Any) -> Callable[[], None]:  # noqa: ANN401 - a stream of chance
        def act() -> None:
            turns: list[Turn] = []
            for _, wallet, index in boarding:
                if wallet.rider.medium == "sms":
                    self._aggregator.send(msisdn(wallet.rider.number), visit.vehicle)
                else:
                    turns.append(wallet.turn(wallet.rider.boardings[index], chance))
            self.buses[visit.vehicle].visit(visit, turns)
            if visit.vehicle in self.back_doors:
                self.back_doors[visit.vehicle].visit(visit, [])

        return act

    def _bring_friends(self) -> None:
        """Let every second rider with a ticket have a friend at the other door, who shows a picture of it."""
        for wallet in self.wallets:
            if wallet.rider.medium == "qr" and wallet.rider.number % 2 == 0 and self.back_doors:
                wallet.on_shown = self._send_friend(wallet.rider.category)

    def _send_friend(self, category: int) -> Callable[[Bus, str], None]:
        def act(bus: Bus, text: str) -> None:
            turn = picture_turn(text, category)
            self._world.after(_FRIEND_MS, lambda: self.back_doors[bus.code].join(turn))

        return act

    def _plan_power_cuts(self) -> None:
        chance = self._world.chance("power")
        codes = sorted(self.buses)
        first, last = (hour * 60 for hour in self._settings.hours)
        margin = min(_CUTS_MARGIN_MINUTES, (last - first) // 4)
        for number in range(self._settings.power_cuts):
            bus = self.buses[chance.choice(codes)]
            at_ms = self._midnight_ms + chance.randrange(first + margin, last - margin) * _MINUTE_MS
            # In turn: in the middle of somebody's tap, in the middle of a write to flash, and at any moment.
            if number % 3 == 0:
                wakes = chance.randrange(1, 14)
                self._world.at(at_ms, lambda bus=bus, wakes=wakes: bus.cut_power_in_next_turn(wakes))  # type: ignore[misc]
            elif number % 3 == 1:
                count = chance.randrange(1, 900)
                self._world.at(at_ms, lambda bus=bus, count=count: bus.cut_power_while_writing(count))  # type: ignore[misc]
            else:
                self._world.at(at_ms, bus.cut_power)

    def _drive(self) -> int:
        first, last = (self._midnight_ms + hour * _HOUR_MS for hour in self._settings.hours)
        now_ms = self._world.now_ms
        end_ms = last + _LATEST_BOARDING_MINUTES * _MINUTE_MS
        while now_ms < end_ms:
            now_ms += 10 * _MINUTE_MS
            self._run_until(now_ms)
            presented = sum(bus.presented for bus in self._morning.all_doors())
            clock = (
                f"{(now_ms - self._midnight_ms) // _HOUR_MS:02d}:{(now_ms - self._midnight_ms) // _MINUTE_MS % 60:02d}"
            )
            self._progress(
                min(1.0, max(0.0, (now_ms - first) / (end_ms - first))), f"{clock}, {presented} taps presented"
            )
        return end_ms

    def _run_until(self, until_ms: int) -> None:
        while (next_ms := self._world.next_event_ms()) is not None and next_ms <= until_ms:
            self._clock.set(next_ms)
            self._world.run_next()
        self._world.now_ms = max(self._world.now_ms, until_ms)
        self._clock.set(self._world.now_ms)

    def _drain(self, end_ms: int) -> None:
        """Buses stand in the depot, where the network is good, until all they had is acknowledged; then they are switched off."""
        self._progress(1, "buses in the depot send what is left")
        for bus in self._morning.all_doors():
            bus.network.covered = True
            bus.network.weather = CALM
        self._run_until(end_ms + _DRAIN_MINUTES * _MINUTE_MS)
        for bus in self._morning.all_doors():
            bus.process.kill()
        day_after = self._settings.day + timedelta(days=1)
        self._run_until(day_start_ms(day_after, self._city["zone"]) + 4 * _HOUR_MS)
