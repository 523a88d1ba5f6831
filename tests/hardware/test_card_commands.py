"""The card desk as a person uses it: the real commands, a real pcscd with a virtual reader, a real service, and a day."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from hardware.__main__ import app
from hardware.problem import EXIT_USAGE, Problem
from simulator.card_images import read_card_images
from simulator.count import faults_in
from simulator.day import Day, Settings
from simulator.keys import read_keys, write_keys
from simulator.service import ClockFile, Service, ServiceProcess
from tests.card_reader import CardReader
from tests.hardware.bench import BIN, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SEED = 7
_MORNING = "2024-05-15T02:00"
_MORNING_MS = 1_715_738_400_000


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[CardReader]:
    reader = CardReader(tmp_path)
    yield reader
    reader.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    write_keys(home, _SEED)
    return home / "keys.json"


@contextmanager
def _cards(reader: CardReader, *arguments: str | Path) -> Iterator[IO[str]]:
    """Let blank cards lie on the reader, one after the other; in the end they are taken away."""
    command = (BIN / "jolaqy-sim", "card", "blank", "--pcsc", "--pcsc-port", str(reader.port), *arguments)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == "card in the virtual reader of pcscd\n"
            yield process.stderr
            process.send_signal(signal.SIGINT)
            process.stderr.read()
            assert process.wait() == 0
        finally:
            process.kill()


def test_cards_issued_at_the_desk_ride_and_clearing_proves_each_fare(
    reader: CardReader, key_file: Path, tmp_path: Path
) -> None:
    home, images = key_file.parent, tmp_path / "cards.jsonl"
    clock = ClockFile(tmp_path / "clock", _MORNING_MS)
    office = ServiceProcess(
        home, "--port", "0", "--clock-file", str(clock.path), database_url=f"sqlite:///{home / 'jolaqy.db'}"
    )
    token = office.command("token", "issue", "desk", "--role", "administrator", "--json")["token"]
    service = Service(office.url, token)
    bench = Bench(reader.environment | {"JOLAQY_TOKEN": token}, tmp_path)
    desk = ("--keys", key_file, "--city", "almaty", "--server", office.url, "--as-of", _MORNING)
    try:
        with _cards(reader, "--count", "3", "--keep", images):
            told = bench.json("card", "issue", *desk, "--count", "3", "--purse", "1500")
        assert (told["registered"], told["issued"], told["rejected"]) == (3, 0, 0)
        cards = read_card_images(images)
        assert [card.balance_minor for card in cards] == [150_000] * 3
        settings = Settings(
            _SEED, 24, hours=(6, 7), runtime="cpython", power_cuts=0, cards=tuple(cards), cards_are_sold=True
        )
        day = Day(settings, service, clock, read_keys(home), tmp_path / "validators", lambda *_: None)
        result = day.run().result
        fares = service.get("/v1/fares", city="almaty", day="2024-05-15")["fares"]
    finally:
        service.close()
        office.stop()
    assert faults_in(result) == []
    rides = sum(len(card.committed_debits_minor) for card in cards)
    proofs = [fare["card_proof"] for fare in fares if fare["medium"] == "transport_card"]
    assert 0 < rides <= len(proofs)
    # Each card has signed its rides, with the key that the desk gave it.
    assert set(proofs) == {"proven"}
    assert all(card.balance_minor == 150_000 - sum(card.committed_debits_minor) for card in cards)


def test_a_card_is_read_loaded_blocked_and_retired(reader: CardReader, key_file: Path, tmp_path: Path) -> None:
    office = ServiceProcess(key_file.parent, "--port", "0")
    token = office.command("token", "issue", "desk", "--role", "administrator", "--json")["token"]
    bench = Bench(reader.environment | {"JOLAQY_TOKEN": token, "JOLAQY_SERVER": office.url}, tmp_path)
    keys, city = ("--keys", key_file), ("--city", "almaty")
    try:
        with _cards(reader):
            issued = bench.json("card", "issue", *keys, *city, "--purse", "500")["cards"][0]
            read = bench.json("card", "read", *keys)
            assert (read["token"], read["status"], read["balance_minor"]) == (issued["token"], "in use", 50_000)
            assert bench.json("card", "topup", "1000", *keys, *city)["balance_minor"] == 150_000
            assert "1 500.00 ₸ after 2 transactions" in bench.run("card", "read", *keys).stdout
            assert bench.json("card", "block", *keys, *city)["status"] == "blocked"
            assert "retire it" in bench.run("card", "topup", "1", *keys, *city, exit_code=5).stderr
            retired = bench.json("card", "retire", *keys, *city)
            assert (retired["status"], retired["refund_minor"], retired["balance_minor"]) == ("retired", 150_000, 0)
            assert (
                "issued already"
                in bench.run("card", "issue", *keys, *city, "--batch", "other.jsonl", "--wait", "1", exit_code=1).stderr
            )
    finally:
        office.stop()


def test_what_clearing_could_not_be_told_waits_and_is_told_later(
    reader: CardReader, key_file: Path, tmp_path: Path
) -> None:
    bench = Bench(reader.environment | {"JOLAQY_TOKEN": "nobody"}, tmp_path)
    keys, nowhere = ("--keys", key_file), ("--city", "almaty", "--server", "http://127.0.0.1:9")
    with _cards(reader):
        bench.json("card", "issue", *keys, "--city-number", "1")
        done = bench.run("card", "topup", "1000", *keys, *nowhere)
        assert "clearing was not told" in done.stderr
        assert bench.json("card", "read", *keys)["balance_minor"] == 100_000
    assert "try again when it can be reached" in bench.run("card", "tell", *nowhere[2:], exit_code=1).stderr
    office = ServiceProcess(key_file.parent, "--port", "0")
    try:
        token = office.command("token", "issue", "desk", "--role", "agent", "--json")["token"]
        bench.environment["JOLAQY_TOKEN"] = token
        assert bench.run("card", "tell", "--server", office.url).stdout == "told: 1\n"
        assert bench.run("card", "tell", "--server", office.url).stdout == "told: 0\n"
    finally:
        office.stop()


def test_a_batch_that_was_stopped_goes_on_with_the_same_command(
    reader: CardReader, key_file: Path, tmp_path: Path
) -> None:
    bench = Bench(reader.environment, tmp_path)
    order = (
        "card",
        "issue",
        "--keys",
        key_file,
        "--city-number",
        "1",
        "--expires",
        "2040-12-31",
        "--report",
        "report.csv",
    )
    with _cards(reader, "--count", "3"):
        assert bench.json(*order, "--count", "1")["issued"] == 1
        # The reader takes some time to give the card away.
        told = bench.json(*order, "--count", "3")
    assert told["issued"] == 3
    assert len({card["token"] for card in told["cards"]}) == 3
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 4


def test_what_is_missing_is_told_with_what_to_do(reader: CardReader, key_file: Path, tmp_path: Path) -> None:
    bench = Bench(reader.environment, tmp_path)
    keys = ("--keys", key_file)
    assert "put a card on the reader" in bench.run("card", "read", *keys, "--wait", "0.5", exit_code=3).stderr
    assert (
        "no card reader with 'omnikey'" in bench.run("card", "read", *keys, "--reader", "omnikey", exit_code=3).stderr
    )
    (tmp_path / "maker").write_text("0400")
    maker = ("--maker-key", tmp_path / "maker")
    assert (
        "as the maker publishes it"
        in bench.run("card", "issue", *keys, "--city-number", "1", *maker, exit_code=1).stderr
    )
    with _cards(reader):
        assert "no transport card of ours" in bench.run("card", "read", *keys, exit_code=3).stderr


def test_a_bench_without_pcscd_says_so(key_file: Path, tmp_path: Path) -> None:
    bench = Bench(os.environ | {"PCSCLITE_CSOCK_NAME": str(tmp_path / "nobody")}, tmp_path)
    assert "systemctl start pcscd" in bench.run("card", "read", "--keys", key_file, exit_code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["issue", "--city-number", "1"], "give one of --keys FILE, --pkcs11 LIBRARY"),
        (["issue"], "give one of --keys FILE, --pkcs11 LIBRARY"),
        (["issue", "--keys", "KEYS"], "give --city CODE with --server"),
        (["issue", "--keys", "KEYS", "--city-number", "1", "--expires", "soon"], "write it as 2030-12-31"),
        (["issue", "--keys", "KEYS", "--city-number", "1", "--purse", "0.001"], "write it in tenge"),
        (["issue", "--keys", "KEYS", "--city-number", "1", "--as-of", "now"], "write it as 2030-12-31T08:00"),
        (["issue", "--pkcs11", "/lib/module.so", "--city-number", "1"], "put it into JOLAQY_PIN"),
        (["issue", "--keys", "KEYS", "--city-number", "1", "--desk", "a long name"], "4 letters at most"),
        (["topup", "0", "--keys", "KEYS"], "name an amount in tenge"),
        (["topup", "a lot", "--keys", "KEYS"], "write it in tenge"),
        (["block", "--keys", "KEYS"], "give --server URL"),
    ],
)
def test_wrong_usage_is_told_with_what_to_do(
    key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    for name in ("JOLAQY_SERVER", "JOLAQY_TOKEN", "JOLAQY_PIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    asked = [str(key_file) if word == "KEYS" else word for word in arguments]
    result = CliRunner().invoke(app, ["card", *asked])
    assert isinstance(result.exception, Problem)
    assert result.exception.exit_code == EXIT_USAGE
    assert said in result.exception.remedy
