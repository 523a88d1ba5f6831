"""Statements of counterparties, and breaks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_statement()
    _create_statement_line()
    _create_break()
    _create_break_event()
    _forbid_changes("break_event")


def _forbid_changes(table: str) -> None:
    """Let the database itself refuse to change or delete a break's history."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f'CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "{table}" '
            "FOR EACH STATEMENT EXECUTE FUNCTION jolaqy_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f'CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON "{table}" '
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _refers(table: str, column: str, to: str, to_column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.{to_column}"], name=op.f(f"fk_{table}_{column}_{to}"))


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _integers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, _INTEGER, nullable=False) for name in names]


def _create_statement() -> None:
    op.create_table(
        "statement",
        *_integers("id"),
        *_text("city", "kind", "party", "adapter", "sha256"),
        *_text("first_day", "last_day"),
        *_integers("lines", "total_minor"),
        *_text("notes_json"),
        sa.Column("replaced_by", _INTEGER, nullable=True),
        *_text("imported_by"),
        *_integers("imported_at_ms"),
        _refers("statement", "city", "city", "code"),
        _refers("statement", "replaced_by", "statement", "id"),
        _refers("statement", "imported_by", "principal", "id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement")),
        sa.UniqueConstraint("city", "kind", "party", "sha256", name=op.f("uq_statement_city_kind_party_sha256")),
    )
    op.create_index(op.f("ix_statement_city_kind_last_day"), "statement", ["city", "kind", "last_day"])


def _create_statement_line() -> None:
    op.create_table(
        "statement_line",
        *_integers("statement_id", "number", "part"),
        *_text("reference", "own_reference", "state", "kind"),
        *_integers("amount_minor", "fee_minor"),
        *_text("day", "account", "party", "text"),
        _refers("statement_line", "statement_id", "statement", "id"),
        sa.PrimaryKeyConstraint("statement_id", "number", "part", name=op.f("pk_statement_line")),
    )
    op.create_index(op.f("ix_statement_line_statement_id_day"), "statement_line", ["statement_id", "day"])


def _create_break() -> None:
    op.create_table(
        "break_found",
        *_integers("id"),
        *_text("city", "kind", "party", "break_key", "category", "cause", "reference", "day"),
        *_integers("amount_minor"),
        *_text("state"),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("entry_key", sa.Text(), nullable=True),
        *_integers("opened_at_ms", "changed_at_ms"),
        sa.CheckConstraint(
            "state IN ('open', 'assigned', 'explained', 'adjusted', 'vanished')", name=op.f("ck_break_found_state")
        ),
        _refers("break_found", "city", "city", "code"),
        _refers("break_found", "owner", "principal", "id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_found")),
        sa.UniqueConstraint("city", "break_key", name=op.f("uq_break_found_city_break_key")),
    )
    op.create_index(op.f("ix_break_found_city_state_day"), "break_found", ["city", "state", "day"])


def _create_break_event() -> None:
    op.create_table(
        "break_event",
        *_integers("id", "break_id", "at_ms"),
        *_text("event", "by", "note"),
        _refers("break_event", "break_id", "break_found", "id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_event")),
    )
    op.create_index(op.f("ix_break_event_break_id"), "break_event", ["break_id"])
