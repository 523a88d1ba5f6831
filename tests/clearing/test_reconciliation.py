"""Statements stored once, breaks worked off, the bank, cash, and lost taps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from clearing.access.service import ask_approval
from clearing.channels.models import Remittance
from clearing.ledger.entries import Entry, Posting
from clearing.ledger.service import book
from clearing.network.parties import CarrierAccount, CashRules, QrProvider
from clearing.reconciliation.models import Break, BreakEvent, StatementLine, StatementRow
from clearing.settlement.models import Payout
from protocol.decisions import DECISION_COMMITTED
from protocol.tap import KIND_LOST_RANGE, KIND_SINGLE, MEDIUM_CASH
from tests.builders import CITY, DAY, NOW_MS, NOW_S, Device, Office, make_token
from tests.clearing import small_day
from tests.clearing.senders import agree, local, make_sender, party
from tests.clearing.statement_files import CAMT, QR, camt, entry
from tests.clearing.test_counterparties import breaks, load, reconcile
from tests.clearing.test_qr_payments import notice

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clearing.command import Command

_WALLET = "KZ86125KZT5004100100"
_CARRIER = "KZ75125KZT1001300335"
_DAY_MS = 86_400_000
FILE = "".join(line for line in QR.splitlines(keepends=True) if "P-3" not in line).replace("TOTAL;4", "TOTAL;3")


@pytest.fixture
def wallet(office: Office) -> None:
    """A provider that has told of one payment, and a carrier."""
    agree(
        office,
        qr_provider=(party(QrProvider, "wallet", commission_bp=150, settlement_days=1, iban=_WALLET),),
        carrier=(CarrierAccount(code="alatau", bin="010140000143", iban=_CARRIER, bic="KCJBKZKX"),),
        cash=CashRules(count_days=1, bank_days=2, tolerance_minor=100),
    )
    sender = make_sender(office, "wallet", "provider")
    assert sender.post("/v1/qr-payments", notice(office, reference="P-1"))[1]["status"] == "paid"
    office.clock.at_ms = NOW_MS + 2 * _DAY_MS


@pytest.mark.usefixtures("wallet")
def test_a_file_is_stored_once_and_another_of_its_days_is_a_conflict(office: Office) -> None:
    first = load(office, QR.encode(), "qr-provider")
    assert (first.status_code, first.json()["party"], first.json()["lines"]) == (201, "wallet", 4)
    again = load(office, QR.encode(), "qr-provider").json()
    assert (again["is_repeated"], again["number"]) == (True, first.json()["number"])
    other = QR.replace("P-4", "P-5").encode()
    refused = load(office, other, "qr-provider")
    assert refused.status_code == 409
    assert "--replaces" in refused.json()["error"]["remedy"]
    assert load(office, other, "qr-provider", further="true").status_code == 201
    third = QR.replace("P-4", "P-6").encode()
    assert load(office, third, "qr-provider", replaces="99").status_code == 404
    assert load(office, third, "qr-provider", replaces=str(first.json()["number"])).status_code == 201
    stored = office.client.get("/v1/statements", params={"city": CITY}).json()["statements"]
    assert [each["replaced_by"] is None for each in stored] == [True, True, False]


@pytest.mark.usefixtures("wallet")
@pytest.mark.parametrize(
    ("body", "adapter", "parameters", "status"),
    [
        (QR[:-10].encode(), "qr-provider", {}, 422),
        (b"", "qr-provider", {}, 422),
        (QR.encode(), "none", {}, 422),
        (QR.encode(), "../x.toml", {}, 422),
        (QR.encode(), "qr-provider", {"party": "nobody"}, 422),
        (CAMT.replace("9", "8", 1).encode(), "bank-camt053", {}, 422),
        (QR.encode(), "qr-provider", {"city": "nowhere"}, 404),
    ],
)
def test_a_file_with_a_fault_leaves_nothing_behind(
    office: Office, body: bytes, adapter: str, parameters: dict[str, str], status: int
) -> None:
    assert load(office, body, adapter, **parameters).status_code == status
    assert (office.count(StatementRow), office.count(StatementLine), office.count(Remittance)) == (0, 0, 0)


@pytest.mark.usefixtures("wallet")
def test_a_break_is_worked_off_and_its_history_stays(office: Office) -> None:
    load(office, FILE.replace("P-1", "P-9").encode(), "qr-provider")
    result = reconcile(office, "2024-05-16")
    assert breaks(office) == [("left_out", "P-1"), ("reference_unknown", "P-9"), ("state_unknown", "P-4")]
    assert result["at_risk_minor"] == 30_000
    shown = office.client.get("/v1/breaks", params={"city": CITY}).json()["breaks"]
    left_out, unknown = shown[0], shown[1]
    assert (left_out["amount_minor"], unknown["amount_minor"]) == (-10_000, 10_000)
    make_sender(office, "aigul", "operator", signed=False)
    office.clock.at_ms += 3 * _DAY_MS
    number = left_out["number"]
    assert office.client.post(f"/v1/breaks/{number}/assign", json={"to": "nobody"}).status_code == 404
    assigned = office.client.post(f"/v1/breaks/{number}/assign", json={"to": "aigul"}).json()
    assert (assigned["state"], assigned["owner"], assigned["age_days"]) == ("assigned", "aigul", 3)
    explained = office.client.post(f"/v1/breaks/{number}/explain", json={"note": "it stands in the file of 17 May"})
    assert [each[1] for each in explained.json()["history"]] == ["opened", "assigned", "explained"]
    assert office.client.post(f"/v1/breaks/{number}/explain", json={"note": "again"}).status_code == 409
    assert reconcile(office, "2024-05-16")["opened"] == 0
    assert breaks(office, "explained") == [("left_out", "P-1")]


@pytest.mark.usefixtures("wallet")
def test_a_break_is_resolved_by_an_adjustment_that_is_in_the_books(office: Office) -> None:
    load(office, FILE.replace("P-1", "P-9").encode(), "qr-provider")
    reconcile(office, "2024-05-16")
    number = office.client.get("/v1/breaks", params={"city": CITY}).json()["breaks"][0]["number"]
    key = f"adjustment/{CITY}/{DAY}/A-1"
    body = {"entry_key": key, "note": "the provider pays it with the next file"}
    assert office.client.post(f"/v1/breaks/{number}/resolve", json=body).status_code == 422
    with office.database.writing() as session:
        postings = (Posting(f"asset:bank:{CITY}", 1), Posting(f"liability:suspense:{CITY}", -1))
        book(session, Entry(key, CITY, DAY, "adjusted", postings), NOW_MS)
        book(session, Entry("other/1", CITY, DAY, "other", postings), NOW_MS)
    other = body | {"entry_key": "other/1"}
    assert office.client.post(f"/v1/breaks/{number}/resolve", json=other).status_code == 422
    resolved = office.client.post(f"/v1/breaks/{number}/resolve", json=body).json()
    assert (resolved["state"], resolved["entry_key"]) == ("adjusted", key)
    assert reconcile(office, "2024-05-16")["at_risk_minor"] == 20_000


@pytest.mark.usefixtures("wallet")
def test_what_a_later_file_ends_vanishes_and_what_comes_back_is_opened_again(office: Office) -> None:
    number = load(office, FILE.replace("P-1", "P-9").encode(), "qr-provider").json()["number"]
    reconcile(office, "2024-05-16")
    assert load(office, FILE.encode(), "qr-provider", replaces=str(number)).status_code == 201
    assert reconcile(office, "2024-05-16")["vanished"] == 2
    assert breaks(office) == [("state_unknown", "P-4")]
    number = office.client.get("/v1/statements", params={"city": CITY}).json()["statements"][0]["number"]
    load(office, FILE.replace("P-1", "P-7").encode(), "qr-provider", replaces=str(number))
    assert reconcile(office, "2024-05-16")["opened"] == 2
    with office.database.reading() as session:
        events = session.scalars(
            select(BreakEvent.event).join(Break, Break.id == BreakEvent.break_id).where(Break.reference == "P-1")
        )
        assert list(events) == ["opened", "vanished", "reopened"]


@pytest.mark.usefixtures("wallet")
def test_money_at_the_bank_is_booked_to_its_party_or_put_before_a_person(office: Office) -> None:
    entries = [
        entry("B1", 98.50, _WALLET, "QR 2024-05-15"),
        entry("B2", 70, "KZ00STRANGER", "?"),
        entry("B3", -40, "KZ00STRANGER", "?", end_to_end="X-1"),
        entry("B4", 5, _WALLET, "2024-05-14 2024-05-15"),
    ]
    statement = (
        camt(0, entries, 0)
        .replace('Ccy="KZT">0.00', 'Ccy="KZT">133.50')
        .replace('CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="KZT">133.50', 'CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="KZT">267.00')
    )
    answer = load(office, statement.encode(), "bank-camt053")
    assert (answer.status_code, answer.json()["remittances"]) == (201, 2), answer.text
    reconcile(office, "2024-05-17")
    assert breaks(office) == [
        ("bank_debit_unknown", "X-1"),
        ("overpaid", "qr_provider 2024-05-17"),
        ("payer_unknown", "B2"),
    ]
    with office.database.reading() as session:
        paid = session.scalars(select(Remittance).order_by(Remittance.id)).all()
        assert [(each.reference, each.service_day, each.commission_minor) for each in paid] == [
            ("B1", DAY, 150),
            ("B4", None, 7),
        ]


@pytest.mark.usefixtures("wallet")
def test_what_was_to_be_paid_out_is_looked_for_at_the_bank(office: Office) -> None:
    with office.database.writing() as session:
        approval = ask_approval(session, local(session), NOW_MS, "payout.approve", "x", b"x")
        account = {
            "bin": "010140000143",
            "iban": _CARRIER,
            "bic": "KCJBKZKX",
            "beneficiary_code": "17",
            "purpose": "859",
        }
        days = {"first_day": DAY, "last_day": DAY, "pay_on": "2024-05-16"}
        for reference, state in (("PAY-1", "approved"), ("PAY-2", "approved"), ("PAY-3", "rejected")):
            fields = {"reference": reference, "state": state, "name": "Alatau", "netted_json": "{}", "party": "alatau"}
            amounts = {"due_minor": 4_000, "amount_minor": 4_000, "approval_id": approval.id}
            session.add(Payout(city=CITY, **account, **days, **fields, **amounts))
    statement = camt(40, [entry("B1", -40, _CARRIER, end_to_end="PAY-1")], 0)
    assert load(office, statement.encode(), "bank-camt053").status_code == 201
    reconcile(office, "2024-05-16")
    assert breaks(office) == []
    reconcile(office, "2024-05-17")
    assert ("left_out", "PAY-2") in breaks(office)
    assert not [reference for _, reference in breaks(office) if reference in {"PAY-1", "PAY-3"}]


@pytest.mark.usefixtures("wallet")
def test_a_party_that_does_not_pay_is_found(office: Office) -> None:
    reconcile(office, "2024-05-16")
    assert breaks(office) == []
    reconcile(office, "2024-05-17")
    assert breaks(office) == [("not_remitted", f"qr_provider {DAY}")]


@pytest.mark.usefixtures("wallet")
def test_who_may_only_read_changes_nothing_and_another_city_sees_nothing(office: Office) -> None:
    load(office, FILE.replace("P-1", "P-9").encode(), "qr-provider")
    reconcile(office, "2024-05-16")
    reader = make_sender(office, "auditor", "auditor", signed=False)
    assert reader.get("/v1/breaks", city=CITY)[0] == 200
    assert reader.post("/v1/breaks/1/explain", {"note": "x"})[0] == 403
    assert reader.post("/v1/reconciliations", {"city": CITY, "day": DAY})[0] == 403
    assert office.client.get("/v1/breaks/999").status_code == 404


@pytest.mark.usefixtures("wallet")
def test_the_commands_do_the_same(office: Office, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "qr.csv"
    path.write_text(FILE.replace("P-1", "P-9"), encoding="utf-8")
    later = ("--as-of", "2024-05-18T12:00")
    arguments = ("reconcile", "import", str(path), "--adapter", "qr-provider", *later)
    assert command.json(*arguments)["is_repeated"] is False
    assert command.json(*arguments)["is_repeated"] is True
    assert command.run("reconcile", "import", str(path), "--adapter", "none")[0] == 2
    path.write_text(FILE.replace("P-1", "P-8"), encoding="utf-8")
    assert command.run(*arguments)[0] == 5
    assert command.json("reconcile", "run", "2024-05-16", *later)["opened"] == 3
    assert command.run("reconcile", "run", "2024-05-16", *later)[0] == 0
    assert len(command.json("reconcile", "statements")["statements"]) == 1
    found = command.json("breaks", "list", "--state", "open", *later)
    number = str(found["breaks"][0]["number"])
    assert command.json("breaks", "assign", number, "--to", "local", *later)["state"] == "assigned"
    assert command.json("breaks", "explain", number, "--note", "so it is", *later)["state"] == "explained"
    code, output, _ = command.run("breaks", "show", number, *later)
    assert (code, "so it is" in output) == (0, True)
    assert command.run("breaks", "resolve", number, "--adjustment", "x", "--note", "y", *later)[0] == 5
    assert command.run("breaks", "list", "--state", "lost")[0] == 2
    assert command.run("breaks", "list", "--kind", "acquirer")[0] == 3
    assert command.run("breaks", "show", "999")[0] == 3
    assert office.count(Break) == 3


def cash(device: Device, fare_minor: int, shift: int | None) -> bytes:
    return device.record(kind=KIND_SINGLE, medium=MEDIUM_CASH, fare_minor=fare_minor, shift=shift)


def count(office: Office, reference: str, amount_minor: int, **more: Any) -> int:  # noqa: ANN401 - JSON
    body = {"reference": reference, "city": CITY, "carrier": "alatau", "day": DAY, "counted_minor": amount_minor}
    return office.client.post("/v1/till-counts", json=body | more).status_code


@pytest.mark.usefixtures("wallet")
def test_cash_is_expected_counted_and_banked(office: Office, command: Command) -> None:
    office.clock.at_ms = NOW_MS
    device = office.enrol(Device(seed=1), "A-101")
    small_day.send(office, device, [cash(device, 20_000, 7), cash(device, 20_000, 8), cash(device, 20_000, None)])
    small_day.close(office)
    office.clock.at_ms = NOW_MS + 5 * _DAY_MS
    reconcile(office, "2024-05-16")
    assert [each for each in breaks(office) if each[0].startswith(("till", "not_c", "not_b"))] == []
    reconcile(office, "2024-05-17")
    assert ("not_counted", DAY) in breaks(office)
    assert count(office, "C-1", 20_000, vehicle="A-101", shift=7) == 201
    assert count(office, "C-1", 20_000, vehicle="A-101", shift=7) == 201
    assert count(office, "C-1", 19_000, vehicle="A-101", shift=7) == 409
    assert count(office, "C-2", 18_500, vehicle="A-101", shift=8) == 201
    assert count(office, "C-3", 20_050, vehicle="A-101") == 201
    reconcile(office, "2024-05-17")
    assert [each for each in breaks(office) if each[0].startswith(("till", "not_c"))] == [("till_short", "A-101 8")]
    reconcile(office, "2024-05-18")
    assert ("not_banked", f"carrier {DAY}") in breaks(office)
    bank = camt(0, [entry("B9", 585.50, _CARRIER, f"cash {DAY}")], 0).replace(
        'CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="KZT">0.00', 'CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="KZT">585.50'
    )
    assert load(office, bank.encode(), "bank-camt053").json()["remittances"] == 1
    reconcile(office, "2024-05-18")
    assert not [each for each in breaks(office) if each[0] == "not_banked"]
    shown = command.json("reconcile", "cash", DAY)["carriers"][0]
    assert (shown["expected_minor"], shown["counted_minor"], shown["banked_minor"]) == (60_000, 58_550, 58_550)
    assert command.run("reconcile", "cash", DAY)[0] == 0
    with office.database.reading() as session:
        till = session.scalars(select(Break.amount_minor).where(Break.cause == "till_short")).one()
    assert till == -1_500


@pytest.mark.usefixtures("wallet")
@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"carrier": "nobody"}, 404),
        ({"vehicle": "A-107"}, 404),
        ({"day": "2024-06-01"}, 422),
        ({"counted_minor": -1}, 422),
    ],
)
def test_a_count_that_cannot_be_is_refused(office: Office, more: dict[str, Any], status: int) -> None:
    assert count(office, "C-1", 1, **more) == status


def test_lost_taps_are_counted_by_two_witnesses(office: Office, device: Device, command: Command) -> None:
    lost = {"medium": None, "fare_minor": None, "decision": None, "line": None}
    records = [device.record() for _ in range(6)]
    records += small_day.debit(device, 1, 5, ended=DECISION_COMMITTED)
    records.append(device.record(kind=KIND_LOST_RANGE, reference=[9, 11], **lost))
    device.next_sequence = 12
    records += small_day.debit(device, 1, 8, ended=DECISION_COMMITTED)
    records += small_day.debit(device, 2, 3, ended=DECISION_COMMITTED)
    batch = device.batch(records, 1, device.head)
    office.send(device, device.sign(batch))
    other = office.enrol(Device(seed=2), "A-107")
    small_day.send(office, other, small_day.debit(other, 2, 5, ended=DECISION_COMMITTED))
    small_day.close(office)
    report = office.client.get("/v1/lost-taps", params={"city": CITY, "first_day": DAY, "last_day": DAY}).json()
    assert (report["records"], report["lost"], report["ppm"]) == (14, 3, 176_471)
    assert (report["commits"], report["commits_missing"], report["commits_between"]) == (4, 3, 1)
    worst = report["validators"][0]
    assert (worst["vehicle"], worst["reported"], worst["holes"], worst["commits_missing"]) == ("A-101", 3, 0, 2)
    assert worst["at_risk_minor"] == 3 * 150_000 // 12
    assert report["commits_at_risk_minor"] == 30_000
    assert command.json("reconcile", "lost-taps", DAY) == report
    assert command.run("reconcile", "lost-taps", DAY, "2024-05-16")[0] == 0


def test_what_a_desk_loads_is_no_lost_tap(office: Office, device: Device) -> None:
    small_day.send(office, device, small_day.debit(device, 1, 5, at_s=NOW_S - 500, ended=DECISION_COMMITTED))
    order = {"reference": "T-1", "token": make_token(1).hex(), "amount_minor": 500_000, "at_s": NOW_S - 400}
    office.client.post("/v1/top-ups", json=order)
    small_day.send(office, device, small_day.debit(device, 1, 7, at_s=NOW_S - 300, ended=DECISION_COMMITTED))
    report = office.client.get("/v1/lost-taps", params={"city": CITY, "first_day": DAY, "last_day": DAY}).json()
    assert (report["commits"], report["commits_missing"]) == (2, 0)
