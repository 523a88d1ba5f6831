"""`jolaqy-sim chaos`, as a developer meets it."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from simulator.__main__ import app

_runner = CliRunner()


def test_two_processes_find_the_same_as_one() -> None:
    arguments = ["chaos", "--schedules", "2", "--taps", "12", "--seed", "21", "--json"]
    results = []
    for processes in ("1", "2"):
        done = _runner.invoke(app, [*arguments, "--processes", processes])
        assert done.exit_code == 0, done.output
        results.append({key: value for key, value in json.loads(done.stdout).items() if key != "timings"})
    assert results[0] == results[1]
    assert results[0]["schedules"] == 2
    assert results[0]["lost"] == results[0]["doubled"] == results[0]["phantom"] == results[0]["violations"] == 0


def test_a_seed_can_be_played_again_with_its_trace() -> None:
    done = _runner.invoke(app, ["chaos", "--replay", "21", "--taps", "12"])
    assert done.exit_code == 0, done.output
    assert "A-101 starts" in done.stderr
    assert "lost 0, doubled 0, phantom 0" in done.stdout
