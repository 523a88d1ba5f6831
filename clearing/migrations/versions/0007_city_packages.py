"""What a city's package says beyond prices: places of the state classifier, stops, counterparties, number plates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name in ("kato", "iso_3166_2"):
        op.add_column("city", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("vehicle", sa.Column("plate", sa.Text(), nullable=True))
    op.add_column("tariff", sa.Column("example", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "city_parties",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Text(), nullable=False),
        sa.Column("parties_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_city_parties_city_city")),
        sa.PrimaryKeyConstraint("city", "valid_from", name=op.f("pk_city_parties")),
    )
    _create_stops()


def _create_stops() -> None:
    op.create_table(
        "stop",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("number", _INTEGER, nullable=False),
        sa.Column("names_json", sa.Text(), nullable=False),
        sa.Column("latitude_e6", _INTEGER, nullable=False),
        sa.Column("longitude_e6", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_stop_city_city")),
        sa.PrimaryKeyConstraint("city", "number", name=op.f("pk_stop")),
    )
    op.create_table(
        "route_stop",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("line", _INTEGER, nullable=False),
        sa.Column("place", _INTEGER, nullable=False),
        sa.Column("stop", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["city", "line"], ["route.city", "route.number"], name=op.f("fk_route_stop_city_route")
        ),
        sa.ForeignKeyConstraint(["city", "stop"], ["stop.city", "stop.number"], name=op.f("fk_route_stop_city_stop")),
        sa.PrimaryKeyConstraint("city", "line", "place", name=op.f("pk_route_stop")),
    )
