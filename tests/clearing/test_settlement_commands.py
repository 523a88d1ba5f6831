from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text, update

from clearing.access.models import Principal
from clearing.access.service import LOCAL
from clearing.settlement.models import Close
from clearing.settlement.totals import sha256_of
from tests.builders import CITY, DAY, Office
from tests.clearing import small_day

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clearing.command import Command

_AFTER = ("--as-of", "2024-05-16T03:00")


def test_a_day_is_closed_once(office: Office, command: Command) -> None:
    small_day.play(office)
    code, output, errors = command.run("close", "run", DAY, *_AFTER)
    assert (code, errors.strip()) == (0, f"closing {DAY} of almaty …")
    for words in (
        "almaty 2024-05-15, version 1",
        "Alatau Bus Depot",
        "71.43 % of trips, 55.56 % of revenue",
        "unknown 1",
    ):
        assert words in output
    code, output, errors = command.run("close", "run", DAY, *_AFTER)
    assert (code, output) == (5, "")
    assert "closed already, in version 1" in errors
    assert f"jolaqy close show {DAY}" in errors
    assert office.count(Close) == 1


def test_a_closed_day_is_shown_as_it_was_closed(office: Office, command: Command) -> None:
    alatau, _ = small_day.play(office)
    first = command.json("close", "run", DAY, *_AFTER)
    assert command.json("close", "show", DAY, *_AFTER) == first
    small_day.send(office, alatau, [alatau.record()])
    second = command.json("close", "run", DAY, *_AFTER)
    assert (second["version"], second["fares_difference_minor"]) == (2, 20_000)
    assert command.json("close", "show", DAY, *_AFTER) == second
    assert command.json("close", "show", DAY, "--version", "1", *_AFTER) == first
    assert first == office.client.get(f"/v1/closes/{CITY}/{DAY}", params={"version": 1}).json()
    code, output, _ = command.run("close", "show", DAY)
    assert code == 0
    assert second["sha256"] in output


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_day_without_rides_is_shown_without_a_share(command: Command) -> None:
    code, output, _ = command.run("close", "run", DAY, *_AFTER)
    assert code == 0
    assert "cashless share: none of trips, none of revenue" in output


def test_a_closed_day_is_exported(office: Office, command: Command, tmp_path: Path) -> None:
    small_day.play(office)
    said = command.json("close", "run", DAY, *_AFTER)
    code, closed, _ = command.run("close", "export", DAY)
    assert (code, sha256_of(closed)) == (0, said["sha256"])
    code, csv, _ = command.run("close", "export", DAY, "--format", "csv")
    assert code == 0
    assert csv.splitlines()[1] == "almaty,2024-05-15,1,alatau,bank_card,1,10000,0"
    del said["state"]
    assert command.json("close", "export", DAY) == said
    for name, content in (
        ("day.close", closed),
        ("day.csv", csv),
        ("day.json", json.dumps(said, ensure_ascii=False, indent=2, sort_keys=True)),
    ):
        path = tmp_path / name
        for _ in range(2):
            code, output, errors = command.run("close", "export", DAY, "--output", str(path))
            assert (code, output) == (0, "")
            assert "written" in errors
            assert path.read_text(encoding="utf-8").strip() == content.strip()
    assert command.run("close", "export", DAY, "--json", "--output", str(tmp_path / "day.json"))[0] == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_day_that_is_not_over_is_an_error(command: Command) -> None:
    code, output, errors = command.run("close", "run", DAY, "--as-of", "2024-05-15T21:59:59")
    assert (code, output) == (1, "")
    assert "is not over" in errors
    assert "03:00" in errors


def test_what_is_not_there_is_exit_3_and_says_how_to_get_it(command: Command) -> None:
    for verb in ("show", "export"):
        code, output, errors = command.run("close", verb, DAY)
        assert (code, output) == (3, "")
        assert f"jolaqy close run {DAY}" in errors
    command.run("close", "run", DAY, *_AFTER)
    code, _, errors = command.run("close", "show", DAY, "--version", "2")
    assert code == 3
    assert "the newest is version 1" in errors
    for verb in ("run", "show", "export"):
        code, _, errors = command.run("close", verb, DAY, "--city", "atlantis")
        assert code == 3
        assert "jolaqy db migrate" in errors


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_wrong_usage_is_exit_2(command: Command, tmp_path: Path) -> None:
    for verb in ("run", "show", "export"):
        for day in ("yesterday", "2024-02-30", "20240515", "9999-12-31", "[/b]", ""):
            code, output, errors = command.run("close", verb, day)
            assert (code, output) == (2, "")
            assert f"DAY is not a day: {day}".rstrip() in errors
        assert command.run("close", verb)[0] == 2
        assert command.run("close", verb, DAY, "--as-of", "[red]")[0] == 2
    assert command.run("close", "show", DAY, "--version", "0")[0] == 2
    code, _, errors = command.run("close", "export", DAY, "--output", str(tmp_path / "day.xlsx"))
    assert code == 2
    assert "end the name in .close, .json or .csv" in errors
    assert command.run("close", "export", DAY, "--json", "--output", str(tmp_path / "day.csv"))[0] == 2
    assert list(tmp_path.glob("day.*")) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_cannot_be_written_is_an_error(command: Command, tmp_path: Path) -> None:
    command.run("close", "run", DAY, *_AFTER)
    code, _, errors = command.run("close", "export", DAY, "--output", str(tmp_path / "nowhere" / "day.csv"))
    assert code == 1
    assert "cannot write" in errors


def test_nobody_closes_a_day_when_the_local_administrator_is_disabled(office: Office, command: Command) -> None:
    with office.database.writing() as session:
        session.execute(update(Principal).where(Principal.id == LOCAL).values(disabled=True))
    code, _, errors = command.run("close", "run", DAY, *_AFTER)
    assert code == 1
    assert "with a token" in errors
    assert office.count(Close) == 0


def test_the_books_are_checked(office: Office, command: Command) -> None:
    small_day.play(office)
    small_day.close(office)
    assert command.run("ledger", "check")[:2] == (0, "the books keep every rule\n")
    assert command.json("ledger", "check") == {"faults": []}
    with office.database.writing() as session:
        if office.database.engine.dialect.name == "sqlite":
            session.execute(text("DROP TRIGGER posting_no_update"))
        else:
            session.execute(text("ALTER TABLE posting DISABLE TRIGGER posting_append_only"))
        session.execute(text("UPDATE posting SET amount_minor = amount_minor + 1 WHERE entry_id = 1 AND number = 1"))
    code, output, errors = command.run("ledger", "check")
    assert (code, output) == (4, "")
    assert "close/almaty/2024-05-15/1/alatau/bank_card: off by 1 tiyn" in errors
    code, output, _ = command.run("ledger", "check", "--json")
    assert code == 4
    faults = json.loads(output)["faults"]
    assert "the books of almaty are off by 1 tiyn" in faults
    assert any(fault.startswith("close almaty 2024-05-15, version 1: asset:receivable") for fault in faults)
