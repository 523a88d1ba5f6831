"""The `jolaqy-sim` command, but for whole days: those are played in `tests.system`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from simulator.__main__ import _tell, app
from simulator.day import Report
from tests.simulator.test_count import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator.street import Office


def _run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    clean = {"JOLAQY_HOME": None, "JOLAQY_DATABASE_URL": None, "JOLAQY_TOKEN": None, "COLUMNS": "200"}
    result = CliRunner().invoke(app, list(arguments), env=clean | environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("arguments", "fault", "remedy"),
    [
        (("--runtime", "pypy"), "no runtime pypy", "micropython, micropython32, cpython"),
        (("--hours", "22-6"), "no hours 22-6", "write them as 6-22"),
        (("--hours", "morning"), "no hours morning", "write them as 6-22"),
        (("--hours", "5-9"), "no hours 5-9", "between 6 and 22"),
        (("--day", "15.05.2024"), "not a day: 15.05.2024", "write it as 2024-05-15"),
        (("--server", "http://127.0.0.1:1"), "--server needs --token and --clock-file", "jolaqy serve --clock-file"),
        (("--riders", "0"), "Invalid value for '--riders'", "jolaqy-sim day --help"),
        (("--power-cuts", "-1"), "Invalid value for '--power-cuts'", "jolaqy-sim day --help"),
        (("--seeds", "1"), "No such option", "--seed"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_to_do(arguments: tuple[str, ...], fault: str, remedy: str) -> None:
    code, output, errors = _run("day", *arguments)
    assert (code, output) == (2, "")
    assert fault in errors
    assert remedy in errors


def test_a_day_is_not_poured_into_a_database_that_is_in_use(office: Office) -> None:
    code, output, errors = _run("day", JOLAQY_DATABASE_URL=f"sqlite:///{office.home / 'jolaqy.db'}")
    assert (code, output) == (2, "")
    assert "the database of JOLAQY_DATABASE_URL is in use" in errors
    assert "unset it" in errors


def test_a_service_that_is_not_there_is_exit_1_and_named(tmp_path: Path, office: Office) -> None:
    server = ("--server", "http://127.0.0.1:1", "--token", "x", "--clock-file", str(tmp_path / "clock"))
    code, _, errors = _run("day", *server, JOLAQY_HOME=str(office.home))
    assert code == 1
    assert "no answer from http://127.0.0.1:1" in errors


def test_a_demonstration_empties_no_folder_but_its_own(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("of somebody's")
    code, _, errors = _run("demo", JOLAQY_HOME=str(tmp_path))
    assert code == 1
    assert "is in use and is no demonstration" in errors
    assert "set JOLAQY_HOME to another folder" in errors
    assert (tmp_path / "something").exists()


def test_a_demonstration_has_a_database_of_its_own(tmp_path: Path) -> None:
    code, _, errors = _run("demo", JOLAQY_HOME=str(tmp_path), JOLAQY_DATABASE_URL="postgresql+psycopg://x@/y")
    assert code == 1
    assert "unset JOLAQY_DATABASE_URL" in errors


def test_help_tells_every_command_and_every_option() -> None:
    code, output, _ = _run("--help")
    assert code == 0
    assert {"day", "demo"} <= set(output.split())
    code, output, _ = _run("day", "--help")
    assert code == 0
    for option in ("seed", "riders", "day", "hours", "runtime", "power-cuts", "server", "token", "clock-file", "json"):
        assert f"--{option}" in output
    assert "Example: jolaqy-sim day --seed 7 --json" in output


def _report(**changes: Any) -> Report:  # noqa: ANN401 - fields of many types
    return Report(GOOD | changes, seconds=2.0, simulated_seconds=3600.0, heap_peak=0)


def test_a_day_is_told_as_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    _tell(_report(), as_json=False)
    told = capsys.readouterr().out
    for words in ("almaty 2024-05-15, seed 3", "1 200.00", "lost 0, doubled 0", "80.0 % of trips", "1800 times faster"):
        assert words in told


def test_a_day_is_told_as_one_object_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    _tell(_report(), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == GOOD | {"faults": [], "timings": {"seconds": 2.0, "speed_up": 1800}}


def test_a_broken_promise_is_exit_4(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as end:
        _tell(_report(taps_lost=1), as_json=True)
    assert end.value.exit_code == 4
    told = capsys.readouterr()
    assert json.loads(told.out)["faults"] == ["taps were lost"]
    assert "taps were lost" in told.err
