"""Tables of reconciliation: what counterparties said, and the differences that were found. A break is never deleted."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class StatementRow(Base):
    """A counterparty's file that was read whole. The file itself is not kept: it may name riders, its lines do not.

    Attributes:
        kind, party: whose it is; the kinds are those of adapters.
        sha256: of the file, hexadecimal.
        first_day, last_day: of its lines.
        replaced_by: of a later file that stands in its place; its own lines then count no more.
        notes_json: what a reader should know, canonical JSON.
    """

    __tablename__ = "statement"
    __table_args__ = (UniqueConstraint("city", "kind", "party", "sha256"), Index(None, "city", "kind", "last_day"))

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    kind: Mapped[str]
    party: Mapped[str]
    adapter: Mapped[str]
    sha256: Mapped[str]
    first_day: Mapped[str]
    last_day: Mapped[str]
    lines: Mapped[int]
    total_minor: Mapped[int]
    notes_json: Mapped[str]
    replaced_by: Mapped[int | None] = mapped_column(ForeignKey("statement.id"))
    imported_by: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    imported_at_ms: Mapped[int]


class StatementLine(Base):
    """One line of a statement, as its adapter read it."""

    __tablename__ = "statement_line"
    __table_args__ = (Index(None, "statement_id", "day"),)

    statement_id: Mapped[int] = mapped_column(ForeignKey("statement.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reference: Mapped[str]
    own_reference: Mapped[str]
    state: Mapped[str]
    kind: Mapped[str]
    amount_minor: Mapped[int]
    fee_minor: Mapped[int]
    day: Mapped[str]
    account: Mapped[str]
    party: Mapped[str]
    text: Mapped[str]


class Break(Base):
    """A difference between our books and somebody else's word.

    Attributes:
        kind, party: whose word it is; `cash` and `top_up` are of carriers and cards.
        break_key: what makes it one: the same difference found again is the same break.
        category: one of the seven; `cause`: the probable reason, a code of `clearing.reconciliation.causes`.
        reference: of what it is about.
        day: of what it is about.
        amount_minor: by how much the two sides differ, signed: positive is more with the other side.
        state: `open`, `assigned`, `explained`, `adjusted`, or `vanished`: a later file or tap has ended it by itself.
        owner: who works on it.
        entry_key: of the adjustment by which it was resolved.
    """

    __tablename__ = "break_found"
    __table_args__ = (
        UniqueConstraint("city", "break_key"),
        CheckConstraint("state IN ('open', 'assigned', 'explained', 'adjusted', 'vanished')", name="state"),
        Index(None, "city", "state", "day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    kind: Mapped[str]
    party: Mapped[str]
    break_key: Mapped[str]
    category: Mapped[str]
    cause: Mapped[str]
    reference: Mapped[str]
    day: Mapped[str]
    amount_minor: Mapped[int]
    state: Mapped[str]
    owner: Mapped[str | None] = mapped_column(ForeignKey("principal.id"))
    entry_key: Mapped[str | None]
    opened_at_ms: Mapped[int]
    changed_at_ms: Mapped[int]


class BreakEvent(Base):
    """What happened to a break, by whom; only ever added.

    Attributes:
        event: `opened`, `assigned`, `explained`, `adjusted`, `vanished`, `reopened`, or `amount`.
        by: name of the person, or `service`.
    """

    __tablename__ = "break_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    break_id: Mapped[int] = mapped_column(ForeignKey("break_found.id"), index=True)
    at_ms: Mapped[int]
    event: Mapped[str]
    by: Mapped[str]
    note: Mapped[str]
