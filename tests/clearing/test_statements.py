from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from clearing.endpoint import InvalidError, NotFoundError
from clearing.settlement.statement_files import statement_file
from clearing.settlement.statement_texts import LANGUAGES, TEXTS, entry_in_words
from clearing.settlement.statements import Statement, statement_of
from tests.builders import CITY, DAY, NOW_MS, Office
from tests.clearing import small_day

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clearing.command import Command

_FORMULA = '=HYPERLINK("http://x";"Әлем")'


def _statement(office: Office, party: str, last_day: str = DAY) -> Statement:
    with office.database.reading() as session:
        return statement_of(session, CITY, party, DAY, last_day)


@pytest.fixture
def closed(office: Office) -> Office:
    """A small day, closed."""
    small_day.play(office)
    small_day.close(office)
    return office


def test_a_carrier_is_told_of_its_accounts_and_of_every_entry_on_them(closed: Office) -> None:
    said = _statement(closed, "alatau")
    assert {row.account: row.closing_minor for row in said.accounts} == {
        "asset:till:almaty:alatau": 40_000,
        "liability:payable:almaty:alatau": -63_000,
    }
    for row in said.accounts:
        moved = sum(each.amount_minor for each in said.movements if each.account == row.account)
        assert moved == row.debit_minor - row.credit_minor == row.closing_minor - row.opening_minor
    assert [(row.medium, row.count, row.amount_minor) for row in said.details] == [
        ("bank_card", 1, 10_000),
        ("cash", 2, 40_000),
        ("sms", 1, 10_000),
        ("transport_card", 1, 10_000),
    ]
    assert (said.versions, said.bin) == (((DAY, 1),), "990140010202")


def test_every_party_has_a_statement(closed: Office) -> None:
    for party, account, closing_minor in (
        ("acquirer", "asset:receivable:almaty:acquirer:acquirer", 10_000),
        ("sms-aggregator", "asset:receivable:almaty:sms-aggregator:sms-aggregator", 10_000),
        ("qr-provider", "asset:receivable:almaty:qr-provider:qr-provider", 10_000),
        ("agents", "asset:receivable:almaty:agents:agents", 500_000),
        ("oper", "income:commission:almaty:oper", -9_000),
    ):
        said = _statement(closed, party)
        assert [(row.account, row.closing_minor) for row in said.accounts] == [(account, closing_minor)]
        assert said.details
    assert _statement(closed, "akimat").accounts == ()


def test_what_was_before_is_the_opening(closed: Office) -> None:
    with closed.database.reading() as session:
        said = statement_of(session, CITY, "medeu", "2024-05-16", "2024-05-31")
    assert [(row.opening_minor, row.debit_minor, row.closing_minor) for row in said.accounts] == [(-18_000, 0, -18_000)]
    assert (said.movements, said.details) == ((), ())


