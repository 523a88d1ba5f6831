"""A city's rules of the ride, beside its prices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("city", sa.Column("rules_json", sa.Text(), nullable=False, server_default="{}"))
