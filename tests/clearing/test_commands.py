from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from clearing.__main__ import build
from protocol.enrolment import parse_invitation

if TYPE_CHECKING:
    from pathlib import Path

    from clearing.settings import Settings


class Command:
    """The `jolaqy` command with an installation of its own."""

    def __init__(self, home: Path, database_url: str) -> None:
        self._environment = {"JOLAQY_HOME": str(home), "JOLAQY_DATABASE_URL": database_url, "COLUMNS": "200"}
        self._runner = CliRunner()

    def run(self, *arguments: str) -> tuple[int, str, str]:
        result = self._runner.invoke(build(), list(arguments), env=self._environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, result.stderr

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        code, output, errors = self.run(*arguments, "--json")
        assert code == 0, errors
        return json.loads(output)


@pytest.fixture
def command(settings: Settings) -> Command:
    return Command(settings.home, settings.database_url)


@pytest.fixture
def fresh_command(tmp_path: Path) -> Command:
    home = tmp_path / "fresh"
    return Command(home, f"sqlite:///{home / 'jolaqy.db'}")


def test_an_invitation_is_printed_once_and_can_be_read(command: Command) -> None:
    invited = command.json("validator", "invite", "--city", "almaty", "--vehicle", "A-101")
    assert (invited["city"], invited["vehicle"]) == ("almaty", "A-101")
    parse_invitation(invited["code"])
    code, output, _ = command.run("validator", "invite", "--vehicle", "A-102")
    assert code == 0
    parse_invitation(output.strip())


def test_nothing_found_is_exit_3(command: Command) -> None:
    code, _, errors = command.run("validator", "invite", "--vehicle", "A-999")
    assert code == 3
    assert "A-999" in errors
    assert command.run("validator", "list")[0] == 3
    assert command.run("validator", "revoke", "00" * 16)[0] == 3
    assert command.json("validator", "list") == {"validators": []}


def test_wrong_usage_is_exit_2(command: Command) -> None:
    assert command.run("validator", "invite")[0] == 2
    assert command.run("validator", "invite", "--vehicle", "A-101", "--as-of", "yesterday")[0] == 2
    assert command.run("db", "migrate", "--city", "atlantis")[0] == 2
    assert command.run("nonsense")[0] == 2


def test_a_conflict_is_exit_5(command: Command) -> None:
    assert command.run("token", "issue", "local", "--role", "auditor")[0] == 5


def test_an_error_is_exit_1_and_says_what_to_do(command: Command) -> None:
    code, _, errors = command.run("token", "issue", "alice", "--role", "emperor")
    assert code == 1
    assert "roles:" in errors


def test_a_database_without_tables_says_how_to_make_them(fresh_command: Command) -> None:
    code, _, errors = fresh_command.run("validator", "list")
    assert code == 1
    assert "jolaqy db migrate" in errors
    assert fresh_command.json("db", "status")["revision"] is None


def test_migrating_makes_everything_and_again_changes_nothing(fresh_command: Command) -> None:
    first = fresh_command.json("db", "migrate", "--as-of", "2024-05-15")
    assert (first["revision_before"], first["cities_loaded"]) == (None, ["almaty"])
    again = fresh_command.json("db", "migrate")
    assert (again["revision_before"], again["cities_loaded"]) == (first["revision"], [])
    assert fresh_command.json("db", "status") == {"revision": first["revision"], "newest": first["revision"]}


def test_a_token_is_printed_once_and_the_log_of_it_is_whole(command: Command) -> None:
    issued = command.json("token", "issue", "alice", "--role", "auditor", "--role", "agent", "--city", "almaty")
    assert issued["roles"] == ["auditor", "agent"]
    code, output, errors = command.run("token", "issue", "alice", "--role", "auditor")
    assert code == 0
    assert output.strip() != issued["token"]
    assert "once" in errors
    assert command.json("audit", "check") == {"faults": []}
