"""Codes that the service issues: tickets of riders, and receipts for codes on validators' screens."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create(
        "ticket",
        sa.Column("ticket_id", sa.LargeBinary(), nullable=False),
        sa.Column("expires_s", _INTEGER, nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
    )
    _create(
        "screen_receipt",
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("fare_minor", _INTEGER, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("valid_until_s", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["validator.device_id"], name=op.f("fk_screen_receipt_device_id_validator")
        ),
    )


def _create(table: str, *own: sa.Column[Any] | sa.ForeignKeyConstraint) -> None:
    """Make a table of codes: what all have, and what is its own."""
    op.create_table(
        table,
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("category", _INTEGER, nullable=False),
        sa.Column("issued_at_ms", _INTEGER, nullable=False),
        *own,
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f(f"fk_{table}_city_city")),
        sa.ForeignKeyConstraint(["issuer"], ["principal.id"], name=op.f(f"fk_{table}_issuer_principal")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("issuer", "reference", name=op.f(f"uq_{table}_issuer_reference")),
        sa.UniqueConstraint("city", "token", name=op.f(f"uq_{table}_city_token")),
    )
