"""The first schema: the tables of all features, and the triggers that keep records from being changed or deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = ("audit_record", "raw_batch", "entry", "posting", "close")
_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_account()
    _create_audit_record()
    _create_city()
    _create_principal()
    _create_access_grant()
    _create_approval()
    _create_carrier()
    _create_close()
    _create_deny_entry()
    _create_entry()
    _create_fare()
    _create_signed_document()
    _create_sms_payment()
    _create_tariff()
    _create_top_up()
    _create_posting()
    _create_route()
    _create_vehicle()
    _create_invitation()
    _create_validator()
    _create_raw_batch()
    _create_tap_exception()
    _create_validator_key()
    _create_tap()
    _create_tap_conflict()
    _forbid_changes()
    _enter_local_administrator()


def _create_account() -> None:
    op.create_table(
        "account",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_account")),
    )


def _create_audit_record() -> None:
    op.create_table(
        "audit_record",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("at_ms", _INTEGER, nullable=False),
        sa.Column("principal_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail_json", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_record")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_record_hash")),
        sa.UniqueConstraint("previous_hash", name=op.f("uq_audit_record_previous_hash")),
    )


def _create_city() -> None:
    op.create_table(
        "city",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("number", _INTEGER, nullable=False),
        sa.Column("names_json", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("package_sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_city")),
        sa.UniqueConstraint("number", name=op.f("uq_city_number")),
    )


def _create_principal() -> None:
    op.create_table(
        "principal",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", _INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_principal")),
        sa.UniqueConstraint("name", name=op.f("uq_principal_name")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_principal_token_hash")),
    )


def _create_access_grant() -> None:
    op.create_table(
        "access_grant",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("principal_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principal.id"], name=op.f("fk_access_grant_principal_id_principal")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_grant")),
    )
    op.create_index(op.f("ix_access_grant_principal_id"), "access_grant", ["principal_id"], unique=False)


def _create_approval() -> None:
    op.create_table(
        "approval",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at_ms", _INTEGER, nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at_ms", _INTEGER, nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("used_at_ms", _INTEGER, nullable=True),
        sa.CheckConstraint("decided_by <> requested_by", name=op.f("ck_approval_two_persons")),
        sa.ForeignKeyConstraint(["decided_by"], ["principal.id"], name=op.f("fk_approval_decided_by_principal")),
        sa.ForeignKeyConstraint(["requested_by"], ["principal.id"], name=op.f("fk_approval_requested_by_principal")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
    )


def _create_carrier() -> None:
    op.create_table(
        "carrier",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("names_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_carrier_city_city")),
        sa.PrimaryKeyConstraint("city", "code", name=op.f("pk_carrier")),
    )


def _create_close() -> None:
    op.create_table(
        "close",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("version", _INTEGER, nullable=False),
        sa.Column("closed_at_ms", _INTEGER, nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("totals_json", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_close_city_city")),
        sa.ForeignKeyConstraint(["closed_by"], ["principal.id"], name=op.f("fk_close_closed_by_principal")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_close")),
        sa.UniqueConstraint("city", "service_day", "version", name=op.f("uq_close_city_service_day_version")),
    )


def _create_deny_entry() -> None:
    op.create_table(
        "deny_entry",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("added_at_ms", _INTEGER, nullable=False),
        sa.Column("removed_at_ms", _INTEGER, nullable=True),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_deny_entry_city_city")),
        sa.PrimaryKeyConstraint("city", "token", name=op.f("pk_deny_entry")),
    )


def _create_entry() -> None:
    op.create_table(
        "entry",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("entry_key", sa.Text(), nullable=False),
        sa.Column("booked_at_ms", _INTEGER, nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_entry_city_city")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entry")),
        sa.UniqueConstraint("entry_key", name=op.f("uq_entry_entry_key")),
    )
    op.create_index(op.f("ix_entry_city_service_day"), "entry", ["city", "service_day"], unique=False)


def _create_fare() -> None:
    op.create_table(
        "fare",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=True),
        sa.Column("epoch", _INTEGER, nullable=True),
        sa.Column("sequence", _INTEGER, nullable=True),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("line", _INTEGER, nullable=True),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("category", _INTEGER, nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=True),
        sa.Column("ridden_at_s", _INTEGER, nullable=False),
        sa.Column("scheduled_minor", _INTEGER, nullable=False),
        sa.Column("charged_minor", _INTEGER, nullable=False),
        sa.Column("cash_minor", _INTEGER, nullable=True),
        sa.Column("correction_minor", _INTEGER, nullable=False),
        sa.Column("explanation_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_fare_city_city")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fare")),
        sa.UniqueConstraint("source", "source_key", name=op.f("uq_fare_source_source_key")),
    )
    op.create_index(op.f("ix_fare_city_service_day_medium"), "fare", ["city", "service_day", "medium"], unique=False)


def _create_signed_document() -> None:
    op.create_table(
        "signed_document",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", _INTEGER, nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("valid_from_s", _INTEGER, nullable=False),
        sa.Column("expires_s", _INTEGER, nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_signed_document_city_city")),
        sa.PrimaryKeyConstraint("kind", "number", name=op.f("pk_signed_document")),
    )
    op.create_index(
        op.f("ix_signed_document_city_kind_valid_from_s"),
        "signed_document",
        ["city", "kind", "valid_from_s"],
        unique=False,
    )


def _create_sms_payment() -> None:
    op.create_table(
        "sms_payment",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("aggregator", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.Column("line", _INTEGER, nullable=True),
        sa.Column("fare_minor", _INTEGER, nullable=False),
        sa.Column("paid_at_s", _INTEGER, nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["aggregator"], ["principal.id"], name=op.f("fk_sms_payment_aggregator_principal")),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_sms_payment_city_city")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sms_payment")),
        sa.UniqueConstraint("aggregator", "reference", name=op.f("uq_sms_payment_aggregator_reference")),
    )
    op.create_index(op.f("ix_sms_payment_city_service_day"), "sms_payment", ["city", "service_day"], unique=False)


def _create_tariff() -> None:
    op.create_table(
        "tariff",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.Text(), nullable=True),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("category", _INTEGER, nullable=False),
        sa.Column("fare_minor", _INTEGER, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint("fare_minor >= 0", name=op.f("ck_tariff_fare_not_negative")),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_tariff_city_city")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff")),
        sa.UniqueConstraint(
            "city", "valid_from", "medium", "category", name=op.f("uq_tariff_city_valid_from_medium_category")
        ),
    )


def _create_top_up() -> None:
    op.create_table(
        "top_up",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("amount_minor", _INTEGER, nullable=False),
        sa.Column("at_s", _INTEGER, nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_top_up_amount_positive")),
        sa.ForeignKeyConstraint(["agent"], ["principal.id"], name=op.f("fk_top_up_agent_principal")),
        sa.ForeignKeyConstraint(["city"], ["city.code"], name=op.f("fk_top_up_city_city")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_top_up")),
        sa.UniqueConstraint("agent", "reference", name=op.f("uq_top_up_agent_reference")),
    )
    op.create_index(op.f("ix_top_up_city_service_day"), "top_up", ["city", "service_day"], unique=False)


def _create_posting() -> None:
    op.create_table(
        "posting",
        sa.Column("entry_id", _INTEGER, nullable=False),
        sa.Column("number", _INTEGER, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("amount_minor", _INTEGER, nullable=False),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_posting_amount_not_zero")),
        sa.ForeignKeyConstraint(["account"], ["account.code"], name=op.f("fk_posting_account_account")),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_posting_entry_id_entry")),
        sa.PrimaryKeyConstraint("entry_id", "number", name=op.f("pk_posting")),
    )
    op.create_index(op.f("ix_posting_account"), "posting", ["account"], unique=False)


def _create_route() -> None:
    op.create_table(
        "route",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("number", _INTEGER, nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("names_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city", "carrier"], ["carrier.city", "carrier.code"], name=op.f("fk_route_city_carrier_carrier")
        ),
        sa.PrimaryKeyConstraint("city", "number", name=op.f("pk_route")),
    )


def _create_vehicle() -> None:
    op.create_table(
        "vehicle",
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("line", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["city", "carrier"], ["carrier.city", "carrier.code"], name=op.f("fk_vehicle_city_carrier_carrier")
        ),
        sa.ForeignKeyConstraint(
            ["city", "line"], ["route.city", "route.number"], name=op.f("fk_vehicle_city_line_route")
        ),
        sa.PrimaryKeyConstraint("city", "code", name=op.f("pk_vehicle")),
    )


def _create_invitation() -> None:
    op.create_table(
        "invitation",
        sa.Column("code_id", sa.LargeBinary(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _INTEGER, nullable=False),
        sa.Column("expires_at_ms", _INTEGER, nullable=False),
        sa.Column("used_at_ms", _INTEGER, nullable=True),
        sa.Column("device_id", sa.LargeBinary(), nullable=True),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_keys", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["city", "vehicle"], ["vehicle.city", "vehicle.code"], name=op.f("fk_invitation_city_vehicle_vehicle")
        ),
        sa.PrimaryKeyConstraint("code_id", name=op.f("pk_invitation")),
    )


def _create_validator() -> None:
    op.create_table(
        "validator",
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("line", _INTEGER, nullable=False),
        sa.Column("profile", _INTEGER, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("epoch", _INTEGER, nullable=False),
        sa.Column("acked_sequence", _INTEGER, nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_at_ms", _INTEGER, nullable=False),
        sa.Column("last_seen_ms", _INTEGER, nullable=True),
        sa.Column("firmware", _INTEGER, nullable=True),
        sa.Column("slots_free", _INTEGER, nullable=True),
        sa.Column("torn_slots", _INTEGER, nullable=True),
        sa.Column("power_cuts", _INTEGER, nullable=True),
        sa.CheckConstraint("status IN ('active', 'quarantined', 'revoked')", name=op.f("ck_validator_status")),
        sa.ForeignKeyConstraint(
            ["city", "vehicle"], ["vehicle.city", "vehicle.code"], name=op.f("fk_validator_city_vehicle_vehicle")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_validator")),
    )


def _create_raw_batch() -> None:
    op.create_table(
        "raw_batch",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("status", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["validator.device_id"], name=op.f("fk_raw_batch_device_id_validator")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raw_batch")),
        sa.UniqueConstraint("sha256", name=op.f("uq_raw_batch_sha256")),
    )
    op.create_index(op.f("ix_raw_batch_device_id"), "raw_batch", ["device_id"], unique=False)


def _create_tap_exception() -> None:
    op.create_table(
        "tap_exception",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", _INTEGER, nullable=False),
        sa.Column("sequence", _INTEGER, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("created_at_ms", _INTEGER, nullable=False),
        sa.Column("resolved_at_ms", _INTEGER, nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["validator.device_id"], name=op.f("fk_tap_exception_device_id_validator")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tap_exception")),
        sa.UniqueConstraint(
            "device_id", "epoch", "sequence", "reason", name=op.f("uq_tap_exception_device_id_epoch_sequence_reason")
        ),
    )
    op.create_index(op.f("ix_tap_exception_city_service_day"), "tap_exception", ["city", "service_day"], unique=False)


def _create_validator_key() -> None:
    op.create_table(
        "validator_key",
        sa.Column("kid", sa.LargeBinary(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("x", sa.LargeBinary(), nullable=False),
        sa.Column("y", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", _INTEGER, nullable=False),
        sa.Column("revoked_at_ms", _INTEGER, nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["validator.device_id"], name=op.f("fk_validator_key_device_id_validator")
        ),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_validator_key")),
    )
    op.create_index(op.f("ix_validator_key_device_id"), "validator_key", ["device_id"], unique=False)


def _create_tap() -> None:
    op.create_table(
        "tap",
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", _INTEGER, autoincrement=False, nullable=False),
        sa.Column("sequence", _INTEGER, autoincrement=False, nullable=False),
        sa.Column("batch_id", _INTEGER, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("kind", _INTEGER, nullable=False),
        sa.Column("medium", _INTEGER, nullable=True),
        sa.Column("token_key_version", _INTEGER, nullable=True),
        sa.Column("token", sa.LargeBinary(), nullable=True),
        sa.Column("card_counter", _INTEGER, nullable=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=True),
        sa.Column("tapped_at_s", _INTEGER, nullable=False),
        sa.Column("clock_quality", _INTEGER, nullable=False),
        sa.Column("uptime_ms", _INTEGER, nullable=False),
        sa.Column("boot", _INTEGER, nullable=False),
        sa.Column("product", _INTEGER, nullable=True),
        sa.Column("fare_minor", _INTEGER, nullable=True),
        sa.Column("category", _INTEGER, nullable=True),
        sa.Column("line", _INTEGER, nullable=True),
        sa.Column("trip", _INTEGER, nullable=True),
        sa.Column("stop", _INTEGER, nullable=True),
        sa.Column("decision", _INTEGER, nullable=True),
        sa.Column("balance_minor", _INTEGER, nullable=True),
        sa.Column("reference_first", _INTEGER, nullable=True),
        sa.Column("reference_last", _INTEGER, nullable=True),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("fare_table", _INTEGER, nullable=True),
        sa.Column("deny_list", _INTEGER, nullable=True),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("vehicle", sa.Text(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["raw_batch.id"], name=op.f("fk_tap_batch_id_raw_batch")),
        sa.ForeignKeyConstraint(["device_id"], ["validator.device_id"], name=op.f("fk_tap_device_id_validator")),
        sa.PrimaryKeyConstraint("device_id", "epoch", "sequence", name=op.f("pk_tap")),
    )
    op.create_index(op.f("ix_tap_city_service_day_kind"), "tap", ["city", "service_day", "kind"], unique=False)
    op.create_index(op.f("ix_tap_token_tapped_at_s"), "tap", ["token", "tapped_at_s"], unique=False)


def _create_tap_conflict() -> None:
    op.create_table(
        "tap_conflict",
        sa.Column("id", _INTEGER, nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", _INTEGER, nullable=False),
        sa.Column("sequence", _INTEGER, nullable=False),
        sa.Column("batch_id", _INTEGER, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("record_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_ms", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["raw_batch.id"], name=op.f("fk_tap_conflict_batch_id_raw_batch")),
        sa.ForeignKeyConstraint(
            ["device_id"], ["validator.device_id"], name=op.f("fk_tap_conflict_device_id_validator")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tap_conflict")),
        sa.UniqueConstraint(
            "device_id",
            "epoch",
            "sequence",
            "record_sha256",
            name=op.f("uq_tap_conflict_device_id_epoch_sequence_record_sha256"),
        ),
    )


def _forbid_changes() -> None:
    """Let the database itself refuse to change or delete what must stay."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION jolaqy_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
    for table in _APPEND_ONLY:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f'CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "{table}" '
                "FOR EACH STATEMENT EXECUTE FUNCTION jolaqy_append_only()"
            )
            continue
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f'CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON "{table}" '
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _enter_local_administrator() -> None:
    """Whoever sits at the machine itself is a principal like any other."""
    op.execute(
        "INSERT INTO principal (id, name, kind, disabled, created_at_ms) VALUES ('local', 'local', 'local', false, 0)"
    )
    op.execute("INSERT INTO access_grant (principal_id, role) VALUES ('local', 'administrator')")
