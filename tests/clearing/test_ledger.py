from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from clearing.ledger.checks import (
    check_entries_are_unchanged,
    check_entries_balance,
    check_entries_have_postings,
    check_ledger,
)
from clearing.ledger.entries import Entry, LedgerError, Posting
from clearing.ledger.models import Account, EntryRow, PostingRow
from clearing.ledger.service import Balance, book, book_all, entries_by_prefix, trial_balance
from clearing.tables import APPEND_ONLY, all_tables
from tests.builders import CITY, DAY, NOW_MS, Office
from tests.clearing import small_day

if TYPE_CHECKING:
    from clearing.database import Database

_TILL, _PURSES, _PAYABLE = "asset:till:almaty:alatau", "liability:purses:almaty", "liability:payable:almaty:alatau"


def _entry(number: int, amount_minor: int = 100, funding: str = _TILL) -> Entry:
    postings = (Posting(funding, amount_minor), Posting(_PAYABLE, -amount_minor))
    return Entry(f"test/{number}", CITY, DAY, f"entry {number}", postings)


def _book(database: Database, *entries: Entry) -> int:
    with database.writing() as session:
        return book_all(session, entries, NOW_MS)


def _tamper(database: Database, table: str, statement: str) -> None:
    """Change what the database guards, as somebody could who owns it."""
    with database.writing() as session:
        if database.engine.dialect.name == "sqlite":
            session.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_update"))
            session.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_delete"))
        else:
            session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only"))
        session.execute(text(statement))


def test_an_entry_is_booked_once(database: Database) -> None:
    assert _book(database, _entry(1), _entry(2, 50, _PURSES)) == 2
    assert _book(database, _entry(2, 50, _PURSES), _entry(1)) == 0
    with database.writing() as session:
        assert not book(session, _entry(1), NOW_MS + 1)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(EntryRow)) == 2
        assert session.scalar(select(func.count()).select_from(PostingRow)) == 4
        assert session.scalars(select(EntryRow.booked_at_ms).distinct()).all() == [NOW_MS]
        assert {row.code: row.kind for row in session.scalars(select(Account))} == {
            _TILL: "asset",
            _PURSES: "liability",
            _PAYABLE: "liability",
        }


def test_a_key_used_for_another_entry_is_refused_and_nothing_is_booked(database: Database) -> None:
    _book(database, _entry(1))
    with pytest.raises(LedgerError, match="reverse it and book a new one"):
        _book(database, _entry(2), _entry(1, 99))
    with database.reading() as session:
        assert session.scalars(select(EntryRow.entry_key)).all() == ["test/1"]


def test_a_reversal_brings_the_books_back(database: Database) -> None:
    _book(database, _entry(1), _entry(1).reverse("test/1/reversed"))
    with database.reading() as session:
        assert trial_balance(session, CITY) == [Balance(_TILL, "asset", 0), Balance(_PAYABLE, "liability", 0)]
        assert check_ledger(session) == []


def test_the_trial_balance_adds_up_to_nothing(database: Database) -> None:
    _book(database, _entry(1, 10**15), _entry(2, 10**15), _entry(3, 5, _PURSES))
    with database.reading() as session:
        balances = trial_balance(session, CITY)
        assert trial_balance(session, "atlantis") == []
    assert {balance.account: balance.amount_minor for balance in balances} == {
        _TILL: 2 * 10**15,
        _PURSES: 5,
        _PAYABLE: -2 * 10**15 - 5,
    }
    assert all(type(balance.amount_minor) is int for balance in balances)
    assert [balance.account for balance in balances] == sorted(balance.account for balance in balances)


def test_entries_are_found_by_the_beginning_of_their_key(database: Database) -> None:
    entries = [_entry(1), _entry(10), _entry(2)]
    _book(database, *entries)
    with database.reading() as session:
        assert entries_by_prefix(session, "test/1") == entries[:2]
        assert entries_by_prefix(session, "t_st") == entries_by_prefix(session, "%") == []


