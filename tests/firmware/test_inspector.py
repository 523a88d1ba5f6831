"""The inspector's view: what a medium is told to have paid, by what, and that nothing is charged. Cards: `tests.simulator`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.feedback import Feedback
from firmware.inspection import InspectionRecords
from firmware.inspector import Inspector
from firmware.journal import Journal
from firmware.keys import Membership
from firmware.loop import Loop
from firmware.place import Place
from firmware.readers.reader import MediumGone, Target
from firmware.recent_taps import RecentTaps
from firmware.records import Records
from protocol.cose import ec2_key
from protocol.enrolment import Enrolled, KeyBundle
from protocol.fare_rules import FareRules
from protocol.fare_table import FareTable
from protocol.qr.nonce import Receipt, screen_key, show_receipt, vehicle_secret
from protocol.qr.ticket import DAY_S, day_key, show_ticket, ticket_key
from protocol.tap import (
    KIND_BOOT,
    KIND_INSPECTION,
    KIND_SINGLE,
    MEDIUM_OTHER,
    MEDIUM_QR_SCREEN,
    MEDIUM_QR_TICKET,
    MEDIUM_TRANSPORT_CARD,
    Tap,
    decode_tap,
)
from protocol.tokens import LABEL_QR, medium_token
from tests.firmware.bench_board import BenchBoard, BenchDatagrams, run_for, run_to_end
from tests.firmware.ram_flash import RamFlash
from tests.protocol.transcript import read_exchanges
from tests.vectors.load import load

if TYPE_CHECKING:
    from typing import Any

    from protocol.key_ring import KeySet


def _of_the_vector(*names: str) -> list[Any]:
    ride = load("transit_ride")
    return [ride[name] for name in names]


UID, READ_MASTER, INSPECTION = _of_the_vector("uid", "read_master", "inspection")
CITY = 1
DEVICE = b"d" * 16
OTHER_DOOR = b"e" * 16
QR_MASTER = b"qr master of the city..........."
SECRET = vehicle_secret(QR_MASTER, "almaty", "A-101")
# The card of the vector rode then, on line 12, run 3.
RODE_S = 1_800_000_000
LINE, RUN = 12, 3
NOW_S = RODE_S + 300
DAY = NOW_S // DAY_S
HOUR_MS = 3_600_000


class Script:
    """A reader with a card that is a script; it leaves the field where the script ends."""

    certified = None

    def __init__(self, exchanges: list[tuple[bytes, bytes]]) -> None:
        self._exchanges = exchanges

    async def exchange(self, command: bytes, meanwhile: Any = None) -> bytes:  # noqa: ANN401
        del meanwhile
        if not self._exchanges:
            raise MediumGone("the card is gone")
        expected, answer = self._exchanges.pop(0)
        assert command == expected
        return answer


class Keys(Membership):
    """What enrolment brought; nothing is verified here."""

    def use(self, key_set: KeySet | None) -> None:
        self.key_set = key_set


class Rules:
    """The documents in force."""

    def __init__(self, next_trip_s: int) -> None:
        rules = FareRules()
        rules.next_trip_s = next_trip_s
        self.fare_table = FareTable(1, 0, NOW_S + DAY_S, CITY, {}, rules)
        self.card_authorities = None


class Bench:
    """An inspector's device."""

    def __init__(self, *console: str, secret: bytes = SECRET, sectors: int = 4, next_trip_s: int = 0) -> None:
        self.board = BenchBoard(flash=RamFlash(sectors))
        self.board.unix_ms_at_boot = NOW_S * 1000
        days = {day: day_key(QR_MASTER, day) for day in (DAY - 1, DAY, DAY + 1)}
        bundle = KeyBundle(bytes.fromhex(READ_MASTER), bytes(16), bytes(32), days, 1, secret)
        key = ec2_key(bytes(32), bytes(32))
        enrolled = Enrolled(
            device=DEVICE,
            epoch=1,
            ack_key=key,
            document_key=key,
            audience="almaty",
            wrapped_keys=bytes(192),
            line=7,
            vehicle="A-101",
            city=CITY,
            server_time_s=NOW_S,
        )
        membership = Keys(self.board, enrolled, bundle, b"documents")
        self.journal = Journal(self.board.flash, b"key", DEVICE, 1)
        self.recent = RecentTaps()
        self.journal.recover(self.recent.recall)
        self.records = InspectionRecords(self.board, self.journal, Place(7))
        self.records.note_start()
        rules: Any = Rules(next_trip_s)
        feedback = Feedback(self.board)
        self.inspector = Inspector(self.board, membership, rules, self.records, self.recent, feedback)
        self.loop = Loop(self.board)
        self.loop.spawn(self.inspector.serve_codes(self.loop))
        self.loop.spawn(self.inspector.serve_console(self.loop))
        for line in console:
            self.say(line)

    def hear(self, port: str, text: str) -> str:
        self.board.told = []
        getattr(self.board, port).give(text.encode() + b"\n")
        run_for(self.board, self.loop, 100)
        return self.told()

    def told(self) -> str:
        return ", ".join([line for line in self.board.told if not line.startswith("beep")])

    def say(self, line: str) -> str:
        return self.hear("driver", line)

    def scan(self, text: str) -> str:
        return self.hear("qr", text)

    def hold(self, commands: int = 99, target: Target | None = None) -> str:
        """Hold the card of the vector, which leaves after so many commands."""
        self.board.told = []
        self.board._random = 0
        reader: Any = Script(read_exchanges(INSPECTION)[:commands])
        held = target or Target(bytes.fromhex(UID), 1, True)
        run_to_end(self.board, self.loop, self.inspector.serve_card(reader, held))
        return self.told()

    def ride(self, token: bytes, trip: int | None, is_ours: bool = False) -> None:
        """Let a validator of the vehicle have let somebody in, a minute ago."""
        tap = Tap(
            sequence=9,
            tapped_at_s=NOW_S - 60,
            clock_quality=3,
            uptime_ms=0,
            boot=1,
            kind=KIND_SINGLE,
            token=token,
            trip=trip,
        )
        self.recent.remember(tap, is_ours=is_ours)

    def taps(self) -> list[Tap]:
        oldest = self.journal.oldest_sequence
        return [decode_tap(record) for record in self.journal.records_from(oldest, 1000, 100_000)[1]]


