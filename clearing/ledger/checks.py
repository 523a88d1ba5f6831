"""What must hold of the books, one function for each; each returns all faults it finds, of one city or of all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session

from clearing.ledger.chart import city_of_account, is_known
from clearing.ledger.entries import Posting, body_sha256
from clearing.ledger.models import EntryRow, PostingRow

_ROWS_AT_ONCE = 5000


def _of(city: str | None) -> ColumnElement[bool]:
    return true() if city is None else EntryRow.city == city


def check_entries_balance(session: Session, city: str | None = None) -> list[str]:
    """Debits and credits of every entry are equal."""
    rows = session.execute(
        select(EntryRow.entry_key, func.sum(PostingRow.amount_minor))
        .where(_of(city))
        .join(PostingRow, PostingRow.entry_id == EntryRow.id)
        .group_by(EntryRow.id, EntryRow.entry_key)
        .having(func.sum(PostingRow.amount_minor) != 0)
        .order_by(EntryRow.entry_key)
    )
    return [f"{key}: off by {amount} tiyn" for key, amount in rows]


def check_entries_have_postings(session: Session, city: str | None = None) -> list[str]:
    """Every entry has two postings at least."""
    rows = session.execute(
        select(EntryRow.entry_key, func.count(PostingRow.number))
        .where(_of(city))
        .outerjoin(PostingRow, PostingRow.entry_id == EntryRow.id)
        .group_by(EntryRow.id, EntryRow.entry_key)
        .having(func.count(PostingRow.number) < 2)
        .order_by(EntryRow.entry_key)
    )
    return [f"{key}: {count} postings" for key, count in rows]


def check_keys_are_unique(session: Session, city: str | None = None) -> list[str]:
    """Nothing is booked twice under one key, even where somebody has taken away the constraint."""
    rows = session.execute(
        select(EntryRow.entry_key, func.count())
        .where(_of(city))
        .group_by(EntryRow.entry_key)
        .having(func.count() > 1)
        .order_by(EntryRow.entry_key)
    )
    return [f"{key}: booked {count} times" for key, count in rows]


def check_cities_balance(session: Session, city: str | None = None) -> list[str]:
    """The accounts of every city add up to nothing."""
    rows = session.execute(
        select(EntryRow.city, func.sum(PostingRow.amount_minor))
        .where(_of(city))
        .join(PostingRow, PostingRow.entry_id == EntryRow.id)
        .group_by(EntryRow.city)
        .having(func.sum(PostingRow.amount_minor) != 0)
        .order_by(EntryRow.city)
    )
    return [f"the books of {code} are off by {amount} tiyn" for code, amount in rows]


def check_accounts_are_known(session: Session, city: str | None = None) -> list[str]:
    """Nothing is posted to an account that the chart does not have, or to another city's."""
    rows = session.execute(
        select(PostingRow.account, EntryRow.city)
        .distinct()
        .where(_of(city))
        .join(EntryRow, EntryRow.id == PostingRow.entry_id)
        .order_by(PostingRow.account, EntryRow.city)
    )
    faults = []
    for account, code in rows:
        if not is_known(account):
            faults.append(f"{account}: the chart has no such account")
        elif city_of_account(account) != code:
            faults.append(f"{account}: an entry of {code} posts to it")
    return faults


def check_entries_are_unchanged(session: Session, city: str | None = None) -> list[str]:
    """The stored digest of every entry is that of its postings."""
    query = (
        select(
            EntryRow.id,
            EntryRow.entry_key,
            EntryRow.city,
            EntryRow.service_day,
            EntryRow.body_sha256,
            PostingRow.account,
            PostingRow.amount_minor,
        )
        .where(_of(city))
        .outerjoin(PostingRow, PostingRow.entry_id == EntryRow.id)
        .order_by(EntryRow.entry_key, EntryRow.id, PostingRow.number)
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    return [
        f"{key}: its postings are not those that were booked"
        for key, is_changed in _digested(session.execute(query))
        if is_changed
    ]


def _digested(rows: Any) -> Iterator[tuple[str, bool]]:  # noqa: ANN401 - rows of a result
    for _, group in groupby(rows, key=itemgetter(0)):
        legs = list(group)
        _, key, city, day, digest, *_ = legs[0]
        postings = [Posting(account, amount) for *_, account, amount in legs if account is not None]
        yield key, body_sha256(city, day, postings) != digest


CHECKS = (
    check_entries_balance,
    check_entries_have_postings,
    check_keys_are_unique,
    check_cities_balance,
    check_accounts_are_known,
    check_entries_are_unchanged,
)


def check_ledger(session: Session, city: str | None = None) -> list[str]:
    """Run every check and return every fault."""
    return [fault for check in CHECKS for fault in check(session, city)]
