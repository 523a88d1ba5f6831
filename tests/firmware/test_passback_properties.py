"""Nobody pays twice for a ride as the city defines it, and whoever boards anew pays: any traffic on a ring route.

Farebox and memory are the real ones. A vehicle with several doors goes round; its runs change under the riders; media are
held at any door, again and again; doors restart, and their clocks are set. What is expected is worked out from the true time
and the true runs. Where a door cannot know (it has restarted and lost what its neighbours told it, or two clocks disagree)
nothing is expected of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from firmware.decision import ADULT, MediumFacts
from firmware.feedback import Feedback
from firmware.journal import Journal
from firmware.place import Place
from firmware.recent_taps import RecentTaps
from firmware.recorder import Recorder
from firmware.validator import Validator
from protocol.fare_rules import FareRules
from protocol.fare_table import FareTable
from protocol.tap import MEDIUM_BANK_CARD, Tap, decode_tap, encode_tap
from tests.firmware.bench_board import NOW_S, BenchBoard
from tests.firmware.ram_flash import RamFlash
from tests.firmware.test_validator import City

if TYPE_CHECKING:
    from firmware.farebox import Farebox

_DOORS = 3
_RIDERS = 4
_SECTORS = 16
# Numbers of runs come again: a ring route has as many as the timetable.
_TRIPS = 3

DOORS = st.integers(0, _DOORS - 1)
EVENTS = st.one_of(
    st.tuples(st.just("hold"), DOORS, st.integers(0, _RIDERS - 1)),
    st.tuples(st.just("hold"), DOORS, st.just(0)),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 59, 61, 299, 301, 900, 4000]), st.just(0)),
    st.tuples(st.just("flip"), st.just(0), st.just(0)),
    st.tuples(st.just("restart"), DOORS, st.just(0)),
    st.tuples(st.just("set clock"), DOORS, st.sampled_from([-100_000, -3600, -61, -1, 0, 1, 61, 3600, 100_000])),
)


class Door:
    """A validator, from its farebox up.

    Attributes:
        boot: how often it has started.
        is_off_s: by how much its clock is wrong.
        others: the other doors of the vehicle.
    """

    def __init__(self, rules: FareRules) -> None:
        self._city: Any = City(NOW_S + 10_000_000)
        fares = {MEDIUM_BANK_CARD: {ADULT: 12_000}}
        self._city.fare_table = FareTable(1, 0, NOW_S + 10_000_000, 1, fares, rules)
        self._board = BenchBoard(flash=RamFlash(_SECTORS))
        self.others: list[Door] = []
        self.boot = 0

    def start(self, now_s: int, trip: int) -> None:
        """Power up; the clock is right, and the vehicle's computer says the run."""
        board = BenchBoard(flash=self._board.flash, store=self._board.store)
        board.unix_ms_at_boot = now_s * 1000
        self._board, self.is_off_s, self.boot = board, 0, self.boot + 1
        self._recent = RecentTaps()
        journal = Journal(board.flash, b"key", b"d" * 16, 1)
        journal.recover(self._recent.recall)
        recorder = Recorder(board, journal, Place(7, self._recent.trip))
        recorder.started(self._recent.take_dangling())
        feedback = Feedback(board)
        self._validator = Validator(board, None, self._city, self._city, recorder, self._recent, feedback, "refuse")  # type: ignore[arg-type]
        self._recent.tell = self._tell
        self.change_run(trip)

    @property
    def _farebox(self) -> Farebox:
        return self._validator._farebox

    def _tell(self, tap: Tap) -> None:
        for other in self.others:
            other._recent.remember(decode_tap(encode_tap(tap)), is_ours=False)

    def change_run(self, trip: int) -> None:
        self._validator._take_console_line("trip " + str(trip))

    def wait(self, duration_s: int) -> None:
        self._board.advance(self._board.now_ms + duration_s * 1000)

    def set_clock(self, by_s: int) -> None:
        self._board.unix_ms_at_boot += by_s * 1000
        self.is_off_s += by_s

    def hold(self, token: bytes) -> bool:
        """Hold a medium before it; return whether it pays."""
        self._board.told = []
        self._farebox.serve_account(MediumFacts(MEDIUM_BANK_CARD, ADULT, token))
        shown = self._board.told[0].split()[:2]
        assert shown in (["show", "ok"], ["show", "again"]), self._board.told
        return shown[1] == "ok"


class Paid:
    """When, where and on which run a medium has paid, and how often each door had started then."""

    def __init__(self, at_s: int, run: int, door: int, doors: list[Door]) -> None:
        self.at_s = at_s
        self.run = run
        self.door = door
        self.boots = [each.boot for each in doors]
        self.was_right = doors[door].is_off_s == 0

    def is_known_at(self, door: int, doors: list[Door]) -> bool:
        """Return whether a door can know how long ago it was."""
        has_stayed_on = doors[door].boot == self.boots[door]
        if door == self.door and has_stayed_on:
            return True
        return self.was_right and doors[door].is_off_s == 0 and (door == self.door or has_stayed_on)


class Vehicle:
    """A vehicle on a ring route, and what is expected of its doors."""

    def __init__(self, same_trip_s: int, next_trip_s: int) -> None:
        self._rules = FareRules({1: [same_trip_s, next_trip_s]})
        self.doors = [Door(self._rules) for _ in range(_DOORS)]
        self._now_s, self._run = NOW_S, 0
        self._paid: dict[int, Paid] = {}
        for door in self.doors:
            door.others = [other for other in self.doors if other is not door]
            door.start(self._now_s, self._trip)

    @property
    def _trip(self) -> int:
        return 100 + self._run % _TRIPS

    def happen(self, what: str, value: int, other: int) -> None:
        if what == "hold":
            self._hold(value, other)
        elif what == "wait":
            self._now_s += value
            for door in self.doors:
                door.wait(value)
        elif what == "flip":
            self._run += 1
            for door in self.doors:
                door.change_run(self._trip)
        elif what == "restart":
            self.doors[value].start(self._now_s, self._trip)
        else:
            self.doors[value].set_clock(other)

    def _hold(self, door: int, rider: int) -> None:
        before = self._paid.get(rider)
        pays = self.doors[door].hold(bytes((rider,)) * 16)
        if before is None:
            assert pays, "the first ride is paid"
        elif before.is_known_at(door, self.doors):
            age_s = self._now_s - before.at_s
            if self._is_same_ride(before, age_s):
                event("held again")
                assert not pays, "paid twice for one ride"
            elif age_s >= max(self._rules.same_trip_s, self._rules.next_trip_s):
                event("boarded anew")
                assert pays, "boarded anew without paying"
        if pays:
            self._paid[rider] = Paid(self._now_s, self._run, door, self.doors)

    def _is_same_ride(self, paid: Paid, age_s: int) -> bool:
        if paid.run == self._run:
            return bool(age_s < self._rules.same_trip_s)
        return paid.run == self._run - 1 and bool(age_s < self._rules.next_trip_s)


@given(st.sampled_from([0, 60, 600, 3600]), st.sampled_from([0, 300, 1800]), st.lists(EVENTS, max_size=40))
@example(0, 300, [("hold", 0, 0), ("flip", 0, 0), ("hold", 1, 0)])
@settings(max_examples=100, deadline=None)
def test_nobody_pays_twice_and_whoever_boards_anew_pays(
    same_trip_s: int, next_trip_s: int, events: list[tuple[str, int, int]]
) -> None:
    vehicle = Vehicle(same_trip_s, next_trip_s)
    for what, value, other in events:
        vehicle.happen(what, value, other)
