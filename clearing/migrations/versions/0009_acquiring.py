"""Charges by bank card, from the day's sum to the settled money."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STATES = "state IN ('open', 'authorised', 'closed', 'debt', 'debt_final')"


def _integers(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, _INTEGER, nullable=nullable) for name in names]


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _reference(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{to.partition('.')[0]}"
    return sa.ForeignKeyConstraint([column], [to], name=op.f(name))


def upgrade() -> None:
    _create_cards_and_charges()
    _create_lines()
    _create_operations()


def _create_cards_and_charges() -> None:
    op.create_table(
        "bank_card",
        *_integers("id"),
        *_texts("city"),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        *_integers("first_seen_s"),
        *_integers("approved_at_ms", "declined_at_ms", nullable=True),
        *_integers("tries"),
        *_integers("tried_at_ms", "next_at_ms", nullable=True),
        _reference("bank_card", "city", "city.code"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_card")),
        sa.UniqueConstraint("city", "token", name=op.f("uq_bank_card_city_token")),
    )
    _index("bank_card", "city", "next_at_ms")
    op.create_table(
        "charge",
        *_integers("id"),
        *_texts("reference", "city"),
        *_integers("card_id", "window_s"),
        *_texts("service_day"),
        *_integers("due_at_ms", "rides", "fares_minor", "allowance_minor"),
        *_texts("state", "liability"),
        *_integers("declined_at_ms", "tried_at_ms", "given_up_at_ms", "next_at_ms", nullable=True),
        *_integers("taken_minor", "returned_minor", "owed_minor", "written_off_minor", "let_off_minor"),
        *_integers("disputed_minor", "lost_minor", "settled_minor", "fee_minor"),
        *_texts("borne_json"),
        sa.CheckConstraint("allowance_minor >= 0", name=op.f("ck_charge_allowance_not_negative")),
        sa.CheckConstraint(_STATES, name=op.f("ck_charge_state")),
        _reference("charge", "city", "city.code"),
        _reference("charge", "card_id", "bank_card.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge")),
        sa.UniqueConstraint("card_id", "window_s", name=op.f("uq_charge_card_id_window_s")),
        sa.UniqueConstraint("reference", name=op.f("uq_charge_reference")),
    )
    for column in ("service_day", "next_at_ms", "state"):
        _index("charge", "city", column)


def _create_lines() -> None:
    op.create_table(
        "charge_line",
        *_texts("source", "source_key"),
        *_integers("charge_id"),
        *_texts("city", "service_day", "carrier"),
        *_integers("ridden_at_s", "amount_minor"),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_charge_line_amount_not_negative")),
        _reference("charge_line", "charge_id", "charge.id"),
        _reference("charge_line", "city", "city.code"),
        sa.PrimaryKeyConstraint("source", "source_key", name=op.f("pk_charge_line")),
    )
    _index("charge_line", "charge_id")
    _index("charge_line", "city", "service_day")


def _create_operations() -> None:
    op.create_table(
        "acquirer_operation",
        *_integers("id"),
        *_texts("party", "reference", "city"),
        *_integers("card_id"),
        *_integers("charge_id", nullable=True),
        *_texts("kind"),
        *_integers("number"),
        *_texts("cause", "original"),
        *_integers("amount_minor"),
        *_texts("outcome", "code", "acquirer_reference"),
        sa.Column("device_id", sa.LargeBinary(), nullable=True),
        *_integers("epoch", "sequence", nullable=True),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=True),
        *_integers("asked_at_ms"),
        *_integers("ended_at_ms", nullable=True),
        *_texts("fault"),
        *_integers("settled_minor", "fee_minor", nullable=True),
        *_texts("settled_day", nullable=True),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_acquirer_operation_amount_not_negative")),
        sa.CheckConstraint("outcome IN ('asked', 'refused', 'done')", name=op.f("ck_acquirer_operation_outcome")),
        _reference("acquirer_operation", "city", "city.code"),
        _reference("acquirer_operation", "card_id", "bank_card.id"),
        _reference("acquirer_operation", "charge_id", "charge.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acquirer_operation")),
        sa.UniqueConstraint("party", "reference", name=op.f("uq_acquirer_operation_party_reference")),
    )
    _index("acquirer_operation", "card_id")
    _index("acquirer_operation", "charge_id")
    _index("acquirer_operation", "city", "outcome", "kind")
    _index("acquirer_operation", "city", "reference")
    op.create_table(
        "acquirer_notice",
        *_integers("id"),
        *_texts("party", "reference"),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        *_texts("operation", "verdict"),
        *_integers("received_at_ms"),
        _reference("acquirer_notice", "party", "principal.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acquirer_notice")),
        sa.UniqueConstraint("party", "reference", name=op.f("uq_acquirer_notice_party_reference")),
    )
