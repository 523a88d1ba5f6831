from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import sepaxml
import xmlschema
from client_bank_1c import ClientBank1CLoader
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from clearing.endpoint import ConflictError, ForbiddenError, InvalidError
from clearing.ledger.chart import bank_account, payable_account, short_account, till_account
from clearing.ledger.entries import entry_of
from clearing.ledger.service import balance_of, book
from clearing.network.service import parties_of, store_parties
from clearing.settlement.models import PayoutItem
from clearing.settlement.one_c import one_c_file
from clearing.settlement.pain001 import NAMESPACE, pain001
from clearing.settlement.payment_order import Account, PaymentOrder
from clearing.settlement.payouts import PayoutView, decide_payout, list_payouts, propose_payouts
from clearing.settlement.service import check_books
from tests.builders import CITY, DAY, NOW_MS, Office
from tests.clearing import small_day
from tests.clearing.second_person import local, post_as, second_person, token_of
from tests.clearing.small_day import NEXT_MORNING_MS

if TYPE_CHECKING:
    from clearing.database import Database
    from tests.clearing.command import Command

_SCHEMA = xmlschema.XMLSchema(Path(sepaxml.__file__).parent / "schemas" / "pain.001.001.09.xsd")
_ALATAU, _MEDEU = payable_account(CITY, "alatau"), payable_account(CITY, "medeu")
_TILL = till_account(CITY, "alatau")
_BANK = bank_account(CITY)
_HOSTILE = '«Әлем» <b>&"Co"\';=1+1 Қ' + "ң" * 200
_PAYER = Account("Оператор", "990140010014", "KZ93999DEMO000100001", "DEMOKZA0", "17")
_PAYEE = Account("Алатау автобус паркі", "990140010202", "KZ65999DEMO000100020", "DEMOKZA0", "17")
_ORDER = PaymentOrder(
    7, "P20240515-alatau-1", _PAYER, _PAYEE, 2_300_050, "KZT", date(2024, 5, 16), "859", "Плата за проезд, ₸"
)


def _propose(database: Database, now_ms: int = NEXT_MORNING_MS, day: str = DAY) -> list[PayoutView]:
    caller = local(database)
    with database.writing() as session:
        return propose_payouts(session, caller, now_ms, CITY, day)[0]


def _decide(database: Database, number: int, *, approve: bool = True) -> PayoutView:
    caller = second_person(database)
    with database.writing() as session:
        return decide_payout(session, caller, NEXT_MORNING_MS, number, approve)


def _balances(database: Database) -> dict[str, int]:
    with database.reading() as session:
        assert check_books(session) == []
        return {account: balance_of(session, account) for account in (_ALATAU, _MEDEU, _TILL, _BANK)}


