"""Acquiring over HTTP: who may tell what, what is refused whole, and what operators and riders see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from clearing.access.roles import Scope
from clearing.access.service import audit_faults, issue_token
from clearing.acquiring.models import AcquirerNotice, AcquirerOperation, BankCard
from simulator.counterparties.acquirer import Acquirer
from simulator.counterparties.acquirer_book import Habits
from tests.builders import CITY, DAY, NOW_MS, Office, make_token
from tests.clearing.card_bench import FARE, CardBench

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "/v1/acquiring"


@pytest.fixture
def bench(office: Office) -> Iterator[CardBench]:
    """A charge that was paid (card 1), and a debt (card 2)."""
    with Acquirer(office.clock.now_ms) as acquirer:
        bench = CardBench(office, acquirer)
        bench.tap(1)
        bench.tap(2)
        bench.run(NOW_MS + 1000)
        with office.database.reading() as session:
            second = [each for each in acquirer.book.operations if _is_of(session, each, 2)]
        acquirer.book.take_money(second[0])
        bench.price()
        bench.run()
        yield bench


def _is_of(session: Any, reference: str, card: int) -> bool:  # noqa: ANN401
    query = select(BankCard.token).join(AcquirerOperation, AcquirerOperation.card_id == BankCard.id)
    return bool(session.scalar(query.where(AcquirerOperation.reference == reference)) == make_token(card))


def token_for(office: Office, role: str, city: str = CITY) -> dict[str, str]:
    with office.database.writing() as session:
        token = issue_token(session, f"{role} of {city}", "service", [Scope(role, city)], NOW_MS)
    return {"authorization": f"Bearer {token}"}


def test_a_cardholder_pays_a_debt_on_a_page(bench: CardBench) -> None:
    client, headers = bench.office.client, token_for(bench.office, "acquirer")
    (debt,) = client.get(f"{BASE}/debts", params={"city": CITY}).json()["debts"]
    shown = client.get(f"{BASE}/debts/{debt['reference']}", headers=headers).json()
    assert (shown["owed_minor"], shown["rides"], shown["currency"]) == (FARE, 1, "KZT")
    payment = {"reference": "P-1", "charge": shown["charge"], "amount_minor": FARE, "currency": "KZT"}
    for _ in range(2):
        answer = client.post(f"{BASE}/payments", json=payment, headers=headers)
        assert (answer.status_code, answer.json()["state"]) == (200, "closed")
    assert client.post(f"{BASE}/payments", json=payment | {"amount_minor": 1}, headers=headers).status_code == 409
    assert client.get(f"{BASE}/debts", params={"city": CITY}).json()["debts"] == []
    assert bench.denied() == set()


NONSENSE: list[dict[str, Any]] = [
    {"amount_minor": -FARE},
    {"amount_minor": 0},
    {"amount_minor": 10**12},
    {"amount_minor": FARE + 1},
    {"amount_minor": str(FARE)},
    {"currency": "USD"},
    {"currency": "tenge"},
    {"reference": ""},
    {"reference": "with space"},
    {"extra": 1},
]


def test_a_payment_that_cannot_be_meant_so_is_refused_whole(bench: CardBench) -> None:
    payment = {"reference": "P-1", "charge": bench.charge(2).reference, "amount_minor": FARE, "currency": "KZT"}
    for change in NONSENSE:
        answer = bench.office.client.post(f"{BASE}/payments", json=payment | change)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid"), change
    assert bench.charge(2).state == "debt"


def test_all_faults_of_a_notification_are_named_and_nothing_is_taken_in(bench: CardBench) -> None:
    operation = bench.history(2).operations[0]
    notice = {
        "reference": "N-1",
        "operation": operation.reference,
        "status": "done",
        "amount_minor": FARE - 1,
        "currency": "RUB",
    }
    answer = bench.office.client.post(f"{BASE}/notifications", json=notice)
    assert answer.status_code == 422
    assert "99.99 is not what was asked; the currency is KZT" in answer.json()["error"]["message"]
    assert bench.charge(2).state == "debt"
    assert bench.office.count(AcquirerNotice) == 0


def test_a_notification_counts_once_in_whatever_order_it_comes(bench: CardBench) -> None:
    client, headers = bench.office.client, token_for(bench.office, "acquirer")
    declined = bench.history(2).operations[0].reference
    notice = {"operation": declined, "amount_minor": FARE, "currency": "KZT"}
    verdicts = []
    for reference, status in (("N-1", "refused"), ("N-2", "done"), ("N-2", "done"), ("N-3", "refused")):
        body = notice | {"reference": reference, "status": status}
        verdicts.append(client.post(f"{BASE}/notifications", json=body, headers=headers).json()["verdict"])
    assert verdicts == ["known", "taken", "taken", "known"]
    assert bench.charge(2).state == "authorised"
    other = notice | {"reference": "N-2", "status": "refused"}
    assert client.post(f"{BASE}/notifications", json=other, headers=headers).status_code == 409
    unheard = notice | {"reference": "N-4", "status": "done", "operation": "C-nobody"}
    assert client.post(f"{BASE}/notifications", json=unheard, headers=headers).json()["verdict"] == "unknown"


def test_who_may_tell_of_one_city_may_not_of_another(bench: CardBench) -> None:
    client, headers = bench.office.client, token_for(bench.office, "acquirer", "shymkent")
    payment = {"reference": "P-1", "charge": bench.charge(2).reference, "amount_minor": FARE, "currency": "KZT"}
    assert client.post(f"{BASE}/payments", json=payment, headers=headers).status_code == 403
    notice = {
        "reference": "N-1",
        "operation": bench.history(2).operations[0].reference,
        "status": "done",
        "amount_minor": FARE,
        "currency": "KZT",
    }
    assert client.post(f"{BASE}/notifications", json=notice, headers=headers).status_code == 403
    reader = token_for(bench.office, "auditor", "shymkent")
    assert client.get(f"{BASE}/charges/{bench.charge(1).reference}", headers=reader).status_code == 403


def test_a_charge_says_why_it_has_its_amount_and_what_became_of_it(bench: CardBench) -> None:
    client = bench.office.client
    page = client.get(f"{BASE}/charges", params={"city": CITY, "day": DAY}).json()
    assert {each["state"]: each["charges"] for each in page["totals"]} == {"closed": 1, "debt": 1}
    shown = client.get(f"{BASE}/charges/{bench.charge(1).reference}").json()
    assert shown["charge"]["due_minor"] == sum(line["amount_minor"] for line in shown["lines"]) == FARE
    assert (shown["lines"][0]["rule"], shown["lines"][0]["deny_list"]) == ("tariff", 41)
    assert [each["kind"] for each in shown["operations"]] == ["authorise", "capture"]
    assert make_token(1).hex() not in str(shown), "who looks sees rides, not riders"
    assert client.get(f"{BASE}/charges/T-none").status_code == 404


def test_charges_come_a_page_at_a_time(bench: CardBench) -> None:
    seen, after = [], ""
    while True:
        asked: dict[str, str | int] = {"city": CITY, "day": DAY, "limit": 1, "after": after}
        page = bench.office.client.get(f"{BASE}/charges", params=asked).json()
        seen += [each["reference"] for each in page["charges"]]
        if not page["next_after"]:
            break
        after = page["next_after"]
    assert seen == sorted({bench.charge(card).reference for card in (1, 2)})


def test_a_refund_waits_for_a_second_person(bench: CardBench) -> None:
    client = bench.office.client
    asked = {"charge": bench.charge(1).reference, "amount_minor": 2_500, "reason": "a broken heater"}
    first = client.post(f"{BASE}/refunds", json=asked)
    assert first.status_code == 202
    assert client.post(f"{BASE}/refunds", json=asked).json() == first.json(), "asking again asks nothing new"
    decision = f"/v1/approvals/{first.json()['approval']}/decision"
    assert client.post(decision, json={"approve": True}).status_code == 403, "not by who has asked"
    approver = token_for(bench.office, "approver")
    assert client.post(decision, json={"approve": True}, headers=approver).status_code == 200
    assert client.post(f"{BASE}/refunds", json=asked).json()["allowance_minor"] == 2_500
    assert client.post(f"{BASE}/refunds", json=asked).status_code == 202, "once more is another refund"


def test_chargebacks_and_settlements_are_told_over_http(bench: CardBench) -> None:
    client = bench.office.client
    capture = bench.history(1).operations[-1].reference
    dispute = {"reference": "D-1", "operation": capture, "amount_minor": FARE, "currency": "KZT", "status": "open"}
    assert client.post(f"{BASE}/chargebacks", json=dispute).json()["disputed_minor"] == FARE
    item = {
        "reference": capture,
        "kind": "capture",
        "amount_minor": FARE,
        "currency": "KZT",
        "settled_day": "2024-05-16",
    }
    back = item | {"reference": "D-1", "kind": "chargeback", "amount_minor": -FARE}
    answer = client.post(f"{BASE}/settlements", json={"city": CITY, "items": [item, back, item]}).json()
    assert [each["verdict"] for each in answer["items"]] == ["settled", "settled", "repeated"]
    won = client.post(f"{BASE}/chargebacks", json=dispute | {"status": "won"}).json()
    assert won["disputed_minor"] == 0
    returned = back | {"amount_minor": FARE}
    answer = client.post(f"{BASE}/settlements", json={"city": CITY, "items": [returned, returned, back]}).json()
    assert [each["verdict"] for each in answer["items"]] == ["settled", "repeated", "repeated"]
    assert bench.balances() == {"asset:bank": FARE, "asset:debt": FARE}
    shown = client.get(f"{BASE}/items", params={"city": CITY, "day_from": DAY, "day_to": DAY}).json()["items"]
    assert sorted((each["kind"], each["state"]) for each in shown) == [
        ("authorise", "refused"),
        ("capture", "done"),
        ("chargeback", "refused"),
    ]
    assert bench.faults() == []


def test_everything_that_changes_money_is_in_the_audit_log(bench: CardBench) -> None:
    payment = {"reference": "P-1", "charge": bench.charge(2).reference, "amount_minor": FARE, "currency": "KZT"}
    bench.office.client.post(f"{BASE}/payments", json=payment)
    actions = {each["action"] for each in bench.office.client.get("/v1/audit?limit=1000").json()["records"]}
    assert {"acquiring.run", "debt.pay", "deny.write"} <= actions
    with bench.office.database.reading() as session:
        assert audit_faults(session) == []


def test_no_number_and_no_token_is_in_what_was_asked(office: Office) -> None:
    """Of a card the tables of acquiring know its token alone; what was sealed stays in the taps."""
    with Acquirer(office.clock.now_ms, habits=Habits(decline=1.0)) as acquirer:
        bench = CardBench(office, acquirer)
        bench.tap(1)
        bench.price()
        bench.run()
        with office.database.reading() as session:
            stored = ""
            for row in session.scalars(select(AcquirerOperation)):
                stored += str(row.__dict__)
    assert "999999000000" not in stored
    assert make_token(1).hex() not in stored
