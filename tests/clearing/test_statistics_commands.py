from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import CITY, DAY, NOW_S, Office
from tests.clearing import small_day

if TYPE_CHECKING:
    from tests.clearing.command import Command


def test_the_share_is_printed_by_day(office: Office, command: Command) -> None:
    small_day.play(office)
    small_day.close(office)
    code, output, errors = command.run("share", "--from", DAY, "--to", DAY)
    assert (code, errors) == (0, "")
    (row,) = (line for line in output.splitlines() if DAY in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [DAY, "7", "5", "71.43", "900.00", "55.56", "yes"]


def test_the_share_is_the_same_for_programs_as_over_http(office: Office, command: Command) -> None:
    small_day.play(office)
    printed = command.json("share", "--from", "2024-05-01", "--to", "2024-05-31")
    asked = {"city": CITY, "from": "2024-05-01", "to": "2024-05-31"}
    assert printed["days"] == office.client.get("/v1/share", params=asked).json()["days"]
    assert (printed["city"], printed["from"], printed["to"]) == (CITY, "2024-05-01", "2024-05-31")
    assert printed["days"][0]["closed"] is False


def test_without_a_period_it_is_the_thirty_days_up_to_the_last_one_with_rides(office: Office, command: Command) -> None:
    small_day.text_message(office, "S-1")
    office.clock.at_ms += 86_400_000
    small_day.text_message(office, "S-2", NOW_S + 86_400)
    said = command.json("share", "--as-of", "2024-06-10")
    assert (said["from"], said["to"], len(said["days"])) == ("2024-04-17", "2024-05-16", 2)
    # 03:30 of 16 May in Almaty, still the 15th in UTC: the new service day has begun.
    assert command.json("share", "--as-of", "2024-05-15T22:30")["to"] == "2024-05-16"
    assert command.json("share", "--as-of", "2024-05-15T21:30")["to"] == DAY
    assert command.json("share", "--to", DAY)["from"] == "2024-04-16"


def test_a_period_without_rides_is_exit_3(command: Command) -> None:
    code, output, errors = command.run("share", "--from", DAY, "--to", DAY)
    assert (code, output) == (3, "")
    assert "choose another period" in errors
    code, output, _ = command.run("share", "--from", DAY, "--to", DAY, "--json")
    assert code == 3
    assert '"days": []' in output
    code, _, errors = command.run("share", "--city", "atlantis")
    assert code == 3
    assert "jolaqy db migrate" in errors


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_wrong_period_is_exit_2(command: Command) -> None:
    for option, day in (("--from", "yesterday"), ("--to", "2024-02-30"), ("--from", "[/]"), ("--to", "0001-01-01")):
        code, output, errors = command.run("share", option, day)
        assert (code, output) == (2, "")
        assert f"{option} is not a day: {day}" in errors
        assert "2024-05-15" in errors
    code, _, errors = command.run("share", "--from", "2024-05-16", "--to", DAY)
    assert code == 2
    assert "swap --from and --to" in errors
    assert command.run("share", "--as-of", "noon")[0] == 2