def ticket(number: int = 1, city: int = CITY, step_s: int = 0) -> str:
    now_s, ticket_id = NOW_S + step_s, number.to_bytes(8, "big")
    key = ticket_key(day_key(QR_MASTER, now_s // DAY_S), ticket_id)
    return show_ticket(ticket_id, city, 1, NOW_S + DAY_S, key, now_s, bytes(72))


def ticket_token(number: int = 1) -> bytes:
    return medium_token(bytes(32), LABEL_QR, number.to_bytes(8, "big"))


def receipt(device: bytes = DEVICE, minute: int = NOW_S // 60 - 2, city: int = CITY, secret: bytes = SECRET) -> str:
    key = screen_key(day_key(QR_MASTER, minute // 1440), secret, device)
    return show_receipt(Receipt(device, city, minute, b"payment1", 11_000, 1), key)


# Transport cards.


def test_a_card_that_rode_on_this_run_has_paid_and_tells_when_and_for_whom() -> None:
    bench = Bench("line 12", "trip 3")
    assert bench.hold() == "show inspected 40 5 2 1, light green"
    assert "beep concession" in bench.board.told
    tap = bench.taps()[-1]
    assert (tap.kind, tap.decision, tap.medium, tap.category) == (KIND_INSPECTION, 40, MEDIUM_TRANSPORT_CARD, 2)
    assert (tap.product, tap.extensions, tap.line, tap.trip) == (1, {0: RODE_S}, LINE, RUN)


def test_a_card_that_rode_on_another_line_or_run_has_not_paid_here() -> None:
    assert Bench("line 7", "trip 3").hold() == "show inspected 42 5 2 1, light amber"
    assert Bench("line 12", "trip 4").hold() == "show inspected 42 5 2 1, light amber"


def test_where_nobody_says_which_run_this_is_no_rider_of_the_line_is_accused() -> None:
    assert Bench("line 12").hold() == "show inspected 43 5 2 1, light amber"


def test_a_run_that_has_become_the_next_one_still_counts_for_as_long_as_the_city_says() -> None:
    for next_trip_s, shown in ((600, "40"), (300, "42"), (0, "42")):
        bench = Bench("line 12", "trip 3", "trip 4", next_trip_s=next_trip_s)
        assert bench.hold().split()[2] == shown, next_trip_s


def test_a_ride_of_this_morning_pays_for_none_in_the_afternoon() -> None:
    bench = Bench("line 12", "trip 3")
    bench.board.advance(3 * HOUR_MS + 54 * 60_000)
    assert bench.hold() == "show inspected 40 239 2 1, light green"
    bench.board.advance(4 * HOUR_MS)
    assert bench.hold() == "show inspected 41 - 2 -, light red"
    assert "beep refused" in bench.board.told


def test_a_dead_clock_accuses_nobody() -> None:
    bench = Bench("line 12", "trip 3")
    bench.board.set_clock(0, 0)
    assert bench.hold().startswith("show inspected 40 ")


def test_a_card_that_leaves_or_is_not_alone_or_is_none_is_told_so() -> None:
    bench = Bench("line 12", "trip 3")
    for commands in range(5):
        assert bench.hold(commands) == "show inspected 7 - - -, light red"
    assert "beep hold again" in bench.board.told
    assert bench.hold(target=Target(b"1234", 2, True)) == "show inspected 14 - - -, light red"
    assert bench.hold(target=Target(b"1234", 1, False)) == "show inspected 4 - - -, light red"
    assert bench.hold(target=Target(bytes(4), 1, True)) == "show inspected 19 - - -, light red"


# Codes.


def test_a_ticket_that_a_door_has_let_in_has_paid() -> None:
    bench = Bench("trip 3")
    bench.ride(ticket_token(), 3)
    assert bench.scan(ticket()) == "show inspected 40 1 1 -, light green"
    bench.say("trip 4")
    assert bench.scan(ticket()) == "show inspected 41 - 1 -, light red"


def test_what_was_not_heard_of_is_unpaid_only_where_there_is_no_other_door() -> None:
    bench = Bench("trip 3")
    assert bench.scan(ticket()) == "show inspected 41 - 1 -, light red"
    bench.board.neighbours = BenchDatagrams()
    assert bench.scan(ticket()) == "show inspected 43 - 1 -, light amber"


def test_a_device_that_may_have_forgotten_a_tap_does_not_call_it_unpaid() -> None:
    bench = Bench("trip 3")
    for number in range(192):
        bench.ride(ticket_token(number + 2), 3, is_ours=True)
    assert bench.scan(ticket()).startswith("show inspected 43 ")
    bench.say("trip 4")
    assert bench.scan(ticket()).startswith("show inspected 41 ")


def test_a_receipt_of_any_door_of_this_vehicle_has_paid() -> None:
    for device in (DEVICE, OTHER_DOOR):
        bench = Bench()
        assert bench.scan(receipt(device)) == "show inspected 40 2 1 -, light green"
        assert bench.taps()[-1].medium == MEDIUM_QR_SCREEN


def test_a_receipt_that_is_none_here_is_told_apart() -> None:
    bench = Bench()
    other = vehicle_secret(QR_MASTER, "almaty", "A-102")
    for text, decision in (
        (receipt(secret=other), 41),
        (receipt(minute=NOW_S // 60 - 241), 35),
        (receipt(city=2), 33),
        ("JQ3:AAA", 10),
    ):
        assert bench.scan(text).split()[2] == str(decision), decision
    assert Bench(secret=bytes(8)).scan(receipt()).split()[2] == "43"


def test_a_code_that_is_no_ticket_of_now_and_here_is_told_why() -> None:
    bench = Bench()
    for text, decision in (("HELLO", 10), (ticket(step_s=-120), 12), (ticket(city=2), 33)):
        assert bench.scan(text).split()[2] == str(decision), decision
        assert bench.taps()[-1].kind == KIND_INSPECTION


def test_what_a_rider_shows_who_paid_by_sms_must_be_asked_for() -> None:
    bench = Bench()
    assert bench.say("sms 0ab9z7ck") == "show inspected 43 - - -, light amber"
    tap = bench.taps()[-1]
    assert (tap.kind, tap.medium, tap.decision, tap.token) == (KIND_INSPECTION, MEDIUM_OTHER, 43, None)
    for line in ("sms 123", "sms 0ab9z7cu", "cash", "sms"):
        assert bench.say(line) == ""
        assert bench.board.logged[-1] == "console: a line that is not understood"
    assert len(bench.taps()) == 2


# What it leaves behind.


def test_nothing_but_inspections_is_recorded_and_none_has_money_in_it() -> None:
    bench = Bench("line 12", "trip 3")
    bench.ride(ticket_token(), 3)
    for text in (ticket(), receipt(), ticket(2), "HELLO"):
        bench.scan(text)
    bench.hold()
    bench.say("sms 0AB9Z7CK")
    taps = bench.taps()
    assert [tap.kind for tap in taps] == [KIND_BOOT] + [KIND_INSPECTION] * 6
    assert [tap.medium for tap in taps[1:3]] == [MEDIUM_QR_TICKET, MEDIUM_QR_SCREEN]
    for tap in taps:
        assert tap.fare_minor is tap.balance_minor is tap.counter is tap.reference is None
        assert tap.evidence is None


def test_a_full_journal_hides_no_verdict() -> None:
    bench = Bench(sectors=2)
    for _ in range(20):
        assert bench.scan(receipt()).endswith("light green")
    assert "journal full: inspection not recorded" in bench.board.logged
    assert bench.journal.free_slots == 0


def test_an_inspection_is_all_that_its_records_can_write_beyond_what_every_program_does() -> None:
    added = [name for name in dir(InspectionRecords) if name not in dir(Records)]
    assert [name for name in added if not name.startswith("__")] == ["inspection"]