def test_wrong_questions_are_refused_with_what_there_is(office: Office) -> None:
    with pytest.raises(NotFoundError) as refused:
        _statement(office, "nobody")
    assert "alatau, " in refused.value.remedy
    with pytest.raises(InvalidError, match="is no period"):
        _statement(office, "alatau", "2024-05-14")
    with pytest.raises(InvalidError, match="is no period"):
        _statement(office, "alatau", "2025-05-16")
    for change in ({"last_day": "x"}, {"format": "doc"}, {"language": "de"}):
        params = {"first_day": DAY, "last_day": DAY} | change
        assert office.client.get(f"/v1/statements/{CITY}/alatau", params=params).status_code == 422


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_statement_is_a_pdf_in_three_languages(closed: Office, language: str) -> None:
    said = _statement(closed, "alatau")
    content = statement_file(said, "pdf", language, NOW_MS)
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    for words in (
        TEXTS["title"][language],
        said.names[language],
        TEXTS["commissions"][language],
        "630.00",
        "990140010202",
    ):
        assert words in text.replace("\xa0", " ").replace("\n", " ")
    assert content == statement_file(said, "pdf", language, NOW_MS)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_statement_is_a_workbook_whose_amounts_are_numbers(closed: Office) -> None:
    said = _statement(closed, "alatau")
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(statement_file(said, "xlsx", "ru", NOW_MS)))
    assert workbook.sheet_names == ["Счета", "Движения", "Из чего складывается"]
    rows = workbook.get_sheet_by_index(0).to_python()
    assert rows[-1] == ["liability:payable:almaty:alatau", 0.0, 70.0, 700.0, -630.0]
    words = [row[1] for row in workbook.get_sheet_by_index(1).to_python()[-2:]]
    assert words == ["Автобусный парк «Алатау»: транспортная карта", "Комиссия оператора"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_statement_is_csv(closed: Office) -> None:
    said = _statement(closed, "alatau")
    content = statement_file(said, "csv", "kk", NOW_MS)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows[0] == ["Есеп айырысу үзіндісі"]
    assert ["liability:payable:almaty:alatau", "0.00", "70.00", "700.00", "-630.00"] in rows
    assert [DAY, "Оператор комиссиясы", "liability:payable:almaty:alatau", "70.00", "0.00"] in rows


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_hostile_name_stays_a_text(closed: Office) -> None:
    said = replace(
        _statement(closed, "alatau"),
        names=dict.fromkeys(LANGUAGES, _FORMULA),
        carrier_names={"alatau": dict.fromkeys(LANGUAGES, "+1<b>**x**")},
    )
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(statement_file(said, "xlsx", "en", NOW_MS)))
    assert workbook.get_sheet_by_index(0).to_python()[1][0] == _FORMULA
    rows = list(csv.reader(io.StringIO(statement_file(said, "csv", "en", NOW_MS).decode("utf-8-sig"))))
    assert rows[1] == ["'" + _FORMULA]
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    text = PdfReader(io.BytesIO(statement_file(said, "pdf", "en", NOW_MS))).pages[0].extract_text()
    assert "+1<b>**x**" in text.replace("\n", " ")


def test_entries_are_called_by_what_they_are() -> None:
    names = {"alatau": {"en": "Alatau"}}
    for key, words in (
        ("close/almaty/2024-05-15/1/alatau/qr_screen", "Alatau: QR on the validator"),
        ("close/almaty/2024-05-15/3/medeu/cash", "medeu: cash, version 3"),
        ("close/almaty/2024-05-15/1/top-ups", "Card top-ups"),
        ("close/almaty/2024-05-15/2/pools", "Shared fares, version 2"),
        ("payout/almaty/2024-05-15/P20240515-alatau-1", "Payout P20240515-alatau-1"),
        ("acquiring/almaty/2024-05-15/settled/1", "acquiring/almaty/2024-05-15/settled/1"),
    ):
        assert entry_in_words(key, names, "en") == words


def test_every_text_is_there_in_every_language() -> None:
    assert all(set(texts) == set(LANGUAGES) and all(texts.values()) for texts in TEXTS.values())


def test_a_statement_by_command_and_over_http(closed: Office, command: Command, tmp_path: Path) -> None:
    days = ("--from", DAY, "--to", DAY)
    code, output, _ = command.run("statement", "alatau", *days, "--language", "en")
    assert code == 0
    assert "Alatau Bus Depot: bank" in output
    said = command.json("statement", "alatau", *days)
    period = {"first_day": DAY, "last_day": DAY}
    assert said == closed.client.get(f"/v1/statements/{CITY}/alatau", params=period).json()
    path = tmp_path / "alatau.pdf"
    assert command.run("statement", "alatau", *days, "--format", "pdf", "--output", str(path))[0] == 0
    assert path.read_bytes().startswith(b"%PDF")
    answer = closed.client.get(f"/v1/statements/{CITY}/alatau", params=period | {"format": "csv", "language": "en"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.decode("utf-8-sig").startswith("Statement of account")
    assert command.run("statement", "nobody", *days)[0] == 3
    assert command.run("statement", "alatau", "--from", "x", "--to", DAY)[0] == 2
