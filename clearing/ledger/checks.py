"""What must hold of the books, one function for each; each returns all faults it finds."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from clearing.ledger.entries import Posting, body_sha256
from clearing.ledger.models import EntryRow, PostingRow

_ENTRIES_AT_ONCE = 1000


def check_entries_balance(session: Session) -> list[str]:
    """Debits and credits of every entry are equal."""
    rows = session.execute(
        select(EntryRow.entry_key, func.sum(PostingRow.amount_minor))
        .join(PostingRow, PostingRow.entry_id == EntryRow.id)
        .group_by(EntryRow.entry_key)
        .having(func.sum(PostingRow.amount_minor) != 0)
        .order_by(EntryRow.entry_key)
    )
    return [f"{key}: off by {amount} tiyn" for key, amount in rows]


def check_entries_have_postings(session: Session) -> list[str]:
    """Every entry has two postings at least."""
    rows = session.execute(
        select(EntryRow.entry_key, func.count(PostingRow.number))
        .outerjoin(PostingRow, PostingRow.entry_id == EntryRow.id)
        .group_by(EntryRow.entry_key)
        .having(func.count(PostingRow.number) < 2)
        .order_by(EntryRow.entry_key)
    )
    return [f"{key}: {count} postings" for key, count in rows]


def check_entries_are_unchanged(session: Session) -> list[str]:
    """The stored digest of every entry is that of its postings."""
    rows = session.scalars(
        select(EntryRow)
        .order_by(EntryRow.entry_key)
        .options(selectinload(EntryRow.postings))
        .execution_options(yield_per=_ENTRIES_AT_ONCE)
    )
    return [
        f"{row.entry_key}: its postings are not those that were booked"
        for row in rows
        if _digest(row) != row.body_sha256
    ]


def _digest(row: EntryRow) -> bytes:
    postings = (Posting(posting.account, posting.amount_minor) for posting in row.postings)
    return body_sha256(row.city, row.service_day, postings)


CHECKS = (check_entries_balance, check_entries_have_postings, check_entries_are_unchanged)


def check_ledger(session: Session) -> list[str]:
    """Run every check and return every fault."""
    return [fault for check in CHECKS for fault in check(session)]
