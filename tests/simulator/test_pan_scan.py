"""No card number is left anywhere; and one that is left is found, whatever it is written in and wherever it lies."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from simulator.pan_scan.command import plan_for
from simulator.pan_scan.forms import FORMS, Looked, Scanner, forms_of
from simulator.pan_scan.memory import regions
from simulator.pan_scan.run import Plan, cards_of
from simulator.runtimes import micropython

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = ["9999990000000018", "9999990000000026", "9999990000000000187"]
TAPS = 24


def found(data: bytes, numbers: list[str] = NUMBERS) -> list[str]:
    return [form for _, form in Scanner(numbers).find(data)]


@pytest.mark.parametrize("number", NUMBERS)
def test_every_form_is_found_and_named(number: str) -> None:
    assert [form for form, _ in forms_of(number)] == list(FORMS)
    for form, pattern in forms_of(number):
        assert form in found(b"\x12" * 5 + pattern + b"\x34" * 5), form


def test_both_forms_of_a_track_are_found() -> None:
    track = "9999990000000018D30122010000000F"
    assert "packed" in found(b"x" + bytes.fromhex(track))
    assert "packed, shifted" in found(bytes.fromhex("F" + track + "0"))
    assert found(b";9999990000000018=30122010000000?") == ["text"]


def test_what_is_no_number_of_a_rider_is_not_found() -> None:
    assert found(b"9999990000000034" + bytes.fromhex("9999990000000034") + bytes(64)) == []


def test_a_hundred_numbers_are_found_where_they_are() -> None:
    numbers = [card.number for card in cards_of(1, 100)]
    data = b"".join(number.encode() + b" " for number in numbers)
    assert [at for at, _ in Scanner(numbers).find(data)] == list(range(0, 17 * 100, 17))


def test_a_number_in_a_file_is_found_and_not_told(tmp_path: Path) -> None:
    path = tmp_path / "database"
    path.write_bytes(bytes(5_000_000) + bytes.fromhex(NUMBERS[0]) + bytes(10))
    looked = Looked()
    scanner = Scanner(NUMBERS)
    scanner.look_at_file(looked, "databases", path)
    (tmp_path / "empty").write_bytes(b"")
    scanner.look_at_file(looked, "databases", tmp_path / "empty")
    assert looked.hits == [{"what": "databases", "place": "database", "form": "packed", "byte": 5_000_000}]
    assert NUMBERS[0] not in str(looked)
    assert looked.size_bytes["databases"] == 5_000_018


@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_a_number_in_the_memory_of_a_process_is_found(runtime: str) -> None:
    # As bytes, and as the integer that a recovered certificate is.
    left = "import sys; n = '999999' + '0000000018'; b = bytes.fromhex(n); i = int(n + '00' * 40, 16); print(1); "
    left += "sys.stdin.readline()"
    command = [str(micropython(runtime)), "-c", left]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        looked, scanner = Looked(), Scanner(NUMBERS)
        for name, data in regions(process.pid):
            scanner.look_at(looked, "memory", name, data)
        process.communicate(b"\n")
    assert {hit["form"] for hit in looked.hits} >= {"text", "packed", "packed, backwards"}


def test_taps_are_shared_out_whole() -> None:
    for taps, on_micropython in ((1, 1), (24, 20), (2_000, 20), (100_000, 1_000), (1_000_000, 1_000)):
        plan = plan_for(taps, "micropython32")
        assert plan.on_micropython == on_micropython
        assert sum(plan.shares()) + plan.on_micropython == taps
    assert Plan(10, 1, 2, "micropython", plant=False).shares() == [5, 4]


def _scan(taps: int, *options: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "simulator", "pan-scan", "--taps", str(taps), "--json", *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def test_no_number_is_left_anywhere() -> None:
    exit_code, told = _scan(TAPS)
    assert (exit_code, told["hits"], told["found"]) == (0, 0, [])
    assert told["taps_accepted"] == told["cards"] == TAPS
    looked = {each["what"]: each for each in told["looked_at"]}
    assert set(looked) == {
        "databases",
        "files of validators",
        "journals",
        "logs",
        "logs and files of the clearing service",
        "memory of the clearing service",
        "memory of validators",
        "wire captures",
    }
    assert all(each["size_bytes"] for each in looked.values())
    assert looked["memory of validators"]["size_bytes"] > told["taps_on_micropython"] * 180 * 1024


def test_a_number_that_was_planted_is_found() -> None:
    exit_code, told = _scan(2, "--plant", "--runtime", "micropython")
    assert exit_code == 4
    assert [(hit["what"], hit["form"]) for hit in told["found"]] == [("logs", "text")]
