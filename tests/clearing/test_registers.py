"""Registers of agents: taken in whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clearing.channels.models import Register, TopUp
from clearing.network.parties import Agent
from tests.builders import CITY, NOW_S, Office
from tests.clearing.senders import agree, make_sender, party
from tests.clearing.statement_files import AGENT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clearing.command import Command


def take(office: Office, body: str | bytes = AGENT, **parameters: str) -> tuple[int, dict[str, object]]:
    content = body.encode() if isinstance(body, str) else body
    asked = {"city": CITY, "agent": "kiosk"} | parameters
    answer = office.client.post("/v1/registers", content=content, params=asked)
    return answer.status_code, answer.json()


@pytest.fixture(autouse=True)
def kiosk(office: Office) -> None:
    make_sender(office, "kiosk", "agent", signed=False)


def test_a_register_is_taken_in_once(office: Office) -> None:
    status, taken = take(office)
    assert (status, taken["top_ups"], taken["top_ups_minor"], taken["added"]) == (201, 2, 150_000, 2)
    assert take(office)[1]["is_repeated"] is True
    assert (office.count(TopUp), office.count(Register)) == (2, 1)


def test_an_agent_sends_its_own_and_nobody_elses(office: Office) -> None:
    sender = make_sender(office, "other", "agent", signed=False)
    headers = {"authorization": f"Bearer {sender._token}"}
    own = office.client.post("/v1/registers", content=AGENT.encode(), params={"city": CITY}, headers=headers)
    assert own.status_code == 201
    stolen = {"city": CITY, "agent": "kiosk"}
    assert office.client.post("/v1/registers", content=b"x", params=stolen, headers=headers).status_code == 403


def test_what_was_told_before_counts_once(office: Office) -> None:
    sender = make_sender(office, "kiosk", "agent", signed=False)
    order = {"reference": "A-1", "token": "ab" * 16, "amount_minor": 50_000, "at_s": NOW_S - 1800}
    assert sender.post("/v1/top-ups", order)[0] == 200
    assert take(office)[1]["added"] == 1
    assert office.count(TopUp) == 2


def test_what_contradicts_what_was_told_before_refuses_the_file(office: Office) -> None:
    sender = make_sender(office, "kiosk", "agent", signed=False)
    sender.post("/v1/top-ups", {"reference": "A-2", "token": "cd" * 16, "amount_minor": 100, "at_s": NOW_S})
    status, answer = take(office)
    assert status == 422
    assert "line 3: A-2 was told before" in str(answer)
    assert (office.count(TopUp), office.count(Register)) == (1, 0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("1500.00", "1500.01", "add up to 1500.00"),
        ("500.00;KZT;2024", "-500.00;KZT;2024", "negative"),
        ("500.00;KZT;2024", "0.00;KZT;2024", "is no top-up"),
        ("500.00;KZT", "500.00;USD", "the city's is KZT"),
        ("A-2", "A-1", "stands there twice"),
        ("A-2;", ";", "no reference"),
        ("2024-05-15 07:31", "2024-05-16 07:31", "in the future"),
        ("TOTAL", "SUM", "was cut"),
        ("500.00;KZT;2024", "99999999.00;KZT;2024", "is no top-up"),
    ],
)
def test_one_fault_and_nothing_is_taken_in(office: Office, old: str, new: str, words: str) -> None:
    body = AGENT.replace(old, new)
    if words == "is no top-up":
        body = body.replace("TOTAL;2;1500.00", f"TOTAL;2;{'1000.00' if new[0] == '0' else '100000999.00'}")
    status, answer = take(office, body)
    assert status == 422
    assert words in str(answer)
    assert (office.count(TopUp), office.count(Register)) == (0, 0)


def test_a_file_cut_in_half_is_refused_whole(office: Office) -> None:
    for length in (0, 10, 100, len(AGENT) // 2, len(AGENT) - 2):
        assert take(office, AGENT[:length])[0] == 422
    assert office.count(TopUp) == 0


def test_the_agents_own_bounds_hold(office: Office) -> None:
    agree(office, agent=(party(Agent, "kiosk", top_up_minimum_minor=60_000, top_up_maximum_minor=100_000),))
    assert "one has 600.00 to 1000.00" in str(take(office))


def test_an_adapter_for_something_else_is_refused(office: Office) -> None:
    assert take(office, adapter="qr-provider")[0] == 422
    assert take(office, adapter="../../x")[0] == 422


def test_the_command_takes_files(office: Office, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text(AGENT, encoding="utf-8")
    arguments = ("channels", "take-register", str(path), "--agent", "kiosk", "--as-of", "2024-05-15T08:00+05:00")
    assert command.json(*arguments)["added"] == 2
    assert command.json(*arguments)["is_repeated"] is True
    path.write_text(AGENT[:-9], encoding="utf-8")
    code, _, errors = command.run(*arguments)
    assert (code, "was cut" in errors) == (1, True)
    assert command.run("channels", "take-register", str(path.with_name("none")), "--agent", "kiosk")[0] == 2
    assert office.count(TopUp) == 2
