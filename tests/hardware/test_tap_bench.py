"""A technician's reader, driven by nfcpy: it reads cards as a validator does, and it plays a card to a real validator."""

from __future__ import annotations

import csv
import json
import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from hardware.__main__ import app
from hardware.acceptance import COMPLETE, CUT_OFF, NOT_NOTICED, PlayedCard, PlayedTap, summary, write_sheet
from hardware.problem import EXIT_NOTHING_FOUND, EXIT_USAGE, Problem
from protocol.cards.card_layout import Environment
from protocol.cose import TYP_LIST, sign1
from protocol.medium_list import LIST_DENY, encode_list, make_list
from protocol.tokens import LABEL_TRANSIT, medium_token
from simulator.card_images import write_card_images
from simulator.desfire_card import DesfireCard
from simulator.doors.pn532_pty import Pn532Pty
from simulator.doors.udp import UdpCard, UdpDoor
from simulator.iso_dep import BlockError
from simulator.keys import derive_keys, write_keys
from simulator.pn532_chip import Pn532Chip
from simulator.sample_cards import sample_transit_card, sample_visa_card
from simulator.service import Service, ServiceProcess
from tests.firmware.bench_board import NOW_S
from tests.firmware.bench_service import AUDIENCE, CITY, DOCUMENT_KEY, TOKEN_KEY
from tests.hardware.bench import Bench
from tests.simulator.validator_bench import BALANCE_MINOR, FARE_MINOR, MASTERS, BusBench, fare_table, make_card

if TYPE_CHECKING:
    from pathlib import Path

_NOW = datetime.fromtimestamp(NOW_S, UTC).isoformat()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    keys = {name: key.hex() for name, key in MASTERS.items()} | {"token_key": TOKEN_KEY.hex()}
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(keys))
    path.chmod(0o600)
    (tmp_path / "fare-table").write_bytes(fare_table())
    return Bench(dict(os.environ), tmp_path)


def _tap(door: UdpDoor | Pn532Pty) -> tuple[str, ...]:
    device = f"udp:localhost:{door.port}" if isinstance(door, UdpDoor) else door.path
    return (
        *("tap", "--device", device, "--keys", "keys.json", "--fare-table", "fare-table"),
        *("--city-number", str(CITY), "--as-of", _NOW),
    )


def _token(card: DesfireCard) -> bytes:
    return medium_token(TOKEN_KEY, LABEL_TRANSIT, card.card_number)


# Reading.


def test_a_card_that_would_ride_is_read_and_nothing_is_taken(bench: Bench) -> None:
    card = make_card()
    with UdpDoor(card) as door:
        told = bench.json(*_tap(door))
    assert (told["medium"], told["decision"], told["fare_minor"]) == ("transport_card", "accepted", FARE_MINOR)
    assert (told["balance_minor"], told["token"]) == (BALANCE_MINOR, _token(card).hex())
    assert (card.balance_minor, card.counter) == (BALANCE_MINOR, 1)


def test_the_same_is_said_through_a_chip_on_a_serial_port(bench: Bench) -> None:
    with Pn532Pty(Pn532Chip()) as door:
        door.present(make_card(balance_minor=FARE_MINOR - 1))
        done = bench.run(*_tap(door), exit_code=4)
    assert "transport card: insufficient funds, fare 120.00 ₸" in done.stdout


def test_a_card_on_the_deny_list_would_be_refused(bench: Bench, tmp_path: Path) -> None:
    card = make_card()
    denied = make_list(LIST_DENY, 1, NOW_S + 86_400, [_token(card)])
    (tmp_path / "deny-list").write_bytes(sign1(encode_list(denied), TYP_LIST, AUDIENCE, DOCUMENT_KEY))
    with UdpDoor(card) as door:
        assert bench.json(*_tap(door), "--deny-list", "deny-list", exit_code=4)["decision"] == "denied"


def test_a_card_of_another_city_would_be_refused(bench: Bench) -> None:
    with UdpDoor(sample_transit_card()) as door:
        assert bench.json(*_tap(door), exit_code=4)["decision"] == "bad_authentication"
    with UdpDoor(make_card(version=2)) as door:
        assert bench.json(*_tap(door), exit_code=4)["decision"] == "card_keys_unknown"
    with UdpDoor(make_card(city=CITY + 1)) as door:
        assert bench.json(*_tap(door), exit_code=4)["decision"] == "unknown_medium"


