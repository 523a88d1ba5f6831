"""What can be told of the flash of a broken validator, with its key and without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.flash_image import SECTOR_BYTES, Image, describe
from firmware.flash_report import as_text
from firmware.journal import Journal
from protocol import cbor
from tests.firmware.bench_service import Bench
from tests.firmware.ram_flash import RamFlash

if TYPE_CHECKING:
    from typing import Any

TOP = Path(__file__).resolve().parents[2]
TOKEN = bytes(range(16))


def make_bench(taps: int = 40) -> Bench:
    """A validator of four sectors, with a card's token in its first tap."""
    bench = Bench()
    bench.board.flash = RamFlash(4, SECTOR_BYTES)
    bench.start()
    bench.recorder.tap(1, medium=1, token_key_version=1, token=TOKEN, decision=0)
    bench.tap(taps - 1)
    return bench


def report(bench: Bench, *, with_key: bool = True) -> dict[str, Any]:
    key = bench.identity.derived_key(b"journal") if with_key else None
    return describe(Image(b"".join(bench.board.flash.image())), key, 1000)


def test_a_healthy_journal_is_told_with_all_verdicts() -> None:
    told = report(make_bench())
    assert told["geometry"] == {"sectors": 4, "sector_bytes": 4096, "slots_a_sector": 32}
    assert told["checked"] == "CRC and MAC"
    assert [sector["header"] for sector in told["sectors"]] == ["holds", "holds", "blank", "blank"]
    assert [sector["records"] for sector in told["sectors"]] == [31, 9, 0, 0]
    assert [record["sequence"] for record in told["records"]] == list(range(1, 41))
    assert {(record["crc"], record["mac"]) for record in told["records"]} == {("holds", "holds")}
    assert told["journal"]["newest"] == 40
    assert told["journal"]["lost"] == []


def test_without_the_key_the_crc_is_checked_and_nothing_is_said_of_macs() -> None:
    told = report(make_bench(), with_key=False)
    assert told["checked"] == "CRC"
    assert {(record["crc"], record["mac"]) for record in told["records"]} == {("holds", "not checked")}
    assert told["journal"]["lost"] == []
    assert (told["journal"]["oldest"], told["journal"]["newest"]) == (1, 40)


def test_what_rotted_is_named_by_either_check() -> None:
    bench = make_bench()
    bench.board.flash.flip(128 * 5 + 40, 1)
    for with_key in (True, False):
        told = report(bench, with_key=with_key)
        bad = [record for record in told["records"] if record["crc"] != "holds"]
        assert [(record["sector"], record["slot"], record["sequence"]) for record in bad] == [(0, 5, 5)]
        assert told["sectors"][0]["unreadable"] == 1
        after = [record for record in told["records"] if record["sequence"] == 6]
        assert after[0]["mac"] == ("holds" if with_key else "not checked")
        assert told["journal"]["lost"] == [[5, 5]]


def test_what_was_changed_on_purpose_is_seen_with_the_key_alone() -> None:
    bench = make_bench()
    other = Journal(RamFlash(4, SECTOR_BYTES), b"another key", bench.identity.device, 1)
    other.recover()
    for record in bench.journal.records_from(1, 40, 100_000)[1]:
        other.append(lambda _: record)  # noqa: B023
    image = Image(b"".join(other._sectors._flash.image()))  # type: ignore[attr-defined]
    without = describe(image, None, 1000)
    assert {record["crc"] for record in without["records"]} == {"holds"}
    told = describe(image, bench.identity.derived_key(b"journal"), 1000)
    assert {record["mac"] for record in told["records"]} == {"does not hold"}
    assert "another device" in told["journal"]["fault"]


def test_a_header_that_rotted_is_no_end_of_it() -> None:
    bench = make_bench()
    bench.board.flash.flip(4096 + 30, 1)
    told = report(bench)
    assert told["sectors"][1]["header"] == "unreadable"
    assert (told["journal"]["newest"], told["journal"]["lost"]) == (40, [])


