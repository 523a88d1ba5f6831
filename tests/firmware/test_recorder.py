"""What the recorder adds to a tap, and the place that it keeps for the outcome of a debit."""

from __future__ import annotations

from firmware.journal import Journal, JournalFull
from firmware.place import Place
from firmware.recorder import Recorder
from protocol.decisions import DECISION_COMMITTED, DECISION_OUTCOME_UNKNOWN, DECISION_TOPPED_UP
from protocol.tap import (
    CLOCK_HOLDOVER,
    KIND_BOOT,
    KIND_CLOCK_STEP,
    KIND_FAULT,
    KIND_INTENT,
    KIND_OUTCOME,
    KIND_SINGLE,
    KIND_TOP_UP,
    MEDIUM_TRANSPORT_CARD,
    Tap,
    decode_tap,
)
from tests.firmware.bench_board import NOW_S, BenchBoard
from tests.firmware.ram_flash import RamFlash
from tests.protocol.expect import refusal

PER_SECTOR = 7


class Bench:
    def __init__(self, sectors: int = 2) -> None:
        self.board = BenchBoard(flash=RamFlash(sectors))
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.board.flash, b"key", b"d" * 16, 1)
        self.journal.recover()
        self.recorder = Recorder(self.board, self.journal, Place(7))

    def taps(self) -> list[Tap]:
        return [decode_tap(record) for record in self.journal.records_from(1, 1000, 100_000)[1]]

    def cash(self, count: int = 1) -> None:
        for _ in range(count):
            self.recorder.tap(KIND_SINGLE, medium=6, fare_minor=1, category=1, decision=0)

    def intent(self) -> Tap:
        return self.recorder.intent(
            medium=MEDIUM_TRANSPORT_CARD, token=b"t" * 16, token_key_version=1, fare_minor=12_000, category=1, counter=3
        )


def test_a_tap_says_where_when_and_by_which_versions() -> None:
    bench = Bench()
    bench.recorder.versions = (4, 9)
    for words in ("line 12", "trip 3", "stop 44"):
        assert bench.recorder.place.take(words.split())
    bench.board.now_ms, bench.board.quality = 5_500, CLOCK_HOLDOVER
    returned = bench.recorder.tap(KIND_SINGLE, medium=6, fare_minor=20_000, category=1, decision=0)
    tap = bench.taps()[0]
    for each in (tap, returned):
        assert (each.sequence, each.kind, each.fare_minor) == (1, KIND_SINGLE, 20_000)
        assert (each.line, each.trip, each.stop) == (12, 3, 44)
        assert (each.fare_table, each.deny_list) == (4, 9)
        assert (each.tapped_at_s, each.clock_quality, each.uptime_ms, each.boot) == (
            NOW_S + 5,
            CLOCK_HOLDOVER,
            5_500,
            1,
        )


def test_the_console_says_numbers_or_is_not_understood() -> None:
    place = Place(7)
    for line in ("line", "line x", "line -1", "line 65536", "line 1 2", "stop 1.5", "bus 1", "", "LINE 3"):
        assert not place.take(line.split()), line
    assert (place.line, place.trip, place.stop) == (7, None, None)
    assert place.take(["trip", "65535"])
    assert place.trip == 65_535


def test_each_start_is_counted() -> None:
    bench = Bench()
    boots = []
    for _ in range(3):
        bench.start()
        boots.append(bench.recorder.boot)
    assert boots == [2, 3, 4]


def test_whoever_waits_is_told_of_a_record() -> None:
    bench = Bench()
    assert not bench.recorder.recorded.has_data()
    bench.cash()
    assert bench.recorder.recorded.has_data()


