"""The soak itself: its oracle sees what it is there to see, its pieces are the whole, and its page says what was done."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import grimp
import pytest

from clearing.checkpoint import COMMITTED, SIGNED
from simulator.flash import NorFlash
from tests.bench.machine import describe
from tests.soak import shards
from tests.soak.__main__ import main
from tests.soak.code import Code, code_of_parts, files_of, lies_beside
from tests.soak.journal_cuts import GEOMETRIES, CutDay
from tests.soak.schedules import as_drawn, play_schedules, with_crashes
from tests.soak.shards import PARTS, Result, Shard, plan
from tests.soak.shelf import Shelf
from tests.soak.table import page
from tests.soak.torn_flash import WatchedFlash, states
from tests.soak.workers import Workers

if TYPE_CHECKING:
    from pathlib import Path

_SHARD = Shard("journal", "4 × 1024", 3)
_GOOD = Result(_SHARD, {"cuts": 12_500, "false alarms": 3, "records": 800}, [], 90.0, "2024-05-15T12:00:00+00:00")


def _codes(attacked: str, beside: str = "") -> dict[str, Code]:
    return dict.fromkeys(PARTS, Code(attacked, beside))


# Power cuts.


def test_a_day_of_power_cuts_loses_doubles_and_invents_nothing() -> None:
    tally = CutDay(3, 1024, 1).play(1500)
    assert tally.faults == []
    assert {name: tally.counts[name] for name in ("lost", "doubled", "phantom")} == dict.fromkeys(
        ("lost", "doubled", "phantom"), 0
    )
    assert tally.counts["cuts"] >= 1500
    assert tally.counts["power cuts gone through"] > 10
    assert tally.counts["records"] > 3 * 7  # the ring has turned


def test_the_oracle_sees_what_is_gone_and_what_nobody_wrote() -> None:
    day = CutDay(4, 1024, 1)
    for _ in range(3):
        day._validator.append(60)
    day._torn.data[:] = day._flash.data
    day._look(3)
    assert day.tally.counts == Counter(cuts=1)
    day._look(1)
    assert day.tally.counts["phantom"] == 1
    day._torn.data[128 * 3 :] = b"\xff" * (len(day._torn.data) - 128 * 3)
    day._look(3)
    assert day.tally.counts["lost"] == 1
    assert "4 × 1024, seed 1, cut 3" in day.tally.faults[-1]


def test_every_state_in_which_a_cut_could_leave_a_flash_is_shown_once() -> None:
    flash = WatchedFlash(2, 1024)
    flash.writeblocks(0, b"\x12\x34\x56", 5)
    flash.ioctl(6, 0)
    again = NorFlash(2, 1024)
    shown = [(bytes(again.data[5:8]), is_any) for is_any in states(again, flash.done, random.Random(1))]
    seen = [state for state, _ in shown]
    assert [state for state, is_in_no_order in shown[:6] if not is_in_no_order] == [
        b"\xff\xff\xff",
        b"\x12\xff\xff",
        b"\x12\x34\xff",
        b"\x12\x34\x56",
    ]
    assert len({state for state, is_in_no_order in shown if is_in_no_order}) == 2
    assert len(set(seen[6:-1])) > 1
    assert all(after & before == before for state in seen for after, before in zip(state, b"\x12\x34\x56", strict=True))
    assert again.data == flash.data


def test_bits_in_no_order_may_raise_a_false_alarm_and_lose_nothing() -> None:
    tally = CutDay(4, 1024, 2).play(1500)
    assert tally.faults == []
    assert 0 < tally.counts["false alarms"] < 60


def test_a_power_cut_that_is_real_is_gone_on_from_whole_record_or_not() -> None:
    days = [CutDay(3, 1024, seed).play(200).counts["power cuts gone through"] for seed in range(1, 4)]
    assert min(days) > 0


# Schedules.


def test_crashes_are_counted_by_the_point_at_which_they_came() -> None:
    counts, faults = play_schedules([replace(with_crashes(1), taps=60)])
    assert faults == []
    assert counts["schedules"] == 1
    assert counts[COMMITTED] + counts[SIGNED] > 0
    assert counts["crashes"] > counts[COMMITTED] + counts[SIGNED]
    assert with_crashes(1).rates["crash"] > as_drawn(1).rates.get("crash", 0)


# Pieces.


def test_the_whole_is_what_was_promised_and_a_tenth_is_a_tenth_of_it() -> None:
    whole = Counter(shard.part for shard in plan())
    assert whole["journal"] * shards.CUTS >= 1_000_000
    assert len(GEOMETRIES) >= 6
    assert (whole["schedules"] + whole["crashes"]) * shards.SCHEDULES >= 10_000
    assert whole["kills"] * shards.CYCLES >= 2 * 200
    tenth = Counter(shard.part for shard in plan(0.1))
    assert all(whole[part] <= 10 * count < 1.25 * whole[part] for part, count in tenth.items())
    assert Counter(shard.part for shard in plan(0.1, ["kills"])) == {"kills": tenth["kills"]}


def test_a_soak_that_is_stopped_early_has_played_something_of_everything() -> None:
    first = list(plan())[: sum(len(part.variants) for part in PARTS.values())]
    assert {(shard.part, shard.variant) for shard in first} == {(shard.part, shard.variant) for shard in plan()}


def test_each_shard_is_found_by_a_name_of_its_own() -> None:
    assert len({shard.name for shard in plan()}) == len(list(plan()))
    assert shards.shard_named("journal-4x1024-3") == _SHARD
    with pytest.raises(KeyError):
        shards.shard_named("journal-4x1024-0")


@pytest.mark.parametrize("spoilt", [{"lost": 1}, {"doubled": 1}, {"phantom": 1}])
def test_a_result_with_a_broken_promise_is_not_good(spoilt: dict[str, int]) -> None:
    assert _GOOD.is_good
    assert not Result(_SHARD, spoilt, [], 1.0, "").is_good
    assert not Result(_SHARD, {}, ["a rider gave up"], 1.0, "").is_good


def test_a_shard_that_cannot_be_played_is_a_fault_and_ends_nothing_else() -> None:
    result = shards.run(Shard("journal", "no such flash", 1))
    assert not result.is_good
    assert "ValueError" in result.faults[0]


# What is kept.


def test_a_result_counts_for_the_code_that_it_belongs_to(tmp_path: Path) -> None:
    shelf, another = Shelf(tmp_path, _codes("a")), Shelf(tmp_path, _codes("a") | {"journal": Code("b", "")})
    assert shelf.find(_SHARD) is None
    shelf.keep(_GOOD)
    assert shelf.find(_SHARD) == _GOOD
    assert (shelf.everything(), shelf.of_other_code()) == ([_GOOD], {})
    assert (another.everything(), another.of_other_code()) == ([], {"journal": 1})


def test_what_was_played_tells_how_long_the_rest_will_take(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, _codes("a"))
    assert shelf.seconds_of(_SHARD) == PARTS["journal"].seconds
    shelf.keep(replace(_GOOD, seconds=10.0))
    shelf.keep(replace(_GOOD, shard=replace(_SHARD, seed=4), seconds=20.0))
    assert Shelf(tmp_path, _codes("b")).seconds_of(_SHARD) == 15.0
    assert shelf.seconds_of(replace(_SHARD, variant="64 × 4096")) == PARTS["journal"].seconds


def test_the_code_of_a_part_is_what_it_imports_and_what_it_starts() -> None:
    graph = grimp.build_graph("protocol", "firmware", "simulator", "clearing", "tests")
    files = {name: files_of(graph, PARTS[name]) for name in PARTS}
    names = {name: {path.stem for path in files[name]} for name in PARTS}
    assert {"journal", "flash", "journal_cuts", "test_journal_properties"} <= names["journal"]
    assert "receiver" not in names["journal"]
    assert {"receiver", "checkpoint", "journal", "office"} <= names["crashes"] == names["schedules"]
    assert {"receiver", "checkpoint", "program", "fault_proxy", "crashing", "pages"} <= names["kills"]
    codes = code_of_parts()
    assert set(codes) == set(PARTS)
    assert len({code.attacked for code in codes.values()}) == 3


def test_only_what_has_no_part_in_the_way_of_a_tap_lies_beside_it() -> None:
    packages = ("protocol", "firmware", "simulator", "clearing", "tests")
    graph = grimp.build_graph(*packages, exclude_type_checking_imports=True)
    files = {path for part in PARTS.values() for path in files_of(graph, part)}
    on_the_way = {str(path.relative_to(shards.TOP)) for path in files if not lies_beside(path)}
    assert {
        "clearing/database.py",
        "clearing/fleet/key_sets.py",
        "clearing/ingest/store.py",
        "firmware/journal.py",
        "firmware/recorder.py",
        "firmware/uploader.py",
        "protocol/cbor.py",
        "protocol/tap.py",
        "simulator/chaos/invariants.py",
        "simulator/flash.py",
        "tests/soak/kills.py",
    } <= on_the_way
    assert not any(name.startswith(("clearing/pricing", "clearing/dashboard", "firmware/texts")) for name in on_the_way)
    assert not any(lies_beside(path) for path in files_of(graph, PARTS["journal"]))


def test_the_page_says_how_much_was_played_with_everything_as_it_is_now() -> None:
    results = [replace(_GOOD, beside="new"), replace(_GOOD, beside="old", shard=replace(_SHARD, seed=4))]
    assert page(results, describe(), _codes("abc", "new"), {}).count("| 1 of 2 |") == 1


# The program.


def test_the_page_says_what_part_of_the_whole_it_is() -> None:
    machine = describe()
    told = page([_GOOD], machine, _codes("abc"), {"kills": 2})
    assert "per cent of the whole soak**, by time: 1 of its" in told
    assert "Not counted are results of other code: 2 of kills." in told
    assert "12 500 power cuts; 3 false alarms" in told
    assert "| journal 4 × 1024 |" in told
    assert "whole soak.**" in page([_GOOD] * len(list(plan())), machine, _codes("abc"), {})
    assert "nothing was played yet" in page([], machine, _codes("abc"), {})


def test_the_program_writes_the_page_and_names_the_command_that_shows_what_broke(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ("--kept", str(tmp_path), "--page", str(tmp_path / "SOAK.md"))
    assert main(["--minutes", "-1", "--only", "journal", *places]) == 0
    told = capsys.readouterr()
    assert "8 shards, 0 of them kept; the others take about" in " ".join(told.err.split())
    assert told.out == (tmp_path / "SOAK.md").read_text() + "\n"
    shelf = Shelf(tmp_path, code_of_parts())
    shelf.keep(Result(_SHARD, {"lost": 1}, ["it is gone"], 1.0, "2024"))
    assert main(["--table", "--json", *places]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["results"][0]["counts"] == {"lost": 1}
    assert "journal-4x1024-3: it is gone" in told.err
    assert "python -m tests.soak --shard journal-4x1024-3" in told.err


def test_a_shard_that_nobody_knows_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--shard", "journal-1", "--kept", str(tmp_path)]) == 2
    assert "kills-SQLite-1" in capsys.readouterr().err


def test_workers_play_each_shard_in_a_process_of_its_own_and_tell_how_it_ended(tmp_path: Path) -> None:
    unknown = [Shard("journal", "", 1), Shard("kills", "", 1)]
    over = {shard: (exit_code, words) for shard, exit_code, words in Workers(2, tmp_path).play(unknown, None)}
    assert set(over) == set(unknown)
    assert all(exit_code == 2 and "no shard" in words for exit_code, words in over.values())
    assert list(Workers(2, tmp_path).play(unknown, -1)) == []


def test_who_is_stopped_stops_those_whom_it_started(tmp_path: Path) -> None:
    workers = Workers(2, tmp_path)
    playing = workers.play([Shard("journal", "", 1), _SHARD], None)
    next(playing)
    assert workers.running == [_SHARD.name]
    (worker,) = workers._workers
    playing.close()
    assert worker.process.returncode in {130, -signal.SIGTERM}
    assert list(tmp_path.iterdir()) == []