def test_tokens_are_shown_by_their_first_bytes_only() -> None:
    told = report(make_bench())
    assert told["records"][0]["token"] == TOKEN[:3].hex() + "…"
    assert TOKEN.hex() not in json.dumps(told) + as_text(told)


def test_capacity_and_wear_are_those_of_this_flash() -> None:
    bench = make_bench(40)
    capacity = report(bench)["capacity"]
    assert capacity["records_until_full"] == 4 * 31
    assert capacity["days_without_network"] == round(4 * 31 / 1000, 1)
    assert capacity["erases_a_sector"] == 0
    # A thousand taps a day are 32 sectors a day, eight erases of each.
    assert 33 <= capacity["years_until_worn"] <= 35
    for _ in range(12):
        bench.journal.acknowledge(bench.journal.next_sequence - 1)
        bench.tap(31)
    worn = report(bench)["capacity"]
    assert worn["erases_a_sector"] == (13.0 + 1 - 4) / 4
    assert report(bench)["journal"]["oldest"] > 300


def test_a_blank_flash_and_garbage_are_told_too() -> None:
    for data in (b"\xff" * 8192, bytes(8192)):
        told = describe(Image(data), bytes(32), 1000)
        assert told["records"] == []
        assert "header" in told["journal"]["fault"]
        assert as_text(told)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firmware", "journal", *words]
    return subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)


def write_state(folder: Path) -> Bench:
    bench = make_bench()
    (folder / "flash.bin").write_bytes(b"".join(bench.board.flash.image()))
    (folder / "identity").write_bytes(bench.board.store.files["identity"])
    return bench


def test_the_command_describes_an_image(tmp_path: Path) -> None:
    bench = write_state(tmp_path)
    image = str(tmp_path / "flash.bin")
    before = sorted(path.name for path in tmp_path.iterdir())
    for words, checked in (
        ((), "CRC"),
        (("--key", bench.identity.derived_key(b"journal").hex()), "CRC and MAC"),
        (("--state", str(tmp_path)), "CRC and MAC"),
    ):
        told = json.loads(run("--describe", image, "--json", *words).stdout)
        assert (told["checked"], len(told["records"])) == (checked, 40)
        text = run("--describe", image, "--taps-a-day", "250", *words)
        assert (text.returncode, text.stderr) == (0, "")
        assert "at 250 taps a day" in text.stdout
        assert len(text.stdout.splitlines()) > 45
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "nothing is written"


def test_the_command_after_a_rotation_still_finds_the_key(tmp_path: Path) -> None:
    bench = write_state(tmp_path)
    bench.identity.change_key(12345)
    assert len(cbor.decode(bench.board.store.files["identity"])) == 3
    (tmp_path / "identity").write_bytes(bench.board.store.files["identity"])
    told = json.loads(run("--describe", str(tmp_path / "flash.bin"), "--state", str(tmp_path), "--json").stdout)
    assert {record["mac"] for record in told["records"]} == {"holds"}


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    write_state(tmp_path)
    image = str(tmp_path / "flash.bin")
    (tmp_path / "short").write_bytes(b"x" * 100)
    (tmp_path / "empty").mkdir()
    for words, code, says in (
        ((), 2, "journal needs --describe"),
        (("--describe", str(tmp_path / "nothing")), 1, "No such file"),
        (("--describe", str(tmp_path / "short")), 1, "whole sectors"),
        (("--describe", image, "--key", "ab"), 1, "32 bytes"),
        (("--describe", image, "--key", "xyzw"), 1, "hex"),
        (("--describe", image, "--state", str(tmp_path / "empty")), 1, "no identity"),
        (("--describe", image, "--taps-a-day", "many"), 2, "is a number"),
        (("--describe", image, "--server", "a:1"), 2, "has no option --server"),
    ):
        ran = run(*words)
        assert (ran.returncode, says in ran.stderr) == (code, True), ran.stderr
