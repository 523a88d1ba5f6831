"""Money that waits for a card, and the commands by which validators load it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pending_top_up",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("top_up_id", _INTEGER, nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("amount_minor", _INTEGER, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("added_at_ms", _INTEGER, nullable=False),
        sa.Column("applied_at_ms", _INTEGER, nullable=True),
        sa.CheckConstraint("status IN ('waiting', 'applied')", name=op.f("ck_pending_top_up_status")),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_pending_top_up_city_city")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_top_up")),
        sa.UniqueConstraint("top_up_id", name=op.f("uq_pending_top_up_top_up_id")),
    )
    op.create_index(op.f("ix_pending_top_up_city_status_token"), "pending_top_up", ["city", "status", "token"])
    op.create_table(
        "top_up_command",
        sa.Column("number", _INTEGER, nullable=False),
        sa.Column("pending_id", _INTEGER, nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", _INTEGER, nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("masked_uid", sa.LargeBinary(), nullable=False),
        sa.Column("card_counter", _INTEGER, nullable=False),
        sa.Column("amount_minor", _INTEGER, nullable=False),
        sa.Column("expires_s", _INTEGER, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("sequence", _INTEGER, nullable=True),
        sa.Column("given_at_ms", _INTEGER, nullable=False),
        sa.CheckConstraint("status IN ('out', 'applied', 'void')", name=op.f("ck_top_up_command_status")),
        sa.ForeignKeyConstraint(
            ["pending_id"], ["pending_top_up.id"], name=op.f("fk_top_up_command_pending_id_pending_top_up")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["validator.device_id"], name=op.f("fk_top_up_command_device_id_validator")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_top_up_command")),
    )
    for columns in (["device_id", "epoch", "sequence"], ["pending_id"], ["token"]):
        op.create_index(op.f("ix_top_up_command_" + "_".join(columns)), "top_up_command", columns)