def test_the_database_itself_refuses_to_change_or_delete_what_must_stay(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    with office.database.reading() as session:
        filled = [table for table in APPEND_ONLY if session.scalar(text(f'SELECT count(*) FROM "{table}"'))]  # noqa: S608 - our names
    assert {"audit_record", "raw_batch", "entry", "posting", "close"} <= set(filled)
    for table in filled:
        column = next(iter(all_tables().tables[table].columns)).name
        for change in (f'UPDATE "{table}" SET {column} = {column}', f'DELETE FROM "{table}"'):  # noqa: S608 - our names
            with pytest.raises(DBAPIError, match=f"{table} is append-only"), office.database.writing() as session:
                session.execute(text(change))


def test_books_that_are_whole_have_no_fault(office: Office) -> None:
    small_day.play(office)
    small_day.close(office)
    answer = office.client.get("/v1/ledger/trial-balance", params={"city": CITY}).json()
    assert (answer["imbalance_minor"], answer["faults"]) == (0, [])
    assert {balance["account"]: balance["amount_minor"] for balance in answer["balances"]} == {
        "asset:receivable:almaty:acquirer:acquirer": 10_000,
        "asset:receivable:almaty:agents:agents": 500_000,
        "asset:receivable:almaty:qr-provider:qr-provider": 10_000,
        "asset:receivable:almaty:sms-aggregator:sms-aggregator": 10_000,
        "asset:till:almaty:alatau": 40_000,
        "income:commission:almaty:oper": -9_000,
        "liability:payable:almaty:alatau": -63_000,
        "liability:payable:almaty:medeu": -18_000,
        "liability:purses:almaty": -500_000 + 10_000 + 12_000,
        "liability:refunds:almaty": -2_000,
    }
    assert office.client.get("/v1/ledger/trial-balance", params={"city": "atlantis"}).status_code == 404


def test_an_entry_that_was_put_out_of_balance_is_found(database: Database) -> None:
    _book(database, _entry(1), _entry(2))
    _tamper(database, "posting", "UPDATE posting SET amount_minor = 103 WHERE entry_id = 1 AND number = 1")
    with database.reading() as session:
        assert check_entries_balance(session) == ["test/1: off by 3 tiyn"]
        assert check_entries_have_postings(session) == []
        assert check_entries_are_unchanged(session) == ["test/1: its postings are not those that were booked"]


def test_an_entry_that_lost_its_postings_is_found(database: Database) -> None:
    _book(database, _entry(1), _entry(2))
    _tamper(database, "posting", "DELETE FROM posting WHERE entry_id = 2")
    with database.reading() as session:
        assert check_entries_balance(session) == []
        assert check_entries_have_postings(session) == ["test/2: 0 postings"]
        assert check_entries_are_unchanged(session) == ["test/2: its postings are not those that were booked"]


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("posting", "UPDATE posting SET amount_minor = 2 * amount_minor WHERE entry_id = 2"),
        ("posting", f"UPDATE posting SET account = '{_PURSES}' WHERE entry_id = 2 AND account = '{_TILL}'"),  # noqa: S608
        ("entry", "UPDATE entry SET service_day = '2024-05-16' WHERE id = 2"),
    ],
)
def test_an_entry_that_was_changed_in_balance_is_found(database: Database, table: str, change: str) -> None:
    _book(database, _entry(1, funding=_PURSES), _entry(2))
    _tamper(database, table, change)
    with database.reading() as session:
        assert check_entries_balance(session) == check_entries_have_postings(session) == []
        assert check_entries_are_unchanged(session) == ["test/2: its postings are not those that were booked"]


def test_every_fault_is_named_at_once(database: Database) -> None:
    _book(database, *(_entry(number) for number in range(1, 4)))
    _tamper(database, "posting", "DELETE FROM posting WHERE entry_id = 1 OR (entry_id = 2 AND number = 2)")
    _tamper(database, "entry", "UPDATE entry SET service_day = '2024-05-16' WHERE id = 3")
    with database.reading() as session:
        assert check_ledger(session) == [
            "test/2: off by 100 tiyn",
            "test/1: 0 postings",
            "test/2: 1 postings",
            "the books of almaty are off by 100 tiyn",
            *(f"test/{number}: its postings are not those that were booked" for number in (1, 2, 3)),
        ]
