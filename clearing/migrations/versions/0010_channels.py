"""Payments and top-ups by QR providers, SMS aggregators, agents and cash tills."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("sms_payment", sa.Column("charged_once", sa.LargeBinary(), nullable=True))
    _index("sms_payment", "charged_once", unique=True)
    _index("sms_payment", "city", "ticket")
    _let_top_ups_expire()
    _create_channel_key()
    _create_qr_payment()
    _create_qr_refund()
    _create_inspection()
    _create_register()
    _create_till_count()
    _create_remittance()


def _index(table: str, *columns: str, unique: bool = False) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns), unique=unique)


def _refers(table: str, column: str, to: str, to_column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.{to_column}"], name=op.f(f"fk_{table}_{column}_{to}"))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _let_top_ups_expire() -> None:
    """Money that waits may expire, and go back to who has paid."""
    with op.batch_alter_table("pending_top_up") as table:
        table.drop_constraint(op.f("ck_pending_top_up_status"), type_="check")
        table.create_check_constraint(
            op.f("ck_pending_top_up_status"), "status IN ('waiting', 'applied', 'expired', 'refunded')"
        )
        table.add_column(sa.Column("ended_at_ms", _INTEGER, nullable=True))


def _create_channel_key() -> None:
    op.create_table(
        "channel_key",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("principal_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("x", sa.LargeBinary(), nullable=True),
        sa.Column("y", sa.LargeBinary(), nullable=True),
        sa.Column("created_at_ms", _INTEGER, nullable=False),
        sa.Column("revoked_at_ms", _INTEGER, nullable=True),
        sa.CheckConstraint("(kind = 'hmac') = (x IS NULL)", name=op.f("ck_channel_key_one_kind")),
        _refers("channel_key", "principal_id", "principal", "id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_key")),
    )
    _index("channel_key", "principal_id")


def _create_qr_payment() -> None:
    op.create_table(
        "qr_payment",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("charged_once", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=True),
        sa.Column("minute", _INTEGER, nullable=True),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.Column("line", _INTEGER, nullable=True),
        sa.Column("amount_minor", _INTEGER, nullable=False),
        sa.Column("fare_minor", _INTEGER, nullable=False),
        sa.Column("paid_at_s", _INTEGER, nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=True),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_qr_payment_amount_positive")),
        _refers("qr_payment", "provider", "principal", "id"),
        _refers("qr_payment", "city", "city", "code"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qr_payment")),
        _unique("qr_payment", "provider", "reference"),
    )
    _index("qr_payment", "city", "service_day")
    _index("qr_payment", "charged_once", unique=True)
    _index("qr_payment", "city", "ticket")


def _create_qr_refund() -> None:
    op.create_table(
        "qr_refund",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("payment_id", _INTEGER, nullable=False),
        sa.Column("at_s", _INTEGER, nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        _refers("qr_refund", "provider", "principal", "id"),
        _refers("qr_refund", "payment_id", "qr_payment", "id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qr_refund")),
        _unique("qr_refund", "provider", "reference"),
        _unique("qr_refund", "payment_id"),
    )


def _create_inspection() -> None:
    op.create_table(
        "inspection",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("inspector", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("opened_at_s", _INTEGER, nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        _refers("inspection", "inspector", "principal", "id"),
        _refers("inspection", "city", "city", "code"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection")),
        _unique("inspection", "inspector", "reference"),
    )
    _index("inspection", "city", "vehicle", "opened_at_s")


def _create_register() -> None:
    op.create_table(
        "register",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("top_ups", _INTEGER, nullable=False),
        sa.Column("top_ups_minor", _INTEGER, nullable=False),
        sa.Column("added", _INTEGER, nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        _refers("register", "city", "city", "code"),
        _refers("register", "agent", "principal", "id"),
        _refers("register", "taken_by", "principal", "id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register")),
        _unique("register", "city", "agent", "sha256"),
    )


def _create_till_count() -> None:
    op.create_table(
        "till_count",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("counted_by", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=True),
        sa.Column("shift", _INTEGER, nullable=True),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("counted_minor", _INTEGER, nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        sa.CheckConstraint("counted_minor >= 0", name=op.f("ck_till_count_counted_not_negative")),
        _refers("till_count", "counted_by", "principal", "id"),
        _refers("till_count", "city", "city", "code"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_till_count")),
        _unique("till_count", "counted_by", "reference"),
    )
    _index("till_count", "city", "service_day")


def _create_remittance() -> None:
    op.create_table(
        "remittance",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("party_kind", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=True),
        sa.Column("banked_day", sa.Text(), nullable=False),
        sa.Column("amount_minor", _INTEGER, nullable=False),
        sa.Column("commission_minor", _INTEGER, nullable=False),
        sa.Column("entry_key", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_remittance_amount_positive")),
        _refers("remittance", "city", "city", "code"),
        _refers("remittance", "recorded_by", "principal", "id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remittance")),
        _unique("remittance", "city", "party_kind", "party", "reference"),
    )
    _index("remittance", "city", "banked_day")
