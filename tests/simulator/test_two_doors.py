"""A vehicle with two doors: two real validators, the vehicle's network between them, and riders who try both."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from protocol.cards.card_layout import Environment
from protocol.qr.ticket import DAY_S
from simulator.desfire_card import DesfireCard
from simulator.phone import issue_ticket
from simulator.rider_app import RiderApp
from simulator.service import ServiceError
from simulator.vehicle_network import VehicleNetwork
from tests.builders import NOW_MS, NOW_S
from tests.simulator.street import CITY, Stand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator.iso_dep import Card
    from simulator.vehicle_network import Plug
    from tests.simulator.street import Office

VEHICLE = "A-109"


class Vehicle:
    """One vehicle, both doors on one clock.

    Attributes:
        doors: its validators, front and back.
        plugs: where each is connected.
    """

    def __init__(
        self, office: Office, folder: Path, runtimes: tuple[str, str], tasks: tuple[str, str] = ("run", "run")
    ) -> None:
        office.clear(VEHICLE)
        office.clock.set(NOW_MS)  # a validator asks for the time as soon as it is switched on
        self.office = office
        self.network = VehicleNetwork()
        self.plugs: list[Plug] = []
        self.doors: list[Stand] = []
        for number, (runtime, task) in enumerate(zip(runtimes, tasks, strict=True)):
            plug = self.network.plug()
            options = ("--code-screen", "1") if task == "run" else ()
            door = Stand(office, folder / str(number), runtime, options=options, plug=plug)
            door.process.task = task
            door.mount(VEHICLE)
            self.plugs.append(plug)
            self.doors.append(door)
        self.now_ms = NOW_MS
        for door in self.doors:
            door.boot()
            door.driver.say("trip 1")
        self.run_for(4_000)

    def run_for(self, duration_ms: int) -> None:
        """Let time pass at both doors, a tenth of a second at a time: as long as a datagram may take."""
        for _ in range(duration_ms // 100):
            for door in self.doors:
                door.run_for(100)
        self.now_ms += duration_ms

    def scan(self, door: int, text: str) -> str:
        """Show a code at a door and return what it shows."""
        heard = len(self.doors[door].heard)
        assert self.doors[door].scanner.look_at(text, self.now_ms)
        self.run_for(600)
        return self._shown(door, heard)

    def hold(self, door: int, card: Card) -> str:
        heard = len(self.doors[door].heard)
        self.doors[door].chip.present(card, self.now_ms, None)
        self.run_for(1_500)
        self.doors[door].chip.remove(card)
        self.run_for(1_500)
        return self._shown(door, heard)

    def _shown(self, door: int, heard: int) -> str:
        shown = [line for line in self.doors[door].heard[heard:] if line.startswith("show ")]
        return shown[-1].removeprefix("show ") if shown else ""

    def screen(self, door: int) -> str:
        return next(line for line in reversed(self.doors[door].heard) if line.startswith("code "))[5:]

    def close(self) -> None:
        for door in self.doors:
            door.process.close()
        self.network.close()


@pytest.fixture
def vehicle(office: Office, tmp_path: Path) -> Iterator[Vehicle]:
    vehicle = Vehicle(office, tmp_path, ("micropython", "micropython32"))
    yield vehicle
    vehicle.close()


def ticket_text(office: Office, number: int, at_s: int) -> str:
    return issue_ticket(office.keys, CITY, number.to_bytes(8, "big"), 1, 1, NOW_S + DAY_S).text(at_s)


def _reasons(office: Office) -> list[str]:
    """What is on the exceptions list for the validators that are mounted now."""
    devices = {
        each["device"]
        for each in office.service.get("/v1/validators")["validators"]
        if each["vehicle"] == VEHICLE and each["status"] == "active"
    }
    found = office.service.get("/v1/exceptions", city=CITY)["exceptions"]
    return [each["reason"] for each in found if each["device"] in devices]


def test_a_ticket_rides_once_through_whichever_door(office: Office, vehicle: Vehicle) -> None:
    text = ticket_text(office, 1, vehicle.now_ms // 1000)
    assert vehicle.scan(0, text).startswith("ok ")
    assert vehicle.scan(1, text) == "refused 20"
    assert vehicle.scan(0, text) == "refused 20"
    assert vehicle.scan(1, ticket_text(office, 2, vehicle.now_ms // 1000)).startswith("ok ")
    assert vehicle.scan(0, ticket_text(office, 2, vehicle.now_ms // 1000)) == "refused 20"


def test_without_its_neighbour_a_door_works_on_and_clearing_finds_the_second_ride(
    office: Office, vehicle: Vehicle
) -> None:
    vehicle.network.is_cut = True
    text = ticket_text(office, 3, vehicle.now_ms // 1000)
    assert [vehicle.scan(door, text).split()[0] for door in (0, 1)] == ["ok", "ok"]
    vehicle.run_for(200_000)
    assert _reasons(office) == ["code_twice"]


def test_what_is_put_onto_the_wire_by_others_lets_nobody_in_or_out(office: Office, vehicle: Vehicle) -> None:
    chance = random.Random(1)
    text = ticket_text(office, 4, vehicle.now_ms // 1000)
    assert vehicle.scan(0, ticket_text(office, 5, vehicle.now_ms // 1000)).startswith("ok ")
    told = vehicle.plugs[0].heard[-1]
    for datagram in (told, told, told[:-1], b"", chance.randbytes(4096), bytes((told[0] ^ 1,)) + told[1:]):
        vehicle.plugs[1].put(datagram)
        vehicle.run_for(300)
    for _ in range(200):
        vehicle.plugs[1].put(chance.randbytes(80))
    vehicle.run_for(2_000)
    assert {line for line in vehicle.doors[1].process.log if line.startswith("neighbours")} == {
        "neighbours: replayed",
        "neighbours: forged",
        "neighbours: not the size of one",
        "neighbours: not a neighbour's",
        "neighbours: too many",
    }
    assert vehicle.scan(1, text).startswith("ok "), "the vehicle works on"
    assert vehicle.scan(0, text) == "refused 20"


def test_a_door_that_was_without_power_hears_again(office: Office, vehicle: Vehicle) -> None:
    vehicle.doors[1].process.kill()
    vehicle.scan(0, ticket_text(office, 6, vehicle.now_ms // 1000))
    vehicle.doors[1].boot()
    vehicle.run_for(2_000)
    text = ticket_text(office, 7, vehicle.now_ms // 1000)
    assert vehicle.scan(1, text).startswith("ok ")
    assert vehicle.scan(0, text) == "refused 20", "its count of starts is one higher"


def test_a_rider_pays_by_the_screen_of_a_bus_that_has_no_network(office: Office, vehicle: Vehicle) -> None:
    for door in vehicle.doors:
        door.network.covered = False
    app = RiderApp(office.service, CITY, f"rider of {vehicle.now_ms}", random.Random(3))
    receipt = app.pay(vehicle.screen(1))
    assert receipt is not None
    assert vehicle.scan(0, receipt) == "refused 34"
    assert vehicle.scan(1, receipt) == f"ok 2 {app.paid_minor} -"
    assert vehicle.scan(1, receipt) == "refused 20"
    late = app.pay(vehicle.screen(0))
    assert late is not None
    vehicle.run_for(240_000)
    assert vehicle.scan(0, late) == "refused 35", "it is good for four minutes"
    for door in vehicle.doors:
        door.network.covered = True
    vehicle.run_for(600_000)
    assert _reasons(office) == []
    assert office.acked_sequence(VEHICLE) >= 3, "the service has the ride, and knows of its payment"


def test_a_screen_code_that_was_changed_or_is_old_is_not_paid_for(office: Office, vehicle: Vehicle) -> None:
    app = RiderApp(office.service, CITY, "careless rider", random.Random(3))
    shown = vehicle.screen(0)
    changed = shown[:-1] + ("0" if shown[-1] != "0" else "1")
    for code in (changed, "JQ2:HELLO", "HELLO"):
        with pytest.raises(ServiceError, match="code"):
            app.pay(code)
    vehicle.run_for(240_000)
    with pytest.raises(ServiceError, match="of another moment"):
        app.pay(shown)
    assert app.paid_minor == 0


def test_a_card_that_has_paid_at_one_door_is_greeted_at_the_other(office: Office, vehicle: Vehicle) -> None:
    environment = Environment(b"JQ two d", 1, 1, NOW_S + DAY_S)
    card = DesfireCard.personalise(b"\x04two do", environment, 300_000, office.keys)
    assert vehicle.hold(0, card).startswith("ok ")
    assert vehicle.hold(1, card).startswith("again ")
    assert len(card.committed_debits_minor) == 1
