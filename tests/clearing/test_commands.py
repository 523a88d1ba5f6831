from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import typer

from clearing.__main__ import build
from clearing.cli import fail, print_rows
from protocol.enrolment import parse_invitation
from tests.clearing.command import Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    """All commands of the tree that do something themselves, with their names."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, each in below.items():
        yield from _leaves(each, (*path, name))


def test_every_command_says_what_it_does_and_gives_an_example() -> None:
    leaves = dict(_leaves(typer.main.get_command(build())))
    assert ("close", "run") in leaves
    for path, each in leaves.items():
        assert f"Example: jolaqy {' '.join(path)}" in each.help, path
        for parameter in each.params:
            assert parameter.help, (path, parameter.name)


def test_a_database_that_is_out_of_reach_says_what_to_look_at(tmp_path: Path) -> None:
    command = Command(tmp_path, f"sqlite:///{tmp_path / 'nowhere' / 'jolaqy.db'}")
    code, output, errors = command.run("ledger", "check")
    assert (code, output) == (1, "")
    assert "JOLAQY_DATABASE_URL" in errors
    assert "migrate" not in errors


def test_brackets_in_what_is_printed_are_not_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows("[t]", ["name", "number"], [["[red]bus[/]", 5], [None, "-0.05"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "[t]"
    assert [cell.strip() for cell in lines[4].strip("│").split("│")] == ["[red]bus[/]", "5"]
    assert lines[4].endswith("     5 │")
    assert lines[5].endswith(" -0.05 │")
    with pytest.raises(typer.Exit):
        fail("[/] is wrong", "say [bold]")
    assert capsys.readouterr().err == "error: [/] is wrong\nsay [bold]\n"
