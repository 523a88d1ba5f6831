"""`jolaqy acquiring …` as an operator types it, beside an acquirer on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clearing.access.roles import Scope
from clearing.access.service import issue_token
from simulator.counterparties.acquirer import Acquirer
from simulator.counterparties.acquirer_book import Habits
from tests.builders import DAY, NOW_MS, Office
from tests.clearing.card_bench import FARE, CardBench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clearing.command import Command

MORNING = "2024-05-16T05:00"
WEEK_LATER = "2024-05-23T05:00"
TOKEN = "known to the acquirer"  # noqa: S105 - the simulated one's


@pytest.fixture
def acquirer(office: Office) -> Iterator[Acquirer]:
    with Acquirer(office.clock.now_ms, habits=Habits(decline=1.0, poor_for=1), token=TOKEN) as acquirer:
        yield acquirer


@pytest.fixture
def bench(office: Office, acquirer: Acquirer) -> CardBench:
    bench = CardBench(office, acquirer, account_verification=False)
    bench.tap(1)
    bench.price()
    return bench


def test_a_card_is_charged_declined_and_paid_by_commands(
    bench: CardBench, acquirer: Acquirer, command: Command
) -> None:
    run = ("acquiring", "run", "--url", acquirer.url, "--token", TOKEN, "--as-of")
    report = command.json(*run, MORNING)
    assert (report["rides"], report["asked"], report["denied"]) == (1, {"authorise": 1}, 1)
    (charge,) = command.json("acquiring", "charges", DAY)["charges"]
    assert charge["reference"] == bench.charge(1).reference
    assert (charge["state"], charge["owed_minor"]) == ("debt", FARE)
    assert command.json("acquiring", "charges")["charges"] == [charge]
    report = command.json(*run, WEEK_LATER)
    assert (report["asked"], report["undenied"]) == ({"authorise": 1, "capture": 1}, 1)
    shown = command.json("acquiring", "show", charge["reference"])
    assert [each["kind"] for each in shown["operations"]] == ["authorise", "authorise", "capture"]
    code, output, _ = command.run("acquiring", "show", charge["reference"])
    assert code == 0
    for word in ("closed", "Rides", "alatau", "100.00", "no-money"):
        assert word in output
    capture = shown["operations"][-1]["reference"]
    told = ("--amount", "100", "--reference", "D-1", "--as-of", WEEK_LATER)
    assert command.json("acquiring", "chargeback", capture, *told)["disputed_minor"] == FARE
    assert command.run("ledger", "check")[0] == 0


def test_a_debt_is_paid_at_the_counter(bench: CardBench, acquirer: Acquirer, command: Command) -> None:
    command.json("acquiring", "run", "--url", acquirer.url, "--token", TOKEN, "--as-of", MORNING)
    reference = bench.charge(1).reference
    paid = command.json("acquiring", "pay", reference, "--amount", "100", "--reference", "R-17", "--as-of", MORNING)
    assert (paid["state"], paid["owed_minor"]) == ("closed", 0)
    code, _, errors = command.run("acquiring", "pay", reference, "--amount", "90", "--reference", "R-18")
    assert (code, "is not what is owed" in errors) == (1, True)
    code, _, _ = command.run("acquiring", "pay", reference, "--amount", "-1", "--reference", "R-19")
    assert code == 2
    code, _, _ = command.run("acquiring", "pay", reference, "--amount", "90", "--reference", "R-17")
    assert code == 5
    code, _, _ = command.run("acquiring", "pay", "T-none", "--amount", "90", "--reference", "R-17")
    assert code == 3


def test_a_refund_asks_for_a_second_person_and_is_given_then(
    bench: CardBench, acquirer: Acquirer, command: Command
) -> None:
    acquirer.book.habits = Habits()
    command.json("acquiring", "run", "--url", acquirer.url, "--token", TOKEN, "--as-of", MORNING)
    asked = ("acquiring", "refund", bench.charge(1).reference, "--amount", "40", "--reason", "the bus broke down")
    code, _, errors = command.run(*asked)
    assert (code, "a second person must approve" in errors) == (1, True)
    with bench.office.database.writing() as session:
        token = issue_token(session, "second", "person", [Scope("approver")], NOW_MS)
    answer = bench.office.client.post(
        "/v1/approvals/1/decision", json={"approve": True}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 200
    assert command.json(*asked, "--as-of", MORNING)["allowance_minor"] == 4_000
    report = command.json("acquiring", "run", "--url", acquirer.url, "--token", TOKEN, "--as-of", WEEK_LATER)
    assert report["asked"] == {"refund": 1}


def test_without_an_address_rides_are_only_added_up(bench: CardBench, command: Command) -> None:
    assert bench.fares
    code, output, errors = command.run("acquiring", "run", "--as-of", MORNING)
    assert code == 0
    assert "rides 1; asked: nothing" in output
    assert "1 rides added up" in errors
    code, output, _ = command.run("acquiring", "charges", DAY)
    assert (code, "open: 1, 100.00 ₸" in output) == (0, True)


def test_wrong_usage_says_what_to_do(command: Command) -> None:
    for arguments in (
        ("acquiring", "run", "--url", "acquirer.example"),
        ("acquiring", "run", "--since", "yesterday"),
        ("acquiring", "charges", "2024-13-01"),
    ):
        code, _, errors = command.run(*arguments)
        assert code == 2, arguments
        assert errors
    assert command.run("acquiring", "run", "--city", "atlantis")[0] == 3
    assert command.run("acquiring", "show", "T-none")[0] == 3
