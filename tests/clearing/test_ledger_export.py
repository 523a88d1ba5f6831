"""The exported books, before a program that is not ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from clearing.ledger.chart import CHART, is_known
from clearing.ledger.entries import Entry, LedgerError, Posting
from clearing.ledger.plain_text import account_name, beancount_lines
from clearing.ledger.service import Turnover, book_all, turnovers
from tests.builders import CITY, DAY, NOW_MS, Office
from tests.clearing import small_day

if TYPE_CHECKING:
    from clearing.database import Database
    from tests.clearing.command import Command

_BEAN_CHECK = Path(sys.executable).with_name("bean-check")
_TILL, _PAYABLE = "asset:till:almaty:alatau", "liability:payable:almaty:alatau"


def _bean_check(path: Path) -> tuple[int, str]:
    done = subprocess.run([_BEAN_CHECK, "--no-cache", path], capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


def _entry(number: int, day: str, amount_minor: int, description: str = "rides") -> Entry:
    postings = (Posting(_TILL, amount_minor), Posting(_PAYABLE, -amount_minor))
    return Entry(f"test/{number}", CITY, day, description, postings)


def test_another_program_finds_that_the_books_balance(office: Office, command: Command, tmp_path: Path) -> None:
    alatau, _ = small_day.play(office)
    small_day.close(office)
    small_day.send(office, alatau, [alatau.record()])
    small_day.close(office)
    path = tmp_path / "almaty.beancount"
    assert command.run("ledger", "export", "--format", "beancount", "--output", str(path))[0] == 0
    assert _bean_check(path) == (0, "")
    written = path.read_text(encoding="utf-8")
    assert written == command.run("ledger", "export")[1]
    assert "2024-05-15 open Liabilities:Payable:Almaty:Alatau KZT" in written
    assert "2024-05-16 balance Liabilities:Payable:Almaty:Alatau -810.00 KZT" in written
    assert '  key: "close/almaty/2024-05-15/2/alatau/cash"' in written


def test_one_altered_posting_is_found_by_another_program_and_by_ours(
    office: Office, command: Command, tmp_path: Path
) -> None:
    small_day.play(office)
    small_day.close(office)
    with office.database.writing() as session:
        if office.database.engine.dialect.name == "sqlite":
            session.execute(text("DROP TRIGGER posting_no_update"))
        else:
            session.execute(text("ALTER TABLE posting DISABLE TRIGGER posting_append_only"))
        session.execute(text("UPDATE posting SET amount_minor = amount_minor - 1 WHERE entry_id = 2 AND number = 2"))
    path = tmp_path / "almaty.beancount"
    assert command.run("ledger", "export", "--output", str(path))[0] == 0
    code, said = _bean_check(path)
    assert code == 1
    assert "does not balance" in said
    assert command.run("ledger", "check")[0] == 4


def test_a_file_altered_after_it_was_exported_is_found(office: Office, command: Command, tmp_path: Path) -> None:
    small_day.play(office)
    small_day.close(office)
    path = tmp_path / "almaty.beancount"
    command.run("ledger", "export", "--output", str(path))
    whole = path.read_text(encoding="utf-8")
    # Both legs of one entry, so that it balances: the balances at the end tell.
    altered = whole.replace("  100.00 KZT", "  90.00 KZT", 1).replace("  -100.00 KZT", "  -90.00 KZT", 1)
    path.write_text(altered, encoding="utf-8")
    assert altered != whole
    code, said = _bean_check(path)
    assert code == 1
    assert "Balance failed" in said


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_hostile_descriptions_and_empty_books_are_legal(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "books.beancount"

    def export() -> tuple[int, str]:
        with database.reading() as session:
            path.write_text("\n".join(beancount_lines(session, CITY, "KZT")) + "\n", encoding="utf-8")
        return _bean_check(path)

    assert export() == (0, "")
    hostile = 'quote " backslash \\ \n2024-05-15 * "x"\n  Assets:X  1 KZT\n ₸ «Әлем»'
    with database.writing() as session:
        book_all(session, [_entry(1, "2024-01-31", 10**15, hostile), _entry(2, "2023-12-31", -5)], NOW_MS)
    assert export() == (0, "")


def test_every_account_of_the_chart_has_a_legal_name_and_no_two_the_same() -> None:
    legal = re.compile(r"(Assets|Liabilities|Income|Expenses)(:[A-Z0-9][A-Za-z0-9-]*)+")
    codes = [row.code("almaty", "bus-park-1") for row in CHART]
    names = [account_name(code) for code in [*codes, "asset:till:almaty:bus_park", "asset:till:almaty:Әлем"]]
    assert all(legal.fullmatch(name) for name in names)
    assert len(set(names)) == len(names)
    assert all(is_known(code) for code in codes)


def test_accounts_that_would_be_spelt_alike_are_refused(database: Database) -> None:
    legs = (Posting("asset:till:almaty:a_b", 5), Posting("asset:till:almaty:a-x5f-b", -5))
    with database.writing() as session:
        book_all(session, [Entry("test/1", CITY, DAY, "alike", legs)], NOW_MS)
    with database.reading() as session, pytest.raises(LedgerError, match="both be spelt"):
        list(beancount_lines(session, CITY, "KZT"))


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ("asset:gold:almaty", "no account"),
        ("asset:till:almaty", "no account"),
        ("asset:bank:almaty:extra", "no account"),
        ("asset:till:astana:alatau", "another city"),
        ("liability:till:almaty:alatau", "no account"),
    ],
)
def test_nothing_is_posted_to_an_account_that_is_not_in_the_chart(database: Database, account: str, words: str) -> None:
    entry = Entry("test/1", CITY, DAY, "strange", (Posting(account, 5), Posting(_PAYABLE, -5)))
    with pytest.raises(LedgerError, match=words), database.writing() as session:
        book_all(session, [_entry(2, DAY, 5), entry], NOW_MS)
    with database.reading() as session:
        assert turnovers(session, CITY, DAY, DAY) == []


def test_a_balance_has_an_opening_a_turnover_and_a_closing(office: Office, command: Command) -> None:
    database = office.database
    with database.writing() as session:
        book_all(session, [_entry(1, "2024-05-14", 100), _entry(2, DAY, 30), _entry(3, DAY, -10)], NOW_MS)
        book_all(session, [_entry(4, "2024-05-16", 7)], NOW_MS)
    with database.reading() as session:
        till, payable = turnovers(session, CITY, DAY, DAY)
        assert turnovers(session, CITY, DAY, DAY, [_TILL]) == [till]
    assert till == Turnover(_TILL, "asset", 100, 30, 10)
    assert (payable.opening_minor, payable.closing_minor) == (-100, -120)
    said = command.json("ledger", "balance", "--from", DAY, "--to", DAY)["accounts"]
    assert [row["closing_minor"] for row in said] == [120, -120]
    period = {"city": CITY, "first_day": DAY, "last_day": DAY}
    assert office.client.get("/v1/ledger/turnovers", params=period).json()["accounts"] == said
    assert office.client.get("/v1/ledger/turnovers", params=period | {"first_day": "2024-05-16"}).status_code == 422
    code, output, _ = command.run("ledger", "balance")
    assert code == 0
    assert "1.27" in output
    assert command.run("ledger", "balance", "--from", "2024-05-16", "--to", DAY)[0] == 2
    assert command.run("ledger", "balance", "--city", "atlantis")[0] == 3
    assert command.run("ledger", "export", "--city", "atlantis")[0] == 3
