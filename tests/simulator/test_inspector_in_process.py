"""A door and an inspector on one vehicle, with virtual media before both: who has paid, and that nobody is charged by a look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from protocol.decisions import DECISION_OUTCOME_UNKNOWN
from protocol.qr.nonce import Receipt, screen_key, show_receipt
from protocol.qr.ticket import DAY_S, day_key
from protocol.tap import KIND_BOOT, KIND_INSPECTION, KIND_INTENT
from simulator.certified_reader import CertifiedModule
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from simulator.flash import PowerCut
from tests.firmware.bench_board import NOW_S, BenchDatagrams
from tests.firmware.bench_service import CITY, QR_MASTER, TOKEN_KEY
from tests.simulator.validator_bench import (
    MASTERS,
    SCHOOL,
    VEHICLE_SECRET,
    BusBench,
    InspectorBench,
    make_card,
    make_old_card,
    make_ticket,
    outcomes_of,
    plugged,
)

if TYPE_CHECKING:
    from simulator.iso_dep import Card


class Vehicle:
    """One vehicle: a door, and an inspector who has come aboard.

    Attributes:
        door, inspector: devices that hear each other.
    """

    def __init__(self) -> None:
        ports = BenchDatagrams(), BenchDatagrams()
        plugged(*ports)
        self.door = BusBench(plug=ports[0])
        self.inspector = InspectorBench(number=2, plug=ports[1])
        for device in (self.door, self.inspector):
            device.say("trip 1")

    def look(self, medium: Card | str) -> str:
        """Let the inspector look at a card or a code, and return what is shown."""
        inspector = self.inspector
        inspector.keep_up_with(self.door)
        shown = inspector.scan(medium) if isinstance(medium, str) else inspector.hold(medium)
        self.door.keep_up_with(inspector)
        return shown.removeprefix("inspected ")


def make_bank_card(scheme: bytes = VISA_LIKE) -> EmvCard:
    return EmvCard(b"\x08\x01\x02\x03", "9999990000000018", "3012", scheme)


def test_a_transport_card_has_paid_once_a_door_let_it_in() -> None:
    vehicle = Vehicle()
    card = make_card()
    assert vehicle.look(card) == "41 - 1 -, light red"
    vehicle.door.hold(card)
    image = card.to_image()
    for _ in range(3):
        assert vehicle.look(card) == "40 0 1 1, light green"
    assert card.to_image() == image
    vehicle.inspector.say("trip 2")
    assert vehicle.look(card) == "42 0 1 1, light amber"


def test_a_debit_that_ended_in_the_dark_is_known_by_the_card() -> None:
    for carried_out, shown in ((True, "40 0 1 1, light green"), (False, "41 - 1 -, light red")):
        vehicle = Vehicle()
        card = make_card()
        card.tear_at(9, carried_out=carried_out)
        assert vehicle.door.hold(card) == "refused 17, light red"
        assert vehicle.look(card) == shown


@pytest.mark.parametrize(
    ("card", "shown"),
    [
        (make_card(city=2), "4 - 1 -"),
        (make_card(masters=dict.fromkeys(MASTERS, bytes(16))), "5 - - -"),
        (EmvCard(b"\x08\x01\x02\x03", "9999990000000018", "3012", bytes.fromhex("A0000006581010")), "4 - - -"),
        (EmvCard(b"\x08\x01\x02\x03", "9999990000000018", "3012", certificates_expire_yymm="2404"), "27 - - -"),
    ],
)
def test_a_card_that_cannot_be_looked_at_is_told_why(card: Card, shown: str) -> None:
    vehicle = Vehicle()
    assert vehicle.look(card) == f"{shown}, light red"
    assert vehicle.look(make_card()).startswith("41 "), "and the next one is looked at"


def test_a_card_of_the_layout_before_is_known_by_the_door_that_let_it_in() -> None:
    vehicle = Vehicle()
    card = make_old_card(category=SCHOOL)
    assert vehicle.look(card) == "43 - 2 -, light amber"
    vehicle.door.hold(card)
    assert vehicle.look(card) == "40 0 2 -, light green"
    assert "beep concession" in vehicle.inspector.board.told


@pytest.mark.parametrize("scheme", [VISA_LIKE, MASTERCARD_LIKE])
def test_a_bank_card_is_known_by_its_token_and_leaves_nothing_to_charge(scheme: bytes) -> None:
    vehicle = Vehicle()
    card = make_bank_card(scheme)
    assert vehicle.look(card) == "43 - - -, light amber"
    assert vehicle.door.hold(card).startswith("ok ")
    assert vehicle.look(card) == "40 0 - -, light green"
    assert card.transactions == 3
    inspection = max(vehicle.inspector.taps().values(), key=lambda tap: tap.sequence)
    ride = next(tap for tap in vehicle.door.taps().values() if tap.token is not None)
    assert (inspection.kind, inspection.token, inspection.evidence) == (KIND_INSPECTION, ride.token, None)
    assert b"9999990000000018" not in bytes(vehicle.inspector.flash.data)


def test_a_certified_reader_serves_an_inspector_too_and_its_blob_is_dropped() -> None:
    vehicle = Vehicle()
    vehicle.inspector.module = CertifiedModule(TOKEN_KEY, "module of a test")
    vehicle.inspector.store.write("certified-reader", b"")
    vehicle.inspector.restart()
    assert vehicle.look(make_bank_card()).startswith("43 ")
    assert {tap.kind for tap in vehicle.inspector.taps().values()} == {KIND_BOOT, KIND_INSPECTION}


def test_without_a_secure_element_no_bank_card_is_looked_at() -> None:
    vehicle = Vehicle()
    vehicle.inspector.profile = 2
    vehicle.inspector.restart()
    assert vehicle.look(make_bank_card()) == "32 - - -, light red"


def test_a_ticket_and_a_receipt_are_known() -> None:
    vehicle = Vehicle()
    ticket, now_s = make_ticket(), NOW_S + 30
    assert vehicle.look(ticket.text(now_s)).startswith("43 ")
    vehicle.door.scan(ticket.text(now_s))
    assert vehicle.look(ticket.text(now_s)).startswith("40 ")
    key = screen_key(day_key(QR_MASTER, NOW_S // DAY_S), VEHICLE_SECRET, vehicle.door.identity.device)
    receipt = Receipt(vehicle.door.identity.device, CITY, NOW_S // 60, b"payment1", 12_000, 1)
    assert vehicle.look(show_receipt(receipt, key)).startswith("40 ")


def test_on_the_device_of_the_door_itself_the_journal_tells_and_what_is_dangling_stays_so() -> None:
    door = BusBench()
    door.say("trip 1")
    door.hold(make_bank_card())
    door.flash.cut_after_bytes = 128  # behind the intent
    with pytest.raises(PowerCut):
        door.hold(make_card())
    inspector = InspectorBench()
    inspector.start_in(door.state())
    before = [tap.kind for tap in inspector.taps().values()]
    assert before[-2:] == [KIND_INTENT, KIND_BOOT]
    assert inspector.hold(make_bank_card()).startswith("inspected 40 ")
    assert [tap.kind for tap in inspector.taps().values()] == [*before, KIND_INSPECTION]
    door.start_in(inspector.state())
    assert list(outcomes_of(door.taps()).values()) == [[DECISION_OUTCOME_UNKNOWN]]
