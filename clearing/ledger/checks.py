"""What must hold of the books, one function for each; each returns all faults it finds."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.ledger.entries import LedgerError
from clearing.ledger.models import EntryRow, PostingRow
from clearing.ledger.service import entries_by_prefix


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
    try:
        entries = {entry.entry_key: entry.body_sha256() for entry in entries_by_prefix(session, "")}
    except LedgerError as error:
        return [str(error)]
    stored = session.execute(select(EntryRow.entry_key, EntryRow.body_sha256))
    return [f"{key}: its postings are not those that were booked" for key, digest in stored if entries[key] != digest]


CHECKS = (check_entries_balance, check_entries_have_postings, check_entries_are_unchanged)


def check_ledger(session: Session) -> list[str]:
    """Run every check and return every fault."""
    return [fault for check in CHECKS for fault in check(session)]