def test_a_bank_card_is_told_its_fare_and_what_was_not_checked(bench: Bench) -> None:
    with UdpDoor(sample_visa_card()) as door:
        told = bench.json(*_tap(door))
    assert (told["medium"], told["decision"], told["fare_minor"]) == ("bank_card", "accepted", 15_000)
    assert told["unchecked"] == ["authenticity", "deny list"]
    assert told["token"] is None


def test_fare_table_and_deny_list_come_from_the_service(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_keys(home, 7)
    keys = derive_keys(7)
    office = ServiceProcess(home, "--port", "0", database_url=f"sqlite:///{home / 'jolaqy.db'}")
    service = Service(
        office.url, office.command("token", "issue", "bench", "--role", "administrator", "--json")["token"]
    )
    try:
        city = service.get("/v1/network", city="almaty")["number"]
        cards = []
        for number in range(2):
            environment = Environment(bytes(7) + bytes((number,)), city, 1, 2**32 - 1)
            uid = bytes.fromhex(f"04514C4A01000{number}")
            cards.append(DesfireCard.personalise(uid, environment, 50_000, keys))
        denied = medium_token(keys["token_key"], LABEL_TRANSIT, cards[1].card_number).hex()
        number = service.post("/v1/lists/deny", {"city": "almaty", "tokens": [denied]})["number"]
        service.post("/v1/validators/invitations", {"city": "almaty", "vehicle": "A-101"})
        bench = Bench(dict(os.environ), tmp_path)
        told = []
        for card, exit_code in zip(cards, (0, 4), strict=True):
            with UdpDoor(card) as door:
                asked = (
                    "tap",
                    "--device",
                    f"udp:localhost:{door.port}",
                    "--keys",
                    "home/keys.json",
                    "--server",
                    office.url,
                )
                rules = ("--fare-table", "1", "--deny-list", str(number), "--city-number", str(city))
                told.append(bench.json(*asked, *rules, exit_code=exit_code)["decision"])
    finally:
        service.close()
        office.stop()
    assert told == ["accepted", "denied"]


# Playing.


def _meet(bus: BusBench, port: int) -> str:
    """Let a validator find the card that is played at a port, and return what it showed; it is awaited for a while."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            card = UdpCard("127.0.0.1", port, 0.2)
        except BlockError:
            time.sleep(0.02)
            continue
        shown = bus.hold(card)
        card.close()
        return shown
    pytest.fail("nobody plays a card")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_reader_plays_a_transport_card_and_the_validator_takes_its_fares(bench: Bench, tmp_path: Path) -> None:
    write_card_images(tmp_path / "card.jsonl", [make_card()])
    bus, port = BusBench(), _free_port()
    process = bench.start(
        "accept",
        "--device",
        f"udp:localhost:{port}",
        "--card",
        "card.jsonl",
        "--count",
        "3",
        "--sheet",
        "sheet.csv",
        "--json",
    )
    shown = []
    try:
        for trip in range(3):
            bus.say(f"trip {trip + 1}")
            shown.append(_meet(bus, port))
        said, aside = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, aside
    assert [line.split()[0] for line in shown] == ["ok", "ok", "ok"]
    assert bus.charged_minor() == [FARE_MINOR] * 3
    told = json.loads(said)
    assert (told["taps"], told["complete"]) == (3, 3)
    assert 0 < told["median_ms"] <= told["slowest_ms"]
    with (tmp_path / "sheet.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["number"], row["outcome"]) for row in rows] == [("1", COMPLETE), ("2", COMPLETE), ("3", COMPLETE)]


def test_a_reader_plays_a_bank_card(bench: Bench) -> None:
    bus, port = BusBench(), _free_port()
    process = bench.start("accept", "--device", f"udp:localhost:{port}", "--play", "visa", "--count", "1")
    try:
        shown = _meet(bus, port)
        said, aside = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, aside
    assert shown.split()[0] == "ok"
    assert said.startswith("taps 1, complete 1")


def test_a_pn532_plays_a_bank_card_as_well(bench: Bench) -> None:
    bus = BusBench()
    with Pn532Pty(Pn532Chip()) as door:
        process = bench.start("accept", "--device", door.path, "--play", "mastercard", "--count", "2", "--json")
        try:
            shown = []
            for trip in range(2):
                bus.say(f"trip {trip + 1}")
                shown.append(_meet(bus, door.port))
            said, aside = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, aside
    assert [line.split()[0] for line in shown] == ["ok", "ok"]
    assert json.loads(said)["complete"] == 2


def test_a_pn532_cannot_play_a_card_with_a_longer_uid(bench: Bench) -> None:
    with Pn532Pty(Pn532Chip()) as door:
        done = bench.run("accept", "--device", door.path, "--play", "transit", "--count", "1", exit_code=2)
    assert "let it play a bank card" in done.stderr


def test_a_validator_that_notices_nothing_fails(bench: Bench) -> None:
    arguments = ("accept", "--device", f"udp:localhost:{_free_port()}", "--count", "1", "--wait", "0.5")
    done = bench.run(*arguments, exit_code=4)
    assert "check its power, its antenna" in done.stderr


def test_a_tap_that_was_cut_off_is_told_from_one_to_the_end() -> None:
    card = PlayedCard(make_card())
    assert card.outcome() == CUT_OFF
    card.asked = [b"\x00\xa4", b"\x90\x71", b"\x90\xad"]
    assert card.outcome() == "read"
    bank = PlayedCard(sample_visa_card())
    bank.asked = [b"\x00\xa4", b"\x80\xa8"]
    assert bank.outcome() == CUT_OFF
    bank.asked.append(b"\x00\xb2")
    assert bank.outcome() == COMPLETE
    bank.begin()
    assert bank.outcome() == CUT_OFF


@pytest.mark.parametrize("name", ["sheet.csv", "sheet.json"])
def test_a_sheet_holds_every_tap(tmp_path: Path, name: str) -> None:
    taps = [PlayedTap(1, COMPLETE, 9, 40), PlayedTap(2, NOT_NOTICED, 0, 0)]
    write_sheet(tmp_path / name, taps)
    text = (tmp_path / name).read_text()
    assert COMPLETE in text
    assert NOT_NOTICED in text
    assert summary(taps) == {
        "taps": 2,
        "complete": 1,
        "read": 0,
        "cut_off": 0,
        "not_noticed": 1,
        "median_ms": 40,
        "slowest_ms": 40,
    }
    with pytest.raises(Problem, match="cannot be written"):
        write_sheet(tmp_path, taps)


# What is missing.


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["accept", "--play", "metro"], EXIT_USAGE, "choose one of visa, mastercard, transit"),
        (["accept", "--card", "nowhere"], EXIT_NOTHING_FOUND, "jolaqy-sim card --keep"),
        (["accept", "--device", "/nowhere/pn532"], EXIT_NOTHING_FOUND, "check the path of the serial port"),
        (["accept", "--device", "tty:nowhere:pn532"], EXIT_NOTHING_FOUND, "check the name"),
        (["accept", "--device", "??"], EXIT_NOTHING_FOUND, "check the name"),
        (["tap", "--keys", "keys.json"], EXIT_USAGE, "give --fare-table FILE"),
        (["tap", "--keys", "keys.json", "--fare-table", "3"], EXIT_USAGE, "give --server URL"),
        (["tap", "--keys", "keys.json", "--fare-table", "keys.json"], 1, "as validators are sent it"),
        (["tap", "--keys", "keys.json", "--fare-table", "nothing"], 1, "name another file"),
        (["tap", "--keys", "keys.json", "--fare-table", "3", "--server", "http://127.0.0.1:9"], 1, "check --server"),
    ],
)
@pytest.mark.usefixtures("bench")
def test_what_is_missing_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], exit_code: int, said: str
) -> None:
    monkeypatch.delenv("JOLAQY_SERVER", raising=False)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, Problem)
    assert result.exception.exit_code == exit_code
    assert said in result.exception.remedy
