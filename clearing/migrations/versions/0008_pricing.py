"""The rules of dated tariffs; journeys, and what a fare was made of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tariff_rules",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.Text(), nullable=True),
        sa.Column("rules_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_tariff_rules_city_city")),
        sa.PrimaryKeyConstraint("city", "valid_from", name=op.f("pk_tariff_rules")),
    )
    op.add_column("fare", sa.Column("rule", sa.Text(), nullable=False, server_default="tariff"))
    op.add_column("fare", sa.Column("riders", _INTEGER, nullable=False, server_default="1"))
    op.add_column("fare", sa.Column("subsidy_minor", _INTEGER, nullable=False, server_default="0"))
    op.add_column("fare", sa.Column("journey_key", sa.Text(), nullable=True))
    # Fares that are there already say their reason in their explanation.
    reason = "explanation_json::json->>'reason'"
    if op.get_bind().dialect.name == "sqlite":
        reason = "json_extract(explanation_json, '$.reason')"
    op.execute(f"UPDATE fare SET rule = {reason}")  # noqa: S608 - one of two texts
