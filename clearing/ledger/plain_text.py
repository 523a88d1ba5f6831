"""The books as plain text that beancount reads: open directives, every entry, and balances to hold it against.

The balances at the end are added up by the database, not from the entries as they are written, so that the reader checks the one
by the other. Names of accounts are ours in beancount's spelling; each open directive says in `code` which account it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.ledger.entries import LedgerError
from clearing.ledger.models import EntryRow, PostingRow
from clearing.ledger.service import trial_balance
from clearing.money import format_minor

_ROOTS = {"asset": "Assets", "liability": "Liabilities", "income": "Income", "expense": "Expenses"}
_STRANGE = re.compile(r"[^A-Za-z0-9-]")
_ROWS_AT_ONCE = 5000


def account_name(code: str) -> str:
    """Beancount's spelling of an account: parts begin with a capital or a digit and have letters, digits and dashes."""
    kind, *parts = code.split(":")
    return ":".join([_ROOTS[kind], *map(_part, parts)])


def _part(word: str) -> str:
    written = _STRANGE.sub(lambda found: f"-x{ord(found[0]):x}-", word)
    return written[0].upper() + written[1:] if written[0].isalnum() else f"X{written}"


def beancount_lines(session: Session, city: str, currency: str) -> Iterator[str]:
    """The books of a city, line by line.

    Raises:
        LedgerError: two accounts would be spelt alike.
    """
    names = _names(session, city)
    yield f'option "title" "Jolaqy, {city}"'
    yield f'option "operating_currency" "{currency}"'
    yield ""
    for code, (name, day) in names.items():
        yield f"{day} open {name} {currency}"
        yield f"  code: {_quoted(code)}"
    last_day = ""
    for line, day in _entries(session, city, currency, {code: name for code, (name, _) in names.items()}):
        last_day = day
        yield line
    if last_day:
        yield ""
        after = (date.fromisoformat(last_day) + timedelta(1)).isoformat()
        for balance in trial_balance(session, city):
            yield f"{after} balance {names[balance.account][0]} {format_minor(balance.amount_minor)} {currency}"


def _names(session: Session, city: str) -> dict[str, tuple[str, str]]:
    """Spelling and first service day of every account, by code."""
    rows = session.execute(
        select(PostingRow.account, func.min(EntryRow.service_day))
        .join(EntryRow, EntryRow.id == PostingRow.entry_id)
        .where(EntryRow.city == city)
        .group_by(PostingRow.account)
    )
    names = {code: (account_name(code), day) for code, day in sorted(map(tuple, rows))}
    spelt: dict[str, str] = {}
    for code, (name, _) in names.items():
        if spelt.setdefault(name, code) != code:
            raise LedgerError(f"{code} and {spelt[name]} would both be spelt {name}")
    return names


def _entries(session: Session, city: str, currency: str, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The lines of all entries, each with its service day, by day and in the order of booking."""
    rows = session.execute(
        select(
            EntryRow.id,
            EntryRow.service_day,
            EntryRow.entry_key,
            EntryRow.description,
            EntryRow.body_sha256,
            PostingRow.account,
            PostingRow.amount_minor,
        )
        .join(PostingRow, PostingRow.entry_id == EntryRow.id)
        .where(EntryRow.city == city)
        .order_by(EntryRow.service_day, EntryRow.id, PostingRow.number)
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    before = None
    for entry_id, day, key, description, digest, account, amount_minor in rows:
        if entry_id != before:
            before = entry_id
            yield "", day
            yield f"{day} * {_quoted(description)}", day
            yield f"  key: {_quoted(key)}", day
            yield f'  sha256: "{digest.hex()}"', day
        yield f"  {names[account]}  {format_minor(amount_minor)} {currency}", day


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + " ".join(escaped.split()) + '"'
