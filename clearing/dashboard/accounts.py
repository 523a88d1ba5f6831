"""Entries of a close as the rows of a table: each posting in a debit or a credit column, and the sums that show the balance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clearing.settlement.service import EntryView


@dataclass(frozen=True)
class AccountName:
    """An account in words.

    Attributes:
        name: the last word of the text key `account.…`.
        holder: whose it is: a carrier's name, or a counterparty's code; absent when it is the city's.
    """

    name: str
    holder: str | None


@dataclass(frozen=True)
class PostingRow:
    """One leg.

    Attributes:
        name: the last word of the text key `account.…`.
        carrier: whose the account is, when it is somebody's.
        debit_minor, credit_minor: one of them; the other is absent.
    """

    account: str
    name: str
    carrier: str | None
    debit_minor: int | None
    credit_minor: int | None


@dataclass(frozen=True)
class EntryRows:
    """A balanced set of postings.

    Attributes:
        subject: what it books: `rides`, or the last word of the text key `subject.…`.
        carrier, medium: of the rides that it books; absent when it books none.
    """

    entry_key: str
    subject: str
    carrier: str | None
    medium: str | None
    postings: tuple[PostingRow, ...]

    @property
    def debit_minor(self) -> int:
        return sum(row.debit_minor or 0 for row in self.postings)

    @property
    def credit_minor(self) -> int:
        return sum(row.credit_minor or 0 for row in self.postings)


def entry_rows(entry: EntryView, carriers: Mapping[str, str]) -> EntryRows:
    """Lay out an entry, debits first; its key is `close/CITY/DAY/VERSION/` and then `CARRIER/MEDIUM`, or such as `top-ups`."""
    carrier, _, medium = entry.entry_key.split("/", 4)[-1].partition("/")
    return EntryRows(
        entry.entry_key,
        "rides" if medium else carrier.replace("-", "_"),
        carriers.get(carrier, carrier) if medium else None,
        medium or None,
        tuple(
            _row(account, amount_minor, carriers)
            for account, _, amount_minor in sorted(entry.postings, key=lambda posting: posting[2] < 0)
        ),
    )


def _row(account: str, amount_minor: int, carriers: Mapping[str, str]) -> PostingRow:
    named = account_name(account, carriers)
    return PostingRow(
        account,
        named.name,
        named.holder,
        amount_minor if amount_minor >= 0 else None,
        -amount_minor if amount_minor < 0 else None,
    )


def account_name(account: str, carriers: Mapping[str, str]) -> AccountName:
    """How a page names an account of the chart (`clearing.ledger.chart`)."""
    _, name, _, *holder = account.split(":")
    if name == "receivable":
        name = f"receivable_{holder.pop(0)}"
    return AccountName(name.replace("-", "_"), carriers.get(holder[0], holder[0]) if holder else None)
