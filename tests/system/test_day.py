"""The whole way, from riders' hands to the published share, with everything going wrong that can.

Three days are played, two at a time, each with a service, validators and folders of its own: one with every fault on MicroPython;
one on the 32-bit MicroPython with a device's heap, on SQLite; and the same one on CPython and PostgreSQL.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from simulator.count import faults_in
from simulator.day import Settings
from simulator.network import FATES, Weather
from simulator.wallet import bank_card_number, msisdn
from tests.clearing.postgresql import PostgresqlServer, find_programs
from tests.system.town import Played, play

if TYPE_CHECKING:
    from collections.abc import Iterator

# In this seed every mishap of `simulator.riders` befalls somebody.
_STORM = Settings(
    seed=152,
    riders=150,
    hours=(7, 10),
    power_cuts=9,
    weather=Weather(0.04, 0.03, 0.04, 0.03, 0.03, 0.04),
)
_TWO_DOORS = Settings(seed=20, riders=40, hours=(7, 8), power_cuts=3, doors=2)
_PLAIN = ("--seed", "20", "--riders", "40", "--hours", "7-8", "--power-cuts", "3")
_MISHAPS = {"denied", "empty_purse", "foreign", "screenshot", "torn", "two_cards", "unknown"}
_REFUSALS = {
    "insufficient_funds",
    "denied",
    "bad_authentication",
    "torn",
    "two_media",
    "qr_stale",
    "qr_wrong_code",
}


@dataclass(frozen=True)
class _Days:
    storm: Future[Played]
    device: Future[dict[str, Any]]
    postgresql: Future[dict[str, Any]]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Days]:
    pool = ThreadPoolExecutor(2)
    yield _Days(
        pool.submit(play, tmp_path_factory.mktemp("storm"), _STORM),
        pool.submit(_command, *_PLAIN, "--runtime", "micropython32"),
        pool.submit(_on_postgresql),
    )
    pool.shutdown(cancel_futures=True)


@pytest.fixture
def storm(days: _Days) -> Played:
    return days.storm.result()


def _command(*options: str, database_url: str = "") -> dict[str, Any]:
    """Run `jolaqy-sim day` and return the object it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOLAQY_")}
    if database_url:
        environment["JOLAQY_DATABASE_URL"] = database_url
    ran = subprocess.run(
        [sys.executable, "-m", "simulator", "day", *options, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    printed: dict[str, Any] = json.loads(ran.stdout)
    return printed


def _on_postgresql() -> dict[str, Any]:
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = PostgresqlServer(programs)
    try:
        server.execute("CREATE DATABASE day")
        return _command(*_PLAIN, "--runtime", "cpython", database_url=server.url("day"))
    finally:
        server.stop()


def test_every_promise_is_kept_through_a_day_with_every_fault(storm: Played) -> None:
    result = storm.report.result
    assert faults_in(result) == []
    assert (result["taps_lost"], result["taps_doubled"], result["ledger_imbalance_minor"]) == (0, 0, 0)
    assert result["taps_cleared"] == result["taps_accepted"] > _STORM.riders
    assert result["purses_debited_minor"] == result["fares_minor_by_medium"]["transport_card"] > 0
    mine = result["independent_count"]
    assert sum(result["rides_by_medium"].values()) == mine["rides"]
    assert sum(result["fares_minor_by_medium"].values()) == mine["revenue_minor"]
    assert set(result["rides_by_medium"]) == {"bank_card", "cash", "qr", "sms", "transport_card"}


def test_every_kind_of_fault_struck_that_day(storm: Played) -> None:
    result = storm.report.result
    assert {fate for fate in (*FATES, "no_network") if not result["network"][fate]} == set()
    assert result["power_cuts"] >= _STORM.power_cuts
    riders = [wallet.rider for wallet in storm.wallets]
    befell = {rider.trouble for rider in riders} | {each.mishap for rider in riders for each in rider.boardings}
    assert befell - {""} == _MISHAPS
    assert _REFUSALS - set(result["refused_by_decision"]) == set()
    assert result["sms_posts"] > result["sms_paid"] == result["sms_sent"] > 0


def test_the_books_hold_what_the_purses_of_the_cards_hold(storm: Played) -> None:
    cards = [
        (wallet.purse_minor, wallet.transit_card.balance_minor)
        for wallet in storm.wallets
        if wallet.transit_card is not None and wallet.rider.trouble != "foreign"
    ]
    assert len(cards) > 50
    paid_in_minor = storm.report.result["top_ups_paid_in_minor"]
    assert storm.balances["asset:receivable:almaty:agents:agents"] == sum(loaded for loaded, _ in cards) + paid_in_minor
    assert storm.balances["liability:purses:almaty"] == -sum(left for _, left in cards)


def test_money_that_was_paid_in_by_an_app_came_onto_cards_on_the_buses(storm: Played) -> None:
    result = storm.report.result
    assert 0 < result["top_ups_on_cards_minor"] == result["top_ups_applied_minor"] <= result["top_ups_paid_in_minor"]
    assert result["top_ups_shown_minor"] <= result["top_ups_on_cards_minor"]
    assert result["top_ups_paid_in"] > 1


def test_a_write_that_was_torn_by_a_power_cut_was_seen_and_survived(storm: Played) -> None:
    assert sum(validator["torn_slots"] for validator in storm.fleet) > 0
    assert sum(validator["power_cuts"] for validator in storm.fleet) > len(storm.fleet)
    assert all((validator["status"], validator["epoch"]) == ("active", 1) for validator in storm.fleet)


def _holds(data: bytes, number: str) -> bool:
    """Whether a number lies in data: as text, or packed (at whichever half of a byte it begins).

    The tracks of a bank card are the number followed by more, in text or packed.
    """
    return number.encode() in data or number.encode("utf-16-le") in data or number in data.hex()


def test_the_search_for_numbers_finds_each_form_in_which_one_could_be_left() -> None:
    number = bank_card_number(7)
    track = bytes.fromhex(f"570c{number}D3012201")
    shifted = bytes.fromhex(f"0{number}0")
    for data in (f"x{number}=3012".encode(), track, shifted, f"x{number}".encode("utf-16-le")):
        assert _holds(data, number)
    assert not _holds(track, bank_card_number(8))


def test_no_card_number_and_no_telephone_number_is_left_anywhere(storm: Played) -> None:
    files = [path for folder in (storm.home, storm.validators) for path in folder.rglob("*") if path.is_file()]
    kept = {str(path): path.read_bytes() for path in files}
    kept |= {"wire": storm.wire, "spoken": storm.spoken.encode()}
    assert {"jolaqy.db", "service.log", "flash.bin", "stderr"} <= {path.name for path in files}
    riders = [wallet.rider for wallet in storm.wallets]
    numbers = [bank_card_number(rider.number) for rider in riders if rider.medium == "bank_card"]
    numbers += [msisdn(rider.number).removeprefix("+") for rider in riders if rider.medium == "sms"]
    assert len(numbers) > 25
    everything = b"\0".join(kept.values())
    # What must be there is found: this is where taps are kept.
    assert all(
        wallet.token in everything for wallet in storm.wallets if wallet.rider.medium == "bank_card" and wallet.token
    )
    for place, data in kept.items():
        assert not [number[-4:] for number in numbers if _holds(data, number)], place


def test_a_day_on_a_device_heap_and_the_same_day_on_a_desk_and_another_database_are_one(days: _Days) -> None:
    device, postgresql = days.device.result(), days.postgresql.result()
    for each in (device, postgresql):
        assert each["faults"] == []
        assert each["power_cuts"] >= 3
        del each["timings"], each["runtime"]
    assert device == postgresql


@pytest.fixture(scope="module")
def two_doors(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(tmp_path_factory.mktemp("doors"), _TWO_DOORS)


def test_who_shows_a_picture_at_the_other_door_does_not_ride(two_doors: Played) -> None:
    """Every vehicle has two validators, power fails and the network is bad; the vehicle's own network is not."""
    result = two_doors.report.result
    assert faults_in(result) == []
    assert (result["validators"], result["taps_lost"], result["taps_doubled"]) == (24, 0, 0)
    friends = sum(
        len(wallet.rider.boardings)
        for wallet in two_doors.wallets
        if wallet.rider.medium == "qr" and wallet.rider.number % 2 == 0
    )
    assert result["rides_by_medium"]["qr"] > 0
    assert 0 < result["refused_by_decision"]["qr_already_used"] <= friends
    assert result["taps_cleared"] == result["taps_accepted"]
