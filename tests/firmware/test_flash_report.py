"""What can be told of the flash of a broken validator, with its key and without."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from firmware.flash_image import SECTOR_BYTES, Image, describe
from firmware.flash_report import as_text
from firmware.journal import Journal, JournalError, lost_range
from protocol import cbor
from tests.firmware.bench_service import Bench
from tests.firmware.journal_bench import KEY
from tests.firmware.old_journal import old_image
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


def test_a_record_whose_check_sum_alone_rotted_is_told_with_the_key() -> None:
    bench = make_bench()
    bench.board.flash.flip(128 * 5 + 127, 1)
    told = report(bench)["records"][4]
    assert (told["crc"], told["mac"], told["kind"]) == ("does not hold", "holds", 1)
    assert "kind" not in report(bench, with_key=False)["records"][4]


def test_an_image_is_only_read_and_has_a_sector_at_least() -> None:
    image = Image(bytes(SECTOR_BYTES))
    for wrong in (lambda: image.writeblocks(0, b"x"), lambda: Image(bytes(SECTOR_BYTES - 1))):
        with pytest.raises((JournalError, ValueError)):
            wrong()


def test_what_a_record_refers_to_is_told() -> None:
    bench = make_bench()
    bench.journal.append(lambda sequence: lost_range(sequence, sequence))
    assert report(bench)["records"][40]["reference"] == [41, 41]


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
    assert [record["mac"] for record in told["records"] if record["sector"] == 1] == ["holds alone"] + ["holds"] * 8


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
    noise = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(1 << 17))
    for data, says in (
        (b"\xff" * 8192, "nothing is on this flash"),
        (bytes(8192), "from its first byte on"),
        (noise, "read it out again"),
    ):
        for key in (None, bytes(32)):
            told = describe(Image(data), key, 1000)
            assert told["records"] == []
            assert says in told["journal"]["fault"]
            assert len(as_text(told).splitlines()) < 20, "sectors that say nothing share a line"


def test_an_image_that_was_cut_short_is_told_as_far_as_it_goes() -> None:
    bench = make_bench()
    data = b"".join(bench.board.flash.image())[: 4096 + 128 * 6 + 50]
    told = describe(Image(data), bench.identity.derived_key(b"journal"), 1000)
    assert told["left_out_bytes"] == 128 * 6 + 50
    assert told["journal"]["newest"] == 31
    assert "818 bytes at the end are no whole sector" in as_text(told)


def test_behind_a_hole_a_record_is_known_by_its_own_mac() -> None:
    bench = make_bench()
    for slot, bits in ((5, 1), (8, 1)):
        bench.board.flash.flip(128 * slot + 120, bits)  # in its own MAC
    told = report(bench)
    verdicts = {record["sequence"]: record["mac"] for record in told["records"][:10]}
    assert verdicts[5] == verdicts[8] == "does not hold"
    assert verdicts[6] == verdicts[9] == "holds alone"
    assert verdicts[7] == verdicts[10] == "holds"


def test_a_sector_of_the_old_format_says_so() -> None:
    told = describe(Image(old_image(4), 1024), KEY, 1000)
    assert told["sectors"][0]["format"] == 1
    assert {record["mac"] for record in told["records"]} == {"holds"}
    told = describe(Image(old_image(4, spoilt={2}), 1024), KEY, 1000)
    assert [record["mac"] for record in told["records"]] == ["holds", "does not hold", "not known", "holds"]


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
    (tmp_path / "key").write_text(bench.identity.derived_key(b"journal").hex() + "\n")
    image = str(tmp_path / "flash.bin")
    before = sorted(path.name for path in tmp_path.iterdir())
    for words, checked in (
        ((), "CRC"),
        (("--key-file", str(tmp_path / "key")), "CRC and MAC"),
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
    (tmp_path / "nought").touch()
    (tmp_path / "short").write_bytes(b"x" * 100)
    (tmp_path / "empty").mkdir()
    for words, code, says in (
        ((), 2, "journal needs --describe"),
        (("--describe", str(tmp_path / "nothing")), 1, "nothing: No such file"),
        (("--describe", str(tmp_path / "nought")), 1, "0 bytes"),
        (("--describe", str(tmp_path / "empty")), 1, "empty: Is a directory"),
        (
            ("--describe", str(tmp_path / "short")),
            1,
            "100 bytes, less than one sector of 4096: read the flash out again",
        ),
        (("--describe", image, "--key-file", str(tmp_path / "short")), 1, "64 hex digits"),
        (("--describe", image, "--key-file", image), 1, "64 hex digits"),
        (("--describe", image, "--key-file", str(tmp_path / "nothing")), 1, "nothing: No such file"),
        (("--describe", image, "--key", "ab" * 32), 2, "has no option --key"),
        (("--describe", image, "--state", str(tmp_path / "empty")), 1, "no identity"),
        (("--describe", image, "--taps-a-day", "many"), 2, "is a number"),
        (("--describe", image, "--server", "a:1"), 2, "has no option --server"),
    ):
        ran = run(*words)
        assert (ran.returncode, says in ran.stderr) == (code, True), ran.stderr
