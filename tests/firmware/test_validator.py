"""The validator before codes, cash and the driver's console, and with a journal that fills up. Cards: `tests.simulator`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.feedback import Feedback
from firmware.journal import Journal
from firmware.loop import Loop
from firmware.place import Place
from firmware.recent_taps import RecentTaps
from firmware.recorder import Recorder
from firmware.validator import Validator
from protocol.enrolment import KeyBundle
from protocol.fare_table import FareTable
from protocol.qr.ticket import DAY_S, day_key, show_ticket, ticket_key
from protocol.tap import (
    KIND_BOOT,
    KIND_FAULT,
    KIND_REFUSED,
    KIND_SINGLE,
    MEDIUM_CASH,
    MEDIUM_QR_TICKET,
    Tap,
    decode_tap,
)
from tests.firmware.bench_board import NOW_S, BenchBoard, run_for
from tests.firmware.ram_flash import RamFlash

if TYPE_CHECKING:
    from typing import Any

CITY = 1
QR_MASTER = b"qr master of the city..........."
FARES = {MEDIUM_CASH: {1: 20_000}, MEDIUM_QR_TICKET: {1: 13_000}}
LATER_S = NOW_S + 10 * DAY_S
PER_SECTOR = 7


class City:
    """What a validator knows of its place without keys of a service: stands for membership and rules."""

    def __init__(self, expires_s: int) -> None:
        today = NOW_S // DAY_S
        days = {day: day_key(QR_MASTER, day) for day in (today - 1, today, today + 1)}
        self.bundle = KeyBundle(bytes(16), bytes(16), bytes(32), days, 1)
        self.enrolled = self
        self.city = CITY
        self.fare_table = FareTable(1, 0, expires_s, CITY, FARES)
        self.deny_list = None
        self.allow_list = None


class Bus:
    """A validator at work, and what outlives its power."""

    def __init__(self, policy: str = "refuse", sectors: int = 4, expires_s: int = LATER_S) -> None:
        self.policy = policy
        self.board = BenchBoard(flash=RamFlash(sectors))
        self.city: Any = City(expires_s)
        self.start()

    def start(self) -> None:
        board = self.board
        self.loop = Loop(board)
        self.journal = Journal(board.flash, b"key", b"d" * 16, 1)
        recent = RecentTaps()
        self.journal.recover(recent.recall)
        self.recorder = Recorder(board, self.journal, Place(7))
        self.recorder.started(recent.take_dangling())
        feedback = Feedback(board)
        self.validator = Validator(board, self.loop, self.city, self.city, self.recorder, recent, feedback, self.policy)
        self.loop.spawn(self.validator.serve_codes())
        self.loop.spawn(self.validator.serve_driver())

    def hear(self, port: str, text: str) -> str:
        self.board.told = []
        getattr(self.board, port).give(text.encode() + b"\n")
        run_for(self.board, self.loop, 500)
        return ", ".join([line for line in self.board.told if not line.startswith("beep")])

    def taps(self) -> list[Tap]:
        oldest = self.journal.oldest_sequence
        return [decode_tap(record) for record in self.journal.records_from(oldest, 1000, 100_000)[1]]

    def kinds(self) -> list[int]:
        return [tap.kind for tap in self.taps()]


def ticket(step_s: int = 0, number: int = 1, city: int = CITY, category: int = 1, expires_s: int = LATER_S) -> str:
    now_s = NOW_S + step_s
    ticket_id = number.to_bytes(8, "big")
    key = ticket_key(day_key(QR_MASTER, now_s // DAY_S), ticket_id)
    return show_ticket(ticket_id, city, category, expires_s, key, now_s, bytes(72))


def test_cash_and_tickets_ride_and_are_recorded() -> None:
    bus = Bus()
    assert bus.hear("driver", "cash") == "show ok 2 20000 -, light green"
    assert bus.hear("qr", ticket()) == "show ok 3 13000 -, light green"
    assert bus.hear("driver", "cash") == "show ok 4 20000 -, light green"
    assert bus.kinds() == [KIND_BOOT, KIND_SINGLE, KIND_SINGLE, KIND_SINGLE]


def test_a_ticket_is_good_once_in_a_while() -> None:
    bus = Bus()
    bus.hear("qr", ticket())
    assert bus.hear("qr", ticket()) == "show refused 20, light red"
    assert bus.hear("qr", ticket(number=2)) == "show ok 4 13000 -, light green"
    run_for(bus.board, bus.loop, 90_000)
    assert bus.hear("qr", ticket()) == "show refused 12, light red"
    assert bus.hear("qr", ticket(90)) == "show ok 6 13000 -, light green"


def test_a_code_passes_once_in_all_the_time_that_it_is_valid() -> None:
    bus = Bus()
    # Made by a phone whose clock is a step ahead, so that it is valid for ninety seconds from now.
    picture = ticket(30)
    assert bus.hear("qr", picture) == "show ok 2 13000 -, light green"
    for after_ms, line in ((61_000, ""), (70_000, "trip 5"), (89_000, "")):
        bus.board.advance(after_ms)
        if line:
            bus.hear("driver", line)
        assert bus.hear("qr", picture) == "show refused 20, light red"
    bus.board.advance(91_000)
    assert bus.hear("qr", picture) == "show refused 12, light red"


def test_a_ticket_that_was_paid_before_a_power_cut_is_greeted_and_not_charged_again() -> None:
    bus = Bus()
    bus.hear("qr", ticket())
    bus.start()
    assert bus.hear("qr", ticket()) == "show again 2 13000 -, light amber"
    assert bus.hear("qr", ticket()) == "show refused 20, light red"
    assert bus.kinds() == [KIND_BOOT, KIND_SINGLE, KIND_BOOT, KIND_REFUSED, KIND_REFUSED]


def test_codes_that_may_not_ride_are_told_why() -> None:
    for text, decision in (
        ("HELLO", 10),
        ("JQ1:AAA", 10),
        (ticket(-120), 12),
        (ticket(-5 * DAY_S), 12),
        (ticket(city=2), 33),
        (ticket(category=9), 8),
        (ticket(expires_s=NOW_S), 3),
    ):
        bus = Bus()
        assert bus.hear("qr", text) == "show refused " + str(decision) + ", light red", decision
        assert bus.kinds() == [KIND_BOOT, KIND_REFUSED]


def test_an_expired_fare_table_sells_nothing() -> None:
    assert Bus(expires_s=NOW_S).hear("driver", "cash") == "show refused 9, light red"


def test_the_console_says_where_the_bus_is() -> None:
    bus = Bus()
    assert bus.hear("driver", "line 12") == ""
    bus.hear("driver", "stop 3")
    bus.hear("driver", "nonsense")
    assert "console: a line that is not understood" in bus.board.logged
    bus.hear("driver", "cash")
    tap = bus.taps()[-1]
    assert (tap.line, tap.trip, tap.stop) == (12, None, 3)


def fill(bus: Bus) -> None:
    while bus.journal.free_slots:
        assert bus.hear("driver", "cash").endswith("green")


def test_a_full_journal_refuses_or_lets_ride_free_as_the_city_says() -> None:
    for policy, shown in (("refuse", "show refused 13, light red"), ("free", "show free, light green")):
        bus = Bus(policy, 2)
        fill(bus)
        for _ in range(2):
            assert bus.hear("driver", "cash") == shown
        assert len(bus.taps()) == 2 * PER_SECTOR
        bus.journal.acknowledge(PER_SECTOR)
        bus.recorder.record_free_rides()
        faults = [tap.extensions for tap in bus.taps() if tap.kind == KIND_FAULT]
        assert faults == ([{0: 2}] if policy == "free" else [])
        assert bus.hear("driver", "cash").startswith("show ok ")


def test_a_start_with_a_full_journal_serves_on() -> None:
    bus = Bus(sectors=2)
    fill(bus)
    bus.start()
    assert bus.hear("driver", "cash") == "show refused 13, light red"
    assert bus.hear("qr", "HELLO") == "show refused 10, light red"
    assert len(bus.taps()) == 2 * PER_SECTOR
