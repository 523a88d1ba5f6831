from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from clearing.access.models import AuditRecord
from clearing.endpoint import ConflictError, ForbiddenError, InvalidError
from clearing.ledger.service import balance_of, trial_balance
from clearing.settlement.adjustments import (
    AdjustmentAsked,
    decide_adjustment,
    list_adjustments,
    request_adjustment,
)
from clearing.settlement.finality import final_at_s
from clearing.settlement.models import Adjustment, Close
from clearing.settlement.service import check_books, close_of
from tests.builders import CITY, DAY, Office
from tests.clearing import small_day
from tests.clearing.second_person import local, post_as, second_person, token_of
from tests.clearing.small_day import NEXT_MORNING_MS

if TYPE_CHECKING:
    from clearing.database import Database
    from tests.clearing.command import Command

_PAYABLE, _REFUNDS = "liability:payable:almaty:alatau", "liability:refunds:almaty"
_LEGS = {_PAYABLE: 12_000, _REFUNDS: -12_000}
_FINAL_MS = final_at_s("Asia/Almaty", DAY, 14) * 1000
_BODY: dict[str, Any] = {"city": CITY, "day": DAY, "reference": "A-1", "reason": "counted twice", "legs": _LEGS}


def _asked(**changes: Any) -> AdjustmentAsked:  # noqa: ANN401 - fields of any type
    fields: dict[str, Any] = {
        "city": CITY,
        "day": DAY,
        "reference": "A-1",
        "kind": "refund",
        "reason": "counted twice",
        "legs": _LEGS,
    }
    return AdjustmentAsked(**fields | changes)


def _request(database: Database, now_ms: int = NEXT_MORNING_MS, **changes: Any) -> int:  # noqa: ANN401
    caller = local(database)
    with database.writing() as session:
        return request_adjustment(session, caller, now_ms, _asked(**changes)).number


def _approve(database: Database, number: int, now_ms: int = NEXT_MORNING_MS) -> int | None:
    caller = second_person(database)
    with database.writing() as session:
        return decide_adjustment(session, caller, now_ms, number, True, None).version


def _balance(database: Database, account: str) -> int:
    with database.reading() as session:
        assert check_books(session) == []
        return balance_of(session, account)


def test_two_persons_make_the_next_version_of_a_closed_day(office: Office, command: Command) -> None:
    small_day.play(office)
    small_day.close(office)
    asked = office.client.post("/v1/adjustments", json=_BODY)
    assert (asked.status_code, asked.json()["state"], asked.json()["version"]) == (201, "requested", None)
    number = asked.json()["number"]
    assert _balance(office.database, _REFUNDS) == -2_000
    token = token_of(office.database)
    decided = post_as(office, token, f"/v1/adjustments/{number}/decision", {"approve": True})
    assert (decided.status_code, decided.json()["state"], decided.json()["version"]) == (200, "approved", 2)
    assert _balance(office.database, _REFUNDS) == -14_000
    said = office.client.get(f"/v1/closes/{CITY}/{DAY}").json()
    assert [entry["entry_key"] for entry in said["entries"]] == ["close/almaty/2024-05-15/2/adjustments"]
    assert said["adjustments"] == [{"reference": "A-1", "kind": "correction", "reason": "counted twice", "legs": _LEGS}]
    code, output, _ = command.run("close", "diff", DAY, "1", "2")
    assert (code, output) == (0, "Adjustment A-1: counted twice; 120.00 ₸\n")


def test_whoever_asked_cannot_approve(office: Office, command: Command) -> None:
    small_day.close(office)
    number = office.client.post("/v1/adjustments", json=_BODY).json()["number"]
    answer = office.client.post(f"/v1/adjustments/{number}/decision", json={"approve": True})
    assert answer.status_code == 403
    code, _, errors = command.run("adjustment", "approve", str(number))
    assert code == 1
    assert "a second person must decide" in errors
    assert office.count(Close) == 1


def test_nobody_approves_what_they_may_only_ask_for(office: Office) -> None:
    small_day.close(office)
    number = office.client.post("/v1/adjustments", json=_BODY).json()["number"]
    for name, role, city in (("a", "operator", None), ("b", "auditor", None), ("c", "approver", "astana")):
        token = token_of(office.database, name, role, city)
        assert post_as(office, token, f"/v1/adjustments/{number}/decision", {"approve": True}).status_code == 403
    token = token_of(office.database, "d", "approver")
    assert post_as(office, token, "/v1/adjustments", _BODY).status_code == 403


