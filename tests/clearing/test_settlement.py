from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from clearing.access.models import AuditRecord
from clearing.access.roles import Scope
from clearing.access.service import LOCAL, issue_token
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.ledger.checks import check_ledger
from clearing.ledger.models import EntryRow
from clearing.ledger.service import entries_by_prefix, trial_balance
from clearing.network.service_day import day_end_s
from clearing.pricing.models import Fare
from clearing.settlement.booking import legs_by_subject
from clearing.settlement.closing import run_close
from clearing.settlement.export import as_csv, as_dict
from clearing.settlement.models import Close
from clearing.settlement.service import CloseView, close_of, list_closes, show_close
from clearing.settlement.totals import document_of, sha256_of, totals_from_json
from protocol.decisions import DECISION_COMMITTED, DECISION_DENIED
from tests.builders import CITY, DAY, NOW_MS, NOW_S, Device, Office
from tests.clearing import small_day
from tests.clearing.small_day import NEXT_MORNING_MS, TOTALS

if TYPE_CHECKING:
    from clearing.database import Database

_NEXT_DAY = "2024-05-16"


def _run(database: Database, day: str = DAY, now_ms: int = NEXT_MORNING_MS) -> CloseView:
    with database.writing() as session:
        return run_close(session, CITY, day, LOCAL, now_ms)


def _balances(database: Database) -> dict[str, int]:
    with database.reading() as session:
        assert check_ledger(session) == []
        return {row.account: row.amount_minor for row in trial_balance(session, CITY) if row.amount_minor}


def _worth(*closes: CloseView) -> dict[str, int]:
    """What the books must say when each of these days is booked once."""
    worth: dict[str, int] = {}
    for close in closes:
        for legs in legs_by_subject(CITY, close.totals).values():
            for account, amount in legs.items():
                worth[account] = worth.get(account, 0) + amount
    return {account: amount for account, amount in worth.items() if amount}


def test_a_day_that_is_not_over_cannot_be_closed(database: Database) -> None:
    end_ms = day_end_s("Asia/Almaty", DAY) * 1000
    with pytest.raises(InvalidError, match="not over") as refused:
        _run(database, now_ms=end_ms - 1)
    assert "03:00" in refused.value.remedy
    assert _run(database, now_ms=end_ms).version == 1


def test_a_close_says_everything_of_its_day(office: Office) -> None:
    small_day.play(office)
    said = small_day.close(office)
    assert (said["city"], said["day"], said["version"], said["closed_at_ms"]) == (CITY, DAY, 1, NEXT_MORNING_MS)
    assert (said["rides"], said["fares_minor"], said["refused"], said["exceptions"]) == (7, 90_000, 1, 0)
    assert (said["rides_difference"], said["fares_difference_minor"]) == (7, 90_000)
    assert (said["unknown"], said["unknown_minor"]) == (1, 10_000)
    assert (said["top_ups"], said["top_ups_minor"]) == (1, 500_000)
    assert (said["cashless_share_trips_percent"], said["cashless_share_revenue_percent"]) == (71.43, 55.56)
    assert said["media"][1] == {"medium": "cash", "trips": 2, "fares_minor": 40_000}
    assert said["carriers"] == [
        {"carrier": "alatau", "name": "Alatau Bus Depot", "trips": 5, "fares_minor": 70_000},
        {"carrier": "medeu", "name": "Medeu Transport", "trips": 2, "fares_minor": 20_000},
    ]
    assert [entry["entry_key"] for entry in said["entries"]] == [
        f"close/almaty/2024-05-15/1/{subject}"
        for subject in (
            "alatau/bank_card",
            "alatau/cash",
            "alatau/sms",
            "alatau/transport_card",
            "commissions",
            "medeu/qr",
            "medeu/transport_card",
            "top-ups",
        )
    ]
    assert said["entries"][6] == {
        "entry_key": "close/almaty/2024-05-15/1/medeu/transport_card",
        "description": "2024-05-15: medeu, transport_card",
        "postings": [
            {"account": "liability:payable:almaty:medeu", "kind": "liability", "amount_minor": -10_000},
            {"account": "liability:purses:almaty", "kind": "liability", "amount_minor": 12_000},
            {"account": "liability:refunds:almaty", "kind": "liability", "amount_minor": -2_000},
        ],
    }
    assert office.client.get(f"/v1/closes/{CITY}/{DAY}").json() == said


