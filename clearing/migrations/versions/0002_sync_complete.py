"""All of TAP-SYNC/1: key sets, key bundles, lists in parts, rotation, retirement, shared keys; exceptions get an answer."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STATUS = "status IN ('active', 'quarantined', 'revoked', 'retired')"
_ONE_KIND = "(x IS NULL) <> (sealed IS NULL)"


def upgrade() -> None:
    _extend_validator()
    _extend_validator_key()
    op.add_column("invitation", sa.Column("ack_kid", sa.LargeBinary(), nullable=True))
    op.add_column("tap", sa.Column("rebased_at_s", _INTEGER, nullable=True))
    op.add_column("tap_exception", sa.Column("resolved_by", sa.Text(), nullable=True))
    op.add_column("tap_exception", sa.Column("resolution", sa.Text(), nullable=True))
    _create_document_parts()
    _create_key_tables()
    _create_service_switch()
    _create_allow_entry()
    _create_dirty_day()


def _extend_validator() -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("quarantined_at_ms", _INTEGER, nullable=True),
        sa.Column("ack_kid", sa.LargeBinary(), nullable=True),
        sa.Column("key_set_told", _INTEGER, nullable=True),
        sa.Column("key_set_told_at_ms", _INTEGER, nullable=True),
        sa.Column("boot", _INTEGER, nullable=True),
        sa.Column("uptime_ms", _INTEGER, nullable=True),
        sa.Column("boot_first_sequence", _INTEGER, nullable=True),
        sa.Column("boot_unsettled", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("recent_nonces", sa.LargeBinary(), nullable=True),
        sa.Column("last_word", sa.LargeBinary(), nullable=True),
    ]
    # SQLite cannot change a constraint: there the table is written anew.
    with op.batch_alter_table("validator") as batch:
        batch.drop_constraint(op.f("ck_validator_status"), type_="check")
        batch.create_check_constraint(op.f("ck_validator_status"), _STATUS)
        for column in columns:
            batch.add_column(column)
    op.execute("UPDATE validator SET quarantined_at_ms = coalesce(last_seen_ms, 0) WHERE status = 'quarantined'")


def _extend_validator_key() -> None:
    columns = [
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("rotation_sha256", sa.LargeBinary(), nullable=True),
    ]
    with op.batch_alter_table("validator_key") as batch:
        for name in ("x", "y"):
            batch.alter_column(name, existing_type=sa.LargeBinary(), nullable=True)
        for column in columns:
            batch.add_column(column)
        batch.create_check_constraint(op.f("ck_validator_key_one_kind"), _ONE_KIND)


def _create_document_parts() -> None:
    for table, column in (("document_part", "part"), ("document_delta", "from_number")):
        op.create_table(
            table,
            sa.Column("kind", sa.Text(), nullable=False),
            sa.Column("number", _INTEGER, nullable=False),
            sa.Column(column, _INTEGER, nullable=False),
            sa.Column("body", sa.LargeBinary(), nullable=False),
            sa.ForeignKeyConstraint(
                ["kind", "number"],
                ["signed_document.kind", "signed_document.number"],
                name=op.f(f"fk_{table}_kind_signed_document"),
            ),
            sa.PrimaryKeyConstraint("kind", "number", column, name=op.f(f"pk_{table}")),
        )


def _create_key_tables() -> None:
    op.create_table(
        "key_set",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("number", _INTEGER, nullable=False),
        sa.Column("expires_s", _INTEGER, nullable=False),
        sa.Column("ack_kid", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at_ms", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_key_set_city_city")),
        sa.PrimaryKeyConstraint("city", "number", name=op.f("pk_key_set")),
    )
    op.create_table(
        "key_bundle",
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", _INTEGER, nullable=False),
        sa.Column("kid", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["validator.device_id"], name=op.f("fk_key_bundle_device_id_validator")),
        sa.PrimaryKeyConstraint("device_id", "number", name=op.f("pk_key_bundle")),
    )


def _create_service_switch() -> None:
    op.create_table(
        "service_switch",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", _INTEGER, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at_ms", _INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_service_switch")),
    )


def _create_allow_entry() -> None:
    op.create_table(
        "allow_entry",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("added_at_ms", _INTEGER, nullable=False),
        sa.Column("removed_at_ms", _INTEGER, nullable=True),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_allow_entry_city_city")),
        sa.PrimaryKeyConstraint("city", "token", name=op.f("pk_allow_entry")),
    )


def _create_dirty_day() -> None:
    op.create_table(
        "dirty_day",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("marks", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_dirty_day_city_city")),
        sa.PrimaryKeyConstraint("city", "service_day", name=op.f("pk_dirty_day")),
    )
