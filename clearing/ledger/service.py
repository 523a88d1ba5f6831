"""What can be done by the ledger: book an entry, once; read balances and entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from clearing.ledger.chart import kind_of
from clearing.ledger.entries import Entry, LedgerError, Posting
from clearing.ledger.models import Account, EntryRow, PostingRow


@dataclass(frozen=True)
class Balance:
    """What an account stands at, debit positive."""

    account: str
    kind: str
    amount_minor: int


def book(session: Session, entry: Entry, now_ms: int) -> bool:
    """Book an entry; false when it is booked already.

    Raises:
        LedgerError: its key was used for another entry.
    """
    digest = entry.body_sha256()
    booked = session.scalar(select(EntryRow.body_sha256).where(EntryRow.entry_key == entry.entry_key))
    if booked is not None:
        if booked != digest:
            raise LedgerError(f"{entry.entry_key} is booked with other postings: reverse it and book a new one")
        return False
    for account in sorted({posting.account for posting in entry.postings}):
        if session.get(Account, account) is None:
            session.add(Account(code=account, kind=kind_of(account)))
    session.flush()
    row = EntryRow(
        entry_key=entry.entry_key,
        booked_at_ms=now_ms,
        service_day=entry.service_day,
        city=entry.city,
        description=entry.description,
        body_sha256=digest,
    )
    session.add(row)
    session.flush()
    session.add_all(
        PostingRow(entry_id=row.id, number=number, account=posting.account, amount_minor=posting.amount_minor)
        for number, posting in enumerate(entry.postings, 1)
    )
    session.flush()
    return True


def book_all(session: Session, entries: Iterable[Entry], now_ms: int) -> int:
    """Book entries and return how many were new."""
    return sum(book(session, entry, now_ms) for entry in entries)


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


def entries_by_prefix(session: Session, prefix: str) -> list[Entry]:
    """Booked entries whose key begins so, in the order of their keys."""
    rows: Sequence[EntryRow] = session.scalars(
        select(EntryRow)
        .where(EntryRow.entry_key.startswith(prefix, autoescape=True))
        .order_by(EntryRow.entry_key)
        .options(selectinload(EntryRow.postings))
    ).all()
    return [_entry(row) for row in rows]


def _entry(row: EntryRow) -> Entry:
    postings = tuple(Posting(posting.account, posting.amount_minor) for posting in row.postings)
    return Entry(row.entry_key, row.city, row.service_day, row.description, postings)
