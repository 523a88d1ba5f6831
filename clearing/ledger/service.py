"""What can be done by the ledger: book entries, each once; read balances and entries.

Nothing here asks the database once for each entry: a close books hundreds at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, selectinload

from clearing.ledger.chart import city_of_account, is_known, kind_of
from clearing.ledger.entries import Entry, LedgerError, Posting
from clearing.ledger.models import Account, EntryRow, PostingRow

_AT_ONCE = 1000


@dataclass(frozen=True)
class Balance:
    """What an account stands at, debit positive."""

    account: str
    kind: str
    amount_minor: int


@dataclass(frozen=True)
class Turnover:
    """What happened on an account in some service days.

    Attributes:
        opening_minor, closing_minor: before the first day and after the last, debit positive.
        debit_minor, credit_minor: in between, neither of them negative.
    """

    account: str
    kind: str
    opening_minor: int
    debit_minor: int
    credit_minor: int

    @property
    def closing_minor(self) -> int:
        return self.opening_minor + self.debit_minor - self.credit_minor


def book(session: Session, entry: Entry, now_ms: int) -> bool:
    """Book an entry; false when it is booked already.

    Raises:
        LedgerError: its key was used for another entry, or the chart has no such account.
    """
    return book_all(session, [entry], now_ms) == 1


def book_all(session: Session, entries: Iterable[Entry], now_ms: int) -> int:
    """Book entries and return how many were new; all of them or none.

    Raises:
        LedgerError: a key was used for another entry, or the chart has no such account.
    """
    asked: dict[str, Entry] = {}
    for entry in entries:
        if asked.setdefault(entry.entry_key, entry).body_sha256() != entry.body_sha256():
            raise _used_otherwise(entry.entry_key)
        _refuse_strange_accounts(entry)
    booked = _booked_digests(session, list(asked))
    for key, digest in booked.items():
        if digest != asked[key].body_sha256():
            raise _used_otherwise(key)
    fresh = [entry for key, entry in asked.items() if key not in booked]
    if fresh:
        _open_accounts(session, {posting.account for entry in fresh for posting in entry.postings})
        _insert(session, fresh, now_ms)
    return len(fresh)


def _used_otherwise(key: str) -> LedgerError:
    return LedgerError(f"{key} is booked with other postings: reverse it and book a new one")


def _refuse_strange_accounts(entry: Entry) -> None:
    for posting in entry.postings:
        if not is_known(posting.account):
            raise LedgerError(f"{entry.entry_key}: the chart has no account {posting.account}")
        if city_of_account(posting.account) != entry.city:
            raise LedgerError(f"{entry.entry_key}: {posting.account} is an account of another city")


def _booked_digests(session: Session, keys: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        rows = session.execute(
            select(EntryRow.entry_key, EntryRow.body_sha256).where(EntryRow.entry_key.in_(some))
        ).all()
        found.update((key, digest) for key, digest in rows)
    return found


def _open_accounts(session: Session, codes: Iterable[str]) -> None:
    """Enter accounts that were never posted to; another writer may do the same at this moment."""
    dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
    rows = [{"code": code, "kind": kind_of(code)} for code in sorted(codes)]
    session.execute(dialect.insert(Account).on_conflict_do_nothing(), rows)


def _insert(session: Session, entries: Sequence[Entry], now_ms: int) -> None:
    rows = [
        {
            "entry_key": entry.entry_key,
            "booked_at_ms": now_ms,
            "service_day": entry.service_day,
            "city": entry.city,
            "description": entry.description,
            "body_sha256": entry.body_sha256(),
        }
        for entry in entries
    ]
    ids = session.scalars(insert(EntryRow).returning(EntryRow.id, sort_by_parameter_order=True), rows).all()
    session.execute(
        insert(PostingRow),
        [
            {"entry_id": entry_id, "number": number, "account": posting.account, "amount_minor": posting.amount_minor}
            for entry_id, entry in zip(ids, entries, strict=True)
            for number, posting in enumerate(entry.postings, 1)
        ],
    )


def trial_balance(session: Session, city: str) -> list[Balance]:
    """Balances of all accounts that a city's entries touch; they add up to 0."""
    rows = session.execute(
        select(PostingRow.account, func.sum(PostingRow.amount_minor))
        .join(EntryRow, EntryRow.id == PostingRow.entry_id)
        .where(EntryRow.city == city)
        .group_by(PostingRow.account)
        .order_by(PostingRow.account)
    )
    return [Balance(account, kind_of(account), int(amount)) for account, amount in rows]


def balance_of(session: Session, account: str) -> int:
    """What one account stands at."""
    return int(
        session.scalar(select(func.coalesce(func.sum(PostingRow.amount_minor), 0)).where(PostingRow.account == account))
        or 0
    )


def turnovers(
    session: Session, city: str, first_day: str, last_day: str, accounts: Sequence[str] | None = None
) -> list[Turnover]:
    """Opening, turnover and closing of a city's accounts over service days, both included; all accounts, or those named."""
    before = EntryRow.service_day < first_day
    amount = PostingRow.amount_minor
    query = (
        select(
            PostingRow.account,
            func.sum(case((before, amount), else_=0)),
            func.sum(case((~before & (amount > 0), amount), else_=0)),
            func.sum(case((~before & (amount < 0), -amount), else_=0)),
        )
        .join(EntryRow, EntryRow.id == PostingRow.entry_id)
        .where(EntryRow.city == city, EntryRow.service_day <= last_day)
        .group_by(PostingRow.account)
    )
    if accounts is not None:
        query = query.where(PostingRow.account.in_(accounts))
    found = [
        Turnover(account, kind_of(account), int(opening), int(debit), int(credit))
        for account, opening, debit, credit in session.execute(query)
    ]
    return sorted(found, key=lambda turnover: turnover.account)


def entries_by_prefix(session: Session, prefix: str) -> list[Entry]:
    """Booked entries whose key begins so, in the order of their keys."""
    rows: Sequence[EntryRow] = session.scalars(
        select(EntryRow)
        .where(EntryRow.entry_key.startswith(prefix, autoescape=True))
        .options(selectinload(EntryRow.postings))
    ).all()
    # Not the database's order: each has its own.
    return [_entry(row) for row in sorted(rows, key=lambda row: row.entry_key)]


def entries_of_accounts(session: Session, accounts: Sequence[str], first_day: str, last_day: str) -> list[Entry]:
    """Entries of some service days that touch any of these accounts, by day and key."""
    touching = select(PostingRow.entry_id).where(PostingRow.account.in_(accounts))
    rows = session.scalars(
        select(EntryRow)
        .where(EntryRow.id.in_(touching), EntryRow.service_day.between(first_day, last_day))
        .options(selectinload(EntryRow.postings))
    ).all()
    return [_entry(row) for row in sorted(rows, key=lambda row: (row.service_day, row.entry_key))]


def _entry(row: EntryRow) -> Entry:
    postings = tuple(Posting(posting.account, posting.amount_minor) for posting in row.postings)
    return Entry(row.entry_key, row.city, row.service_day, row.description, postings)
