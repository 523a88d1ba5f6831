"""The validator's own code, and who comes with the receipt: on a bus that has no network."""

from __future__ import annotations

from protocol.enrolment import KeyBundle
from protocol.qr.nonce import (
    Receipt,
    is_genuine,
    read_screen,
    screen_key,
    show_receipt,
    vehicle_secret,
)
from protocol.qr.ticket import DAY_S, day_key
from protocol.tap import KIND_REFUSED, KIND_SINGLE, MEDIUM_QR_SCREEN
from tests.firmware.bench_board import NOW_S, run_for
from tests.firmware.test_validator import CITY, QR_MASTER, Bus, ticket

DEVICE = b"d" * 16
SECRET = vehicle_secret(QR_MASTER, "almaty", "A-101")
KEY = screen_key(day_key(QR_MASTER, NOW_S // DAY_S), SECRET, DEVICE)
MINUTE = NOW_S // 60
FARE_MINOR = 11_000


class ScreenBus(Bus):
    """A validator with a screen for codes."""

    def __init__(self, secret: bytes = SECRET, policy: str = "refuse", sectors: int = 4) -> None:
        self.secret = secret
        super().__init__(policy, sectors)

    def start(self) -> None:
        bundle = self.city.bundle
        self.city.bundle = KeyBundle(bytes(16), bytes(16), bytes(32), bundle.qr_day_keys, 1, self.secret)
        super().start()
        self.loop.spawn(self.validator.show_codes(DEVICE))
        run_for(self.board, self.loop, 10)


def receipt(
    payment: bytes = b"payment1",
    minute: int = MINUTE,
    city: int = CITY,
    device: bytes = DEVICE,
    key: bytes = KEY,
    fare_minor: int = FARE_MINOR,
) -> str:
    return show_receipt(Receipt(device, city, minute, payment, fare_minor, 1), key)


def test_each_minute_shows_another_code() -> None:
    bus = ScreenBus()
    run_for(bus.board, bus.loop, 179_000)
    codes = [read_screen(text) for text in bus.board.codes]
    assert [code.minute - MINUTE for code in codes] == [0, 1, 2]
    assert all(is_genuine(code, KEY) and code.device == DEVICE for code in codes)


def test_who_has_paid_rides_once_and_what_was_paid_is_recorded() -> None:
    bus = ScreenBus()
    assert bus.hear("qr", receipt()) == "show ok 2 11000 -, light green"
    assert bus.hear("qr", receipt()) == "show refused 20, light red"
    assert bus.hear("qr", receipt(b"payment2")) == "show ok 4 11000 -, light green"
    tap = bus.taps()[1]
    assert (tap.kind, tap.medium, tap.fare_minor, tap.counter) == (KIND_SINGLE, MEDIUM_QR_SCREEN, FARE_MINOR, MINUTE)
    assert tap.token is not None
    assert tap.evidence is not None
    assert bus.board.requests == [], "nobody was asked"


def test_a_receipt_passes_once_through_a_start_and_among_many() -> None:
    bus = ScreenBus(sectors=12)
    bus.hear("qr", receipt())
    bus.start()
    assert bus.hear("qr", receipt()) == "show refused 20, light red"
    for number in range(20):
        assert bus.hear("qr", receipt(number.to_bytes(8, "big"))).endswith("green")
        assert bus.hear("qr", ticket(number=number)).endswith("green")
    assert bus.hear("qr", receipt()) == "show refused 20, light red"


def test_receipts_that_may_not_ride_are_told_why() -> None:
    other_vehicle = screen_key(day_key(QR_MASTER, NOW_S // DAY_S), vehicle_secret(QR_MASTER, "almaty", "A-102"), DEVICE)
    for text, decision in (
        ("JQ3:", 10),
        ("JQ3:AAA", 10),
        (receipt(city=2), 33),
        (receipt(device=b"e" * 16), 34),
        (receipt(minute=MINUTE - 4), 35),
        (receipt(minute=MINUTE + 1), 35),
        (receipt(key=other_vehicle), 11),
        (receipt()[:-1] + ("0" if receipt()[-1] != "0" else "1"), 11),
    ):
        bus = ScreenBus()
        assert bus.hear("qr", text) == "show refused " + str(decision) + ", light red", text
        assert bus.taps()[-1].kind == KIND_REFUSED
        assert bus.taps()[-1].fare_minor in {None, 0}


def test_without_the_vehicles_secret_there_is_no_code_and_no_ride() -> None:
    bus = ScreenBus(secret=bytes(8))
    assert bus.board.codes == [""]
    assert bus.hear("qr", receipt()) == "show refused 35, light red"


def test_a_validator_without_a_screen_takes_no_receipts() -> None:
    bus = Bus()
    assert bus.hear("qr", receipt()) == "show refused 10, light red"


def test_a_full_journal_lets_nobody_pass_unrecorded() -> None:
    bus = ScreenBus(sectors=2)
    while bus.journal.free_slots:
        assert bus.hear("driver", "cash").endswith("green")
    assert bus.hear("qr", receipt()) == "show refused 13, light red"