def test_the_same_day_gives_the_same_bytes_on_every_database(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    with office.database.reading() as session:
        stored = session.scalars(select(Close)).one()
        entries = entries_by_prefix(session, f"close/{CITY}/{DAY}/1/")
    totals = totals_from_json(stored.totals_json)
    assert replace(totals, evidence=None) == TOTALS
    assert stored.totals_json == document_of(CITY, DAY, 1, totals, entries)
    assert stored.sha256 == sha256_of(stored.totals_json)
    assert LOCAL not in stored.totals_json


def test_closing_again_is_a_conflict_and_changes_nothing(office: Office) -> None:
    small_day.play(office)
    first = small_day.close(office)
    office.clock.at_ms += 3_600_000
    answer = office.client.post("/v1/closes", json={"city": CITY, "day": DAY})
    assert answer.status_code == 409
    assert "version 1" in answer.json()["error"]["message"]
    assert (office.count(Close), office.count(EntryRow), office.count(Fare)) == (1, 8, 7)
    assert office.client.get(f"/v1/closes/{CITY}/{DAY}").json() == first


def test_late_taps_make_a_version_that_books_the_difference_alone(office: Office) -> None:
    alatau, medeu = small_day.play(office)
    first = small_day.close(office)
    small_day.send(office, alatau, [alatau.record(), alatau.refusal(DECISION_DENIED)])
    small_day.prove_unknown(office, medeu)
    second = small_day.close(office)
    assert (second["version"], second["rides_difference"], second["fares_difference_minor"]) == (2, 2, 30_000)
    assert (second["rides"], second["refused"], second["unknown"]) == (9, 2, 0)
    assert [(entry["entry_key"], entry["postings"]) for entry in second["entries"]] == [
        (
            "close/almaty/2024-05-15/2/alatau/cash",
            [
                {"account": "asset:till:almaty:alatau", "kind": "asset", "amount_minor": 20_000},
                {"account": "liability:payable:almaty:alatau", "kind": "liability", "amount_minor": -20_000},
            ],
        ),
        (
            "close/almaty/2024-05-15/2/alatau/transport_card",
            [
                {"account": "liability:payable:almaty:alatau", "kind": "liability", "amount_minor": -10_000},
                {"account": "liability:purses:almaty", "kind": "liability", "amount_minor": 10_000},
            ],
        ),
        (
            "close/almaty/2024-05-15/2/commissions",
            [
                {"account": "income:commission:almaty:oper", "kind": "income", "amount_minor": -3_000},
                {"account": "liability:payable:almaty:alatau", "kind": "liability", "amount_minor": 3_000},
            ],
        ),
    ]
    earlier = office.client.get(f"/v1/closes/{CITY}/{DAY}", params={"version": 1}).json()
    assert earlier == first
    with office.database.reading() as session:
        newest = close_of(session, CITY, DAY)
    assert _balances(office.database) == _worth(newest)


def test_a_ride_that_turns_out_to_be_none_is_booked_back(office: Office) -> None:
    """Torn at one bus, debited at another that was out of reach, seen by a third: the first looked paid until then."""
    one, two, three = (office.enrol(Device(seed=n), code) for n, code in ((1, "A-101"), (2, "A-107"), (3, "A-102")))
    small_day.send(office, one, small_day.debit(one, 1, 5, at_s=NOW_S))
    paid = small_day.debit(two, 1, 5, at_s=NOW_S + 600, ended=DECISION_COMMITTED)
    small_day.send(office, three, small_day.debit(three, 1, 6, at_s=NOW_S + 9000, ended=DECISION_COMMITTED))
    first = small_day.close(office)
    assert [(row["carrier"], row["trips"]) for row in first["carriers"]] == [("alatau", 2)]
    small_day.send(office, two, paid)
    second = small_day.close(office)
    assert (second["rides_difference"], second["fares_difference_minor"]) == (0, 0)
    assert [(row["carrier"], row["trips"]) for row in second["carriers"]] == [("alatau", 1), ("medeu", 1)]
    assert _balances(office.database) == {
        "liability:purses:almaty": 20_000,
        "liability:payable:almaty:alatau": -9_000,
        "liability:payable:almaty:medeu": -9_000,
        "income:commission:almaty:oper": -2_000,
    }


def test_a_late_refusal_is_a_version_without_entries(office: Office, device: Device) -> None:
    small_day.send(office, device, [device.record()])
    small_day.close(office)
    small_day.send(office, device, [device.refusal(DECISION_DENIED)])
    second = small_day.close(office)
    assert (second["version"], second["entries"], second["fares_difference_minor"]) == (2, [], 0)


def test_days_are_booked_side_by_side(office: Office, device: Device) -> None:
    small_day.send(office, device, [device.record(), *small_day.debit(device, 1, 5)])
    office.clock.at_ms = NEXT_MORNING_MS
    small_day.send(office, device, small_day.debit(device, 1, 6, at_s=NOW_S + 86_000, ended=DECISION_COMMITTED))
    later = _run(office.database, _NEXT_DAY, NEXT_MORNING_MS + 86_400_000)
    earlier = _run(office.database)
    assert (earlier.totals.rides, later.totals.rides) == (2, 1)
    assert _balances(office.database) == _worth(earlier, later)
    with office.database.reading() as session:
        listed = list_closes(session, CITY)
    assert [(close.day, close.version, close.entries) for close in listed] == [(_NEXT_DAY, 1, ()), (DAY, 1, ())]


def test_a_day_without_anything_can_be_closed(database: Database) -> None:
    close = _run(database)
    assert (close.totals.rides, close.entries, close.totals.share_trips_percent) == (0, (), None)
    assert as_dict(close)["cashless_share_trips_percent"] is None
    with pytest.raises(ConflictError):
        _run(database)


def test_an_amount_that_no_sum_can_hold_does_not_keep_a_day_open(office: Office, device: Device) -> None:
    records = [device.record(fare_minor=2**63 - 1) for _ in range(3)]
    records += small_day.debit(device, 1, 1, fare_minor=-(2**62), ended=DECISION_COMMITTED)
    small_day.send(office, device, records)
    said = small_day.close(office)
    assert (said["rides"], said["fares_minor"], said["exceptions"]) == (4, 70_000, 5)


def test_of_closes_at_the_same_moment_one_counts_and_the_others_are_conflicts(office: Office) -> None:
    small_day.play(office)
    threads = 4
    barrier = Barrier(threads)

    def close(_number: int) -> int | str:
        barrier.wait()
        try:
            return _run(office.database).version
        except ConflictError:
            return "conflict"

    with ThreadPoolExecutor(threads) as pool:
        ends = list(pool.map(close, range(threads)))
    assert sorted(map(str, ends)) == ["1", *["conflict"] * (threads - 1)]
    assert (office.count(Close), office.count(EntryRow), office.count(Fare)) == (1, 8, 7)


def test_a_close_is_in_the_audit_log(office: Office) -> None:
    said = small_day.close(office)
    with office.database.reading() as session:
        line = session.scalars(select(AuditRecord).where(AuditRecord.action == "close.run")).one()
    assert (line.principal_id, line.subject, line.at_ms) == (LOCAL, "almaty/2024-05-15/1", NEXT_MORNING_MS)
    assert json.loads(line.detail_json) == {"sha256": said["sha256"]}


def test_a_close_that_is_not_there_is_said_so(office: Office) -> None:
    small_day.close(office)
    for path, message in (
        (f"{CITY}/{_NEXT_DAY}", "is not closed"),
        (f"{CITY}/{DAY}?version=2", "no version 2"),
        (f"atlantis/{DAY}", "no city atlantis"),
    ):
        answer = office.client.get(f"/v1/closes/{path}")
        assert answer.status_code == 404
        assert message in answer.json()["error"]["message"]
        assert answer.json()["error"]["remedy"]
    with office.database.reading() as session:
        assert show_close(session, CITY, _NEXT_DAY) is None
        with pytest.raises(NotFoundError, match="no version 9"):
            close_of(session, CITY, DAY, 9)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_wrong_question_about_closes_is_refused(office: Office) -> None:
    for day in ("2024-02-30", "9999-12-31", "0001-01-01", "20240515", "2024-W20-3", "today"):
        assert office.client.post("/v1/closes", json={"city": CITY, "day": day}).status_code == 422
        assert office.client.get(f"/v1/closes/{CITY}/{day}").status_code == 422
    for version in (0, -1, 10**30):
        assert office.client.get(f"/v1/closes/{CITY}/{DAY}", params={"version": version}).status_code == 422
    assert office.client.post("/v1/closes", json={"city": "atlantis", "day": DAY}).status_code == 404
    answer = office.client.post("/v1/closes", json={"city": CITY, "day": DAY})
    assert (answer.status_code, office.count(Close)) == (422, 0)
    assert "not over" in answer.json()["error"]["message"]


def test_only_whoever_may_close_a_city_closes_it(office: Office) -> None:
    with office.database.writing() as session:
        tokens = [
            issue_token(session, name, "person", [Scope(role, city)], NOW_MS)
            for name, role, city in (("a", "operator", "astana"), ("b", "auditor", CITY), ("c", "operator", CITY))
        ]
    office.clock.at_ms = NEXT_MORNING_MS
    answers = [
        office.client.post(
            "/v1/closes", json={"city": CITY, "day": DAY}, headers={"authorization": f"Bearer {token}"}
        ).status_code
        for token in tokens
    ]
    assert answers == [403, 403, 201]
    with office.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Close)) == 1


def test_an_export_is_the_same_each_time(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)

    def export() -> tuple[str, str]:
        with office.database.reading() as session:
            close = close_of(session, CITY, DAY)
        return json.dumps(as_dict(close)), as_csv(close)

    first = export()
    assert first == export()
    value: dict[str, Any] = json.loads(first[0])
    assert value | {"state": "provisional"} == office.client.get(f"/v1/closes/{CITY}/{DAY}").json()
    assert first[1] == (
        "city,day,version,carrier,medium,trips,charged_minor,correction_minor\n"
        "almaty,2024-05-15,1,alatau,bank_card,1,10000,0\n"
        "almaty,2024-05-15,1,alatau,cash,2,40000,0\n"
        "almaty,2024-05-15,1,alatau,sms,1,10000,0\n"
        "almaty,2024-05-15,1,alatau,transport_card,1,10000,0\n"
        "almaty,2024-05-15,1,medeu,qr,1,10000,0\n"
        "almaty,2024-05-15,1,medeu,transport_card,1,10000,2000\n"
    )