def test_what_is_rejected_changes_nothing_and_is_decided_once(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    number = _request(office.database)
    token = token_of(office.database)
    answer = post_as(office, token, f"/v1/adjustments/{number}/decision", {"approve": False})
    assert (answer.json()["state"], office.count(Close)) == ("rejected", 1)
    assert post_as(office, token, f"/v1/adjustments/{number}/decision", {"approve": True}).status_code == 409
    assert _balance(office.database, _REFUNDS) == -2_000


def test_an_adjustment_of_a_day_that_is_not_closed_is_in_its_first_version(office: Office) -> None:
    small_day.play(office)
    assert _approve(office.database, _request(office.database)) is None
    said = small_day.close(office)
    assert (said["version"], len(said["adjustments"])) == (1, 1)
    assert _balance(office.database, _REFUNDS) == -14_000


def test_the_same_request_again_is_the_same_adjustment(database: Database) -> None:
    assert _request(database) == _request(database)
    with pytest.raises(ConflictError, match="used for another"):
        _request(database, reason="other words")
    with database.reading() as session:
        assert [view.state for view in list_adjustments(session, CITY)] == ["requested"]


def test_what_cannot_be_booked_is_refused_with_every_reason(database: Database) -> None:
    wrong: dict[str, Any] = {
        "reference": "no spaces, please",
        "reason": " ",
        "kind": "refund",
        "legs": {"liability:payable:astana:x": 5, "asset:gold:almaty": -4},
        "currency": "USD",
    }
    with pytest.raises(InvalidError) as refused:
        _request(database, **wrong)
    for words in (
        "a reference has",
        "a reason has",
        "no account asset:gold:almaty",
        "an account of another city",
        "debits and credits differ",
        "a refund credits liability:refunds:almaty",
        "in KZT, not in USD",
    ):
        assert words in refused.value.message
    for changes, words in (
        ({"legs": {}}, "2 to 50 accounts"),
        ({"legs": {_PAYABLE: 0, _REFUNDS: 0}}, "not 0"),
        ({"legs": {_PAYABLE: 10**16, _REFUNDS: -(10**16)}}, "no more than"),
        ({"kind": "gift"}, "one of correction, refund, late"),
        ({"kind": "late", "legs": {}}, "is not final"),
        ({"reason": "two\nlines"}, "in one line"),
    ):
        with pytest.raises(InvalidError, match=words):
            _request(database, **changes)
    with database.reading() as session:
        assert list_adjustments(session, CITY) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_body_that_is_no_adjustment_is_refused(office: Office) -> None:
    for change in (
        {"legs": {_PAYABLE: 1.5, _REFUNDS: -1.5}},
        {"legs": {_PAYABLE: "12000"}},
        {"legs": {str(number): 1 for number in range(60)}},
        {"day": "2024-02-30"},
        {"amount_minor": -5},
        {"reason": "x" * 301},
    ):
        assert office.client.post("/v1/adjustments", json=_BODY | change).status_code == 422
    assert office.client.post("/v1/adjustments", json=_BODY | {"city": "atlantis"}).status_code == 404
    assert office.client.post("/v1/adjustments/99/decision", json={"approve": True}).status_code == 404
    assert office.count(Adjustment) == 0


def test_a_correction_of_a_final_day_lets_nothing_else_in(office: Office) -> None:
    alatau, _ = small_day.play(office)
    first = small_day.close(office)
    small_day.send(office, alatau, [alatau.record()])
    number = _request(office.database, _FINAL_MS)
    assert _approve(office.database, number, _FINAL_MS) == 2
    with office.database.reading() as session:
        close = close_of(session, CITY, DAY)
    assert (close.totals.rides, close.fares_difference_minor) == (first["rides"], 0)
    assert [entry.entry_key for entry in close.entries] == ["close/almaty/2024-05-15/2/adjustments"]


def test_what_came_after_a_day_was_final_is_let_in_by_two_persons(office: Office) -> None:
    alatau, _ = small_day.play(office)
    small_day.close(office)
    small_day.send(office, alatau, [alatau.record()])
    number = _request(office.database, _FINAL_MS, kind="late", legs={}, reason="bus 101 was in the workshop")
    assert _approve(office.database, number, _FINAL_MS) == 2
    with office.database.reading() as session:
        close = close_of(session, CITY, DAY)
        assert check_books(session) == []
        assert sum(row.amount_minor for row in trial_balance(session, CITY)) == 0
    assert (close.rides_difference, close.fares_difference_minor) == (1, 20_000)
    assert [(line.kind, line.reason) for line in close.totals.adjustments] == [("late", "bus 101 was in the workshop")]


def test_an_adjustment_is_in_the_audit_log(office: Office) -> None:
    small_day.close(office)
    _approve(office.database, _request(office.database))
    with office.database.reading() as session:
        lines = session.scalars(select(AuditRecord).where(AuditRecord.action.like("a%"))).all()
    assert [(line.action, line.principal_id == "local") for line in lines] == [
        ("approval.request", True),
        ("approval.decide", False),
        ("adjustment.approve", False),
    ]


def test_an_approval_of_something_else_is_none(office: Office) -> None:
    small_day.close(office)
    number = _request(office.database)
    with office.database.writing() as session:
        session.get_one(Adjustment, number).legs_json = '{"a":1}'
    with pytest.raises(ForbiddenError, match="needs the approval"):
        _approve(office.database, number)


def test_adjustments_by_command(office: Office, command: Command) -> None:
    small_day.play(office)
    small_day.close(office)
    after = ("--as-of", "2024-05-16T03:00")
    accounts = ("--debit", _PAYABLE, "--credit", _REFUNDS)
    what = ("adjustment", "request", DAY, "--reference", "A-7", "--reason", "paid twice")
    said = command.json(*what, *accounts, "--amount", "120,50", "--refund", *after)
    assert (said["kind"], said["legs"]) == ("refund", {_PAYABLE: 12_050, _REFUNDS: -12_050})
    code, output, _ = command.run("adjustment", "list")
    assert code == 0
    assert "paid twice" in output
    for wrong, words in (
        ((*accounts, "--amount", "-5"), "not positive"),
        ((*accounts, "--amount", "5 USD"), "not an amount"),
        (("--debit", _PAYABLE, "--credit", _PAYABLE, "--amount", "5"), "between two accounts"),
        (("--late", "--amount", "5"), "goes with no amount"),
    ):
        code, _, errors = command.run(*what, *wrong)
        assert code == 2
        assert words in errors
    second = post_as(office, token_of(office.database, "asker", "operator"), "/v1/adjustments", _BODY).json()["number"]
    code, output, _ = command.run("adjustment", "approve", str(second), *after)
    assert (code, output) == (0, f"adjustment {second} of {DAY} (A-1): approved, booked by version 2\n")
    third = _request(office.database, reference="A-9")
    assert command.run("adjustment", "reject", str(third))[0] == 1
    assert command.run("adjustment", "list", "--city", "atlantis")[0] == 3
