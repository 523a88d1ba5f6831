"""Entries and postings: the immutable words of the ledger. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from clearing.access.audit import canonical_json


class LedgerError(Exception):
    """An entry that would not balance, or a key that was used for something else."""


@dataclass(frozen=True)
class Posting:
    """One leg of an entry.

    Attributes:
        account: code from the chart of accounts.
        amount_minor: tiyn; debit is positive, credit negative, never 0.
    """

    account: str
    amount_minor: int


@dataclass(frozen=True)
class Entry:
    """A balanced set of postings. One that does not balance cannot be made.

    Attributes:
        entry_key: what it books; used once for ever.
        city, service_day: of what it books.
        description: one line.
        postings: two at least.
    """

    entry_key: str
    city: str
    service_day: str
    description: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        if len(self.postings) < 2 or any(posting.amount_minor == 0 for posting in self.postings):
            raise LedgerError(f"{self.entry_key}: an entry has two postings at least, and none of 0")
        if sum(posting.amount_minor for posting in self.postings) != 0:
            raise LedgerError(f"{self.entry_key}: debits and credits differ")

    def body_sha256(self) -> bytes:
        """Digest of what is booked: an entry that comes again must be the same."""
        return body_sha256(self.city, self.service_day, self.postings)

    def reverse(self, entry_key: str) -> Entry:
        """The entry that undoes this one."""
        postings = tuple(Posting(posting.account, -posting.amount_minor) for posting in self.postings)
        return Entry(entry_key, self.city, self.service_day, f"reverses {self.entry_key}", postings)


def body_sha256(city: str, service_day: str, postings: Iterable[Posting]) -> bytes:
    """Digest of the postings of an entry, balanced or not."""
    legs = [[posting.account, posting.amount_minor] for posting in postings]
    body = {"city": city, "service_day": service_day, "postings": legs}
    return hashlib.sha256(canonical_json(body).encode()).digest()


def entry_of(entry_key: str, city: str, service_day: str, description: str, legs: dict[str, int]) -> Entry | None:
    """An entry from amounts by account; nothing when all of them are 0."""
    postings = tuple(Posting(account, amount) for account, amount in sorted(legs.items()) if amount)
    return Entry(entry_key, city, service_day, description, postings) if postings else None
