"""Adjustments and payouts that two persons decide."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_adjustment()
    _create_payout()
    _create_payout_item()


def _create_adjustment() -> None:
    op.create_table(
        "adjustment",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("legs_json", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("approval_id", _INTEGER, nullable=False),
        sa.Column("version", _INTEGER, nullable=True),
        sa.CheckConstraint("kind IN ('correction', 'refund', 'late')", name=op.f("ck_adjustment_kind")),
        sa.CheckConstraint("state IN ('requested', 'approved', 'rejected')", name=op.f("ck_adjustment_state")),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_adjustment_city_city")),
        sa.ForeignKeyConstraint(["approval_id"], ["approval.id"], name=op.f("fk_adjustment_approval_id_approval")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustment")),
        sa.UniqueConstraint("city", "reference", name=op.f("uq_adjustment_city_reference")),
    )
    op.create_index(op.f("ix_adjustment_city_service_day"), "adjustment", ["city", "service_day"])


def _create_payout() -> None:
    texts = ("reference", "city", "party", "first_day", "last_day")
    details = ("pay_on", "name", "bin", "iban", "bic", "beneficiary_code", "purpose", "state")
    op.create_table(
        "payout",
        sa.Column("id", _INTEGER, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("due_minor", _INTEGER, nullable=False),
        sa.Column("netted_json", sa.Text(), nullable=False),
        sa.Column("amount_minor", _INTEGER, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in details),
        sa.Column("approval_id", _INTEGER, nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_payout_amount_not_negative")),
        sa.CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name=op.f("ck_payout_state")),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_payout_city_city")),
        sa.ForeignKeyConstraint(["approval_id"], ["approval.id"], name=op.f("fk_payout_approval_id_approval")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout")),
        sa.UniqueConstraint("city", "reference", name=op.f("uq_payout_city_reference")),
    )
    op.create_index(op.f("ix_payout_city_party_first_day"), "payout", ["city", "party", "first_day"])


def _create_payout_item() -> None:
    op.create_table(
        "payout_item",
        sa.Column("entry_id", _INTEGER, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("payout_id", _INTEGER, nullable=False),
        sa.Column("amount_minor", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_payout_item_entry_id_entry")),
        sa.ForeignKeyConstraint(["account"], ["account.code"], name=op.f("fk_payout_item_account_account")),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name=op.f("fk_payout_item_payout_id_payout")),
        sa.PrimaryKeyConstraint("entry_id", "account", name=op.f("pk_payout_item")),
    )
    op.create_index(op.f("ix_payout_item_payout_id"), "payout_item", ["payout_id"])