def test_carriers_are_paid_what_they_are_owed_less_the_cash_that_they_hold(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    alatau, medeu = _propose(office.database)
    assert (alatau.due_minor, dict(alatau.netted), alatau.amount_minor) == (63_000, {_TILL: 40_000}, 23_000)
    assert (medeu.due_minor, medeu.netted, medeu.amount_minor) == (18_000, (), 18_000)
    assert (alatau.name, alatau.iban, alatau.pay_on) == ("Автобусный парк «Алатау»", _PAYEE.iban, "2024-05-16")
    assert (alatau.reference, alatau.state) == ("P20240515-alatau-1", "proposed")
    assert _balances(office.database) == {_ALATAU: -63_000, _MEDEU: -18_000, _TILL: 40_000, _BANK: 0}
    assert _decide(office.database, alatau.number).state == "approved"
    assert _balances(office.database) == {_ALATAU: 0, _MEDEU: -18_000, _TILL: 0, _BANK: -23_000}


def test_nothing_is_paid_twice(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    first = _propose(office.database)
    assert _propose(office.database) == []
    for payout in first:
        _decide(office.database, payout.number)
    assert _propose(office.database) == []
    with office.database.reading() as session:
        item = session.scalars(select(PayoutItem).limit(1)).one()
    twice = {"entry_id": item.entry_id, "account": item.account, "amount_minor": 1, "payout_id": first[1].number}
    with pytest.raises(IntegrityError), office.database.writing() as session:
        session.execute(insert(PayoutItem), twice)


def test_what_a_later_version_changes_goes_into_the_next_payout(office: Office) -> None:
    alatau, _ = small_day.play(office)
    small_day.close(office)
    for payout in _propose(office.database):
        _decide(office.database, payout.number)
    small_day.send(office, alatau, [*small_day.debit(alatau, 9, 1), *small_day.debit(alatau, 9, 2)])
    small_day.close(office)
    (payout,) = _propose(office.database)
    assert (payout.party, payout.due_minor, payout.first_day, payout.reference) == (
        "alatau",
        9_000,
        DAY,
        "P20240515-alatau-2",
    )


def test_cash_is_set_off_once(office: Office) -> None:
    alatau, _ = small_day.play(office)
    small_day.close(office)
    assert dict(_propose(office.database)[0].netted) == {_TILL: 40_000}
    small_day.send(office, alatau, [*small_day.debit(alatau, 9, 1), *small_day.debit(alatau, 9, 2)])
    small_day.close(office)
    (payout,) = _propose(office.database)
    assert (payout.netted, payout.amount_minor) == ((), 9_000)


def test_cash_that_was_banked_meanwhile_is_not_set_off(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    payout = _propose(office.database)[0]
    entry = entry_of("till/almaty/2024-05-15/banked", CITY, DAY, "banked", {_BANK: 40_000, _TILL: -40_000})
    assert entry is not None
    with office.database.writing() as session:
        book(session, entry, NOW_MS)
    with pytest.raises(ConflictError, match="has been counted or banked"):
        _decide(office.database, payout.number)
    _decide(office.database, payout.number, approve=False)
    again = _propose(office.database)[0]
    assert (again.netted, again.amount_minor) == ((), 63_000)


def test_who_holds_more_cash_than_is_owed_is_paid_nothing_and_owes_the_rest(office: Office) -> None:
    alatau, _ = small_day.play(office)
    small_day.send(office, alatau, [alatau.record() for _ in range(10)])
    small_day.close(office)
    missing = {short_account(CITY, "alatau"): 50_000, "asset:bank:almaty": -50_000}
    entry = entry_of("till/almaty/2024-05-15/short", CITY, DAY, "short", missing)
    assert entry is not None
    with office.database.writing() as session:
        book(session, entry, NOW_MS)
    payout = _propose(office.database)[0]
    assert (payout.due_minor, payout.amount_minor) == (243_000, 0)
    assert dict(payout.netted) == {_TILL: 240_000, short_account(CITY, "alatau"): 3_000}
    _decide(office.database, payout.number)
    assert _balances(office.database)[_ALATAU] == 0


def test_what_is_rejected_is_owed_as_before(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    first = _propose(office.database)[0]
    assert _decide(office.database, first.number, approve=False).state == "rejected"
    again = _propose(office.database)[0]
    assert (again.due_minor, again.reference) == (first.due_minor, "P20240515-alatau-2")
    with pytest.raises(ConflictError, match="rejected already"):
        _decide(office.database, first.number)


def test_whoever_proposed_cannot_approve(office: Office, command: Command) -> None:
    small_day.play(office)
    small_day.close(office)
    number = _propose(office.database)[0].number
    caller = local(office.database)
    with pytest.raises(ForbiddenError, match="whoever asked"), office.database.writing() as session:
        decide_payout(session, caller, NEXT_MORNING_MS, number, True)
    code, _, errors = command.run("payout", "approve", str(number))
    assert code == 1
    assert "a second person" in errors
    assert office.client.post(f"/v1/payouts/{number}/decision", json={"approve": True}).status_code == 403
    token = token_of(office.database, "third", "operator")
    assert post_as(office, token, f"/v1/payouts/{number}/decision", {"approve": True}).status_code == 403


def test_an_open_day_is_not_paid_for(database: Database) -> None:
    with pytest.raises(InvalidError, match="is not over"):
        _propose(database, NOW_MS)


def test_who_has_no_account_or_is_owed_too_little_waits(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    with office.database.writing() as session:
        parties = parties_of(session, CITY)
        operators = (parties.operators[0].model_copy(update={"payout_minimum_minor": 20_000}),)
        carriers = tuple(each for each in parties.carriers if each.code == "medeu")
        store_parties(session, CITY, parties.model_copy(update={"operators": operators, "carriers": carriers}))
    answer = office.client.post("/v1/payouts", json={"city": CITY, "last_day": DAY}).json()
    assert answer["payouts"] == []
    assert {each["party"]: (each["due_minor"], each["reason"].partition(":")[0]) for each in answer["left_out"]} == {
        "alatau": (63_000, "the city package names no account"),
        "medeu": (18_000, "less than 20000 tiyn"),
    }


def test_a_payout_is_proposed_approved_and_exported_by_command(
    office: Office, command: Command, tmp_path: Path
) -> None:
    small_day.play(office)
    small_day.close(office)
    token = token_of(office.database, "cashier-in-chief", "operator")
    asked = post_as(office, token, "/v1/payouts", {"city": CITY, "last_day": DAY})
    numbers = [str(payout["number"]) for payout in asked.json()["payouts"]]
    code, _, errors = command.run("payout", "export", *numbers)
    assert code == 1
    assert "is proposed, not approved" in errors
    code, output, _ = command.run("payout", "approve", *numbers)
    assert code == 0
    assert "approved" in output
    path = tmp_path / "pay.xml"
    assert command.run("payout", "export", *numbers, "--output", str(path))[0] == 0
    _SCHEMA.validate(path)
    same = office.client.get(f"/v1/payouts/{CITY}/file", params={"number": numbers})
    assert ET.fromstring(same.content).tag == f"{{{NAMESPACE}}}Document"  # noqa: S314 - our own
    code, _, errors = command.run(
        "payout", "export", *numbers, "--format", "1c-windows-1251", "--output", str(tmp_path / "pay.txt")
    )
    assert code == 0
    assert (tmp_path / "pay.txt").read_bytes().decode("windows-1251").startswith("1CClientBankExchange\r\n")
    assert command.run("payout", "export", "99")[0] == 3
    assert command.run("payout", "propose", "--to", DAY, "--as-of", "2024-05-16T03:00")[0] == 3
    with office.database.reading() as session:
        assert [payout.state for payout in list_payouts(session, CITY)] == ["approved", "approved"]


def _find(root: ET.Element, path: str) -> list[str]:
    return [each.text or "" for each in root.iterfind(path, {"": NAMESPACE})]


@pytest.mark.parametrize("name", [_PAYEE.name, _HOSTILE, "A\x00\x0bB\u2028C", "]]> &amp; <!--"])
def test_pain001_is_valid_and_carries_any_name(name: str) -> None:
    other = replace(_ORDER, number=8, reference="P20240515-medeu-1", amount_minor=5, payee=replace(_PAYEE, name=name))
    later = replace(_ORDER, number=9, reference="P20240516-medeu-1", pay_on=date(2024, 5, 17))
    content = pain001([_ORDER, other, later], NOW_MS)
    _SCHEMA.validate(content.decode())
    root = ET.fromstring(content)  # noqa: S314 - our own
    assert _find(root, ".//CdtTrfTxInf/Amt/InstdAmt") == ["23000.50", "0.05", "23000.50"]
    assert _find(root, ".//GrpHdr/CtrlSum") == ["46001.05"]
    assert _find(root, ".//PmtInf/NbOfTxs") == ["2", "1"]
    assert _find(root, ".//EndToEndId") == [_ORDER.reference, other.reference, later.reference]
    assert _find(root, ".//CdtTrfTxInf/Cdtr/Nm")[1][:8] == " ".join(name.replace("\x00", " ").split())[:8]
    assert _find(root, ".//CdtrAcct/Id/IBAN") == [_PAYEE.iban] * 3


def test_the_same_orders_are_the_same_message() -> None:
    other = replace(_ORDER, number=8, reference="P20240515-medeu-1")
    first, second = (ET.fromstring(pain001(each, NOW_MS)) for each in ([_ORDER, other], [other, _ORDER]))  # noqa: S314
    assert _find(first, ".//MsgId") == _find(second, ".//MsgId")
    assert _find(first, ".//MsgId") != _find(ET.fromstring(pain001([_ORDER], NOW_MS)), ".//MsgId")  # noqa: S314


def _read_one_c(content: bytes, encoding: str) -> Any:  # noqa: ANN401 - of a library without types
    return ClientBank1CLoader()(content.decode(encoding).replace("\r\n", "\n"))


def test_another_reader_understands_the_file_for_1c() -> None:
    content, changed = one_c_file([_ORDER, replace(_ORDER, number=8, amount_minor=5)], NOW_MS)
    said = _read_one_c(content, "utf-8")
    assert changed == []
    assert [str(document["Сумма"]) for document in said.documents] == ["23000.50", "0.05"]
    first = said.documents[0]
    assert (first["ПолучательНаименование"], first["ПолучательИИК"], first["ПолучательБИН_ИИН"]) == (
        _PAYEE.name,
        _PAYEE.iban,
        _PAYEE.bin,
    )
    assert (first["КодНазначенияПлатежа"], first["ПолучательКБЕ"], first["НомерДокумента"]) == ("859", "17", "7")
    assert said.info["ВерсияФормата"] == "2.00"


def test_windows_1251_changes_kazakh_letters_and_says_which() -> None:
    order = replace(_ORDER, payee=replace(_PAYEE, name="Әлем Қала Ғұн Өң Үй Һ"))
    content, changed = one_c_file([order], NOW_MS, "windows-1251")
    assert "Кодировка=Windows".encode("windows-1251") in content
    assert [(each.field, each.before, each.after) for each in changed] == [
        ("ПолучательНаименование", "Әлем Қала Ғұн Өң Үй Һ", "Алем Кала Гун Он Уй Х"),
        ("НазначениеПлатежа", "Плата за проезд, ₸", "Плата за проезд, тенге"),
    ]
    assert _read_one_c(content, "windows-1251").documents[0]["ПолучательНаименование"] == "Алем Кала Гун Он Уй Х"
    assert one_c_file([order], NOW_MS)[1] == []
    strange = replace(_ORDER, payee=replace(_PAYEE, name="北 автобус"))
    assert one_c_file([strange], NOW_MS, "windows-1251")[1][0].after == "? автобус"


def test_a_name_cannot_begin_a_line_of_its_own_in_the_file_for_1c() -> None:
    name = "Парк\r\nКонецДокумента\nСумма=999999.00"
    content, _ = one_c_file([replace(_ORDER, payee=replace(_PAYEE, name=name))], NOW_MS)
    (document,) = _read_one_c(content, "utf-8").documents
    assert str(document["Сумма"]) == "23000.50"
    assert document["ПолучательНаименование"] == "Парк КонецДокумента Сумма=999999.00"
