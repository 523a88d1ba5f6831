"""An inspector's device in a real vehicle: a real process beside a door's, with a device's heap, and a service behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from protocol.cards.card_layout import Environment
from protocol.qr.ticket import DAY_S
from simulator.desfire_card import DesfireCard
from simulator.emv_card import EmvCard
from tests.builders import NOW_S
from tests.simulator.test_two_doors import VEHICLE, Vehicle, ticket_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulator.street import Office

DOOR, INSPECTOR = 0, 1
_SYNC_MS = 400_000


@pytest.fixture
def vehicle(office: Office, tmp_path: Path) -> Iterator[Vehicle]:
    vehicle = Vehicle(office, tmp_path, ("micropython", "micropython32"), tasks=("run", "inspect"))
    yield vehicle
    vehicle.close()


def test_who_has_paid_is_known_beside_the_door_and_nobody_is_charged_by_it(office: Office, vehicle: Vehicle) -> None:
    environment = Environment(b"inspecte", 1, 1, NOW_S + DAY_S)
    card = DesfireCard.personalise(b"\x04inspec", environment, 100_000, office.keys)
    bank_card = EmvCard(b"\x08\x01\x02\x03", "9999990000000018", "3012")
    assert vehicle.hold(INSPECTOR, card) == "inspected 41 - 1 -"
    assert vehicle.hold(INSPECTOR, bank_card) == "inspected 43 - - -"
    for medium in (card, bank_card):
        assert vehicle.hold(DOOR, medium).startswith("ok ")
    balance_minor = card.balance_minor
    assert vehicle.hold(INSPECTOR, card) == "inspected 40 0 1 1"
    assert vehicle.hold(INSPECTOR, bank_card) == "inspected 40 0 - -"
    text = ticket_text(office, 91, vehicle.now_ms // 1000)
    assert vehicle.scan(INSPECTOR, text) == "inspected 43 - 1 -"
    assert vehicle.scan(DOOR, text).startswith("ok ")
    assert vehicle.scan(INSPECTOR, text) == "inspected 40 0 1 -"
    vehicle.doors[INSPECTOR].driver.say("sms 0AB9Z7CK")
    vehicle.run_for(_SYNC_MS)
    assert card.balance_minor == balance_minor
    validators = office.service.get("/v1/validators")["validators"]
    sent = [each["acked_sequence"] for each in validators if (each["vehicle"], each["status"]) == (VEHICLE, "active")]
    assert len(sent) == 2
    assert min(sent) >= 6