def test_an_outcome_names_its_intent_and_its_medium() -> None:
    bench = Bench()
    intent = bench.intent()
    bench.recorder.outcome(intent, DECISION_COMMITTED, 4, b"mac mac ", 88_000)
    tap = bench.taps()[1]
    assert (tap.kind, tap.reference, tap.decision, tap.counter) == (KIND_OUTCOME, 1, DECISION_COMMITTED, 4)
    assert (tap.evidence, tap.balance_minor, tap.token, tap.medium) == (
        b"mac mac ",
        88_000,
        intent.token,
        intent.medium,
    )


def test_the_place_of_an_outcome_is_kept_whatever_else_is_recorded() -> None:
    for before in range(2 * PER_SECTOR):
        bench = Bench()
        bench.cash(before)
        try:
            intent = bench.intent()
        except JournalFull:
            assert before >= 2 * PER_SECTOR - 2
            continue
        for _ in range(2 * PER_SECTOR):
            try:
                bench.cash()
            except JournalFull:
                break
        bench.recorder.clock_stepped(100)
        bench.recorder.outcome(intent, DECISION_COMMITTED, 4, b"m" * 8, 88_000)
        assert bench.taps()[-1].kind == KIND_OUTCOME, before


def test_when_the_outcome_is_there_its_place_is_free_again() -> None:
    bench = Bench()
    bench.recorder.outcome(bench.intent(), DECISION_COMMITTED)
    bench.cash(2 * PER_SECTOR - 2)
    assert bench.journal.free_slots == 0
    refusal(JournalFull, bench.cash)


def test_a_start_records_debits_that_nobody_knows_the_end_of() -> None:
    bench = Bench()
    intent = bench.intent()
    bench.start()
    bench.recorder.started([intent])
    assert [(tap.kind, tap.decision) for tap in bench.taps()[1:]] == [
        (KIND_OUTCOME, DECISION_OUTCOME_UNKNOWN),
        (KIND_BOOT, None),
    ]
    assert bench.taps()[0].kind == KIND_INTENT


def test_a_full_journal_stops_neither_start_nor_clock() -> None:
    bench = Bench()
    bench.cash(2 * PER_SECTOR)
    bench.start()
    bench.recorder.started([])
    bench.recorder.clock_stepped(5)
    assert bench.board.logged == ["journal full at start", "journal full: clock step not recorded"]
    assert len(bench.taps()) == 2 * PER_SECTOR


def test_free_rides_are_recorded_once_there_is_room() -> None:
    bench = Bench()
    bench.recorder.record_free_rides()
    bench.cash(2 * PER_SECTOR)
    bench.recorder.free_rides = 3
    bench.recorder.record_free_rides()
    assert bench.recorder.free_rides == 3
    bench.journal.acknowledge(PER_SECTOR)
    bench.recorder.record_free_rides()
    assert bench.recorder.free_rides == 0
    record = bench.journal.records_from(2 * PER_SECTOR + 1, 5, 1000)[1][0]
    assert (decode_tap(record).kind, decode_tap(record).extensions) == (KIND_FAULT, {0: 3})


def test_a_clock_step_says_how_far_in_either_direction() -> None:
    bench = Bench()
    for seconds in (-90_000, 6):
        bench.recorder.clock_stepped(seconds)
    assert [(tap.kind, tap.extensions) for tap in bench.taps()] == [
        (KIND_CLOCK_STEP, {0: -90_000}),
        (KIND_CLOCK_STEP, {0: 6}),
    ]


def test_a_top_up_keeps_the_place_of_its_outcome_too() -> None:
    bench = Bench()
    begun = bench.recorder.intent(KIND_TOP_UP, token_key_version=1, token=b"t" * 16, fare_minor=1, extensions={0: 7})
    for _ in range(2 * PER_SECTOR):
        try:
            bench.cash()
        except JournalFull:
            break
    bench.recorder.outcome(begun, DECISION_TOPPED_UP, 4, b"m" * 8, 88_000)
    taps = bench.taps()
    assert (taps[0].kind, taps[0].extensions) == (KIND_TOP_UP, {0: 7})
    assert (taps[-1].reference, taps[-1].decision) == (begun.sequence, DECISION_TOPPED_UP)
