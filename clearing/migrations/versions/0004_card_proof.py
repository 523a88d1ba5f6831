"""Whether transport cards have signed the rides that validators recorded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "card_proof",
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", _INTEGER, nullable=False),
        sa.Column("sequence", _INTEGER, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("checked_at_ms", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["validator.device_id"], name=op.f("fk_card_proof_device_id_validator")),
        sa.PrimaryKeyConstraint("device_id", "epoch", "sequence", name=op.f("pk_card_proof")),
    )
