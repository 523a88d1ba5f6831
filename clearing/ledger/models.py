"""Tables of the ledger. Entries and postings are only ever added: the database refuses to change or delete them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clearing.database import Base


class Account(Base):
    """An account that was posted to; the chart of accounts is in `chart.py`.

    Attributes:
        code: such as `liability:payable:almaty:alatau`.
        kind: one of `KINDS` in the chart.
    """

    __tablename__ = "account"

    code: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]


class EntryRow(Base):
    """A balanced set of postings.

    Attributes:
        entry_key: what it books, such as `close/almaty/2024-05-15/1/alatau/qr`; used once for ever.
        body_sha256: over its postings: the same key with other postings is a conflict, not a repetition.
    """

    __tablename__ = "entry"
    __table_args__ = (UniqueConstraint("entry_key"), Index(None, "city", "service_day"))

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_key: Mapped[str]
    booked_at_ms: Mapped[int]
    service_day: Mapped[str]
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    description: Mapped[str]
    body_sha256: Mapped[bytes]
    postings: Mapped[list[PostingRow]] = relationship(order_by="PostingRow.number")


class PostingRow(Base):
    """One leg of an entry; debit is positive."""

    __tablename__ = "posting"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="amount_not_zero"),)

    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("account.code"), index=True)
    amount_minor: Mapped[int]
