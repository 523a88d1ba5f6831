from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from clearing.database import Database
from clearing.fleet.models import Validator, ValidatorKey
from clearing.schema import current_revision, migrate, newest_revision
from clearing.tables import APPEND_ONLY, all_tables

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders import Device, Office


def test_the_migrated_schema_is_the_one_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, all_tables()) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert current_revision(database) == newest_revision()
    assert migrate(database) == newest_revision()


def test_a_fresh_database_has_no_revision() -> None:
    database = Database("sqlite://")
    assert current_revision(database) is None
    database.close()


def test_a_database_of_the_first_schema_keeps_what_it_holds(empty_database: Database) -> None:
    migrate(empty_database, "0001")
    with empty_database.writing() as session:
        session.execute(text("INSERT INTO city VALUES ('almaty', 1, '{}', 'Asia/Almaty', 'KZT', '')"))
        session.execute(text("INSERT INTO carrier VALUES ('almaty', 'alatau', '{}')"))
        session.execute(text("INSERT INTO route VALUES ('almaty', 1, 'alatau', '{}')"))
        session.execute(text("INSERT INTO vehicle VALUES ('almaty', 'A-101', 'alatau', 1)"))
        session.execute(
            text(
                "INSERT INTO validator (device_id, city, carrier, vehicle, line, profile, status, epoch, acked_sequence,"
                " head, enrolled_at_ms) VALUES (:id, 'almaty', 'alatau', 'A-101', 1, 2, 'active', 1, 5, :head, 7)"
            ),
            {"id": b"d" * 16, "head": b"h" * 32},
        )
        session.execute(
            text("INSERT INTO validator_key (kid, device_id, x, y, created_at_ms) VALUES (:kid, :id, :x, :x, 7)"),
            {"kid": b"k" * 8, "id": b"d" * 16, "x": b"x" * 32},
        )
    assert migrate(empty_database) == newest_revision()
    with empty_database.writing() as session:
        validator = session.get_one(Validator, b"d" * 16)
        assert (validator.acked_sequence, validator.ack_kid, validator.boot_unsettled) == (5, None, False)
        assert session.get_one(ValidatorKey, b"k" * 8).sealed is None
        validator.status = "retired"
    for change in ("UPDATE validator SET status = 'lost'", "UPDATE validator_key SET x = NULL"):
        with pytest.raises(DBAPIError), empty_database.writing() as session:
            session.execute(text(change))
    with pytest.raises(DBAPIError), empty_database.writing() as session:
        session.execute(text("DELETE FROM validator"))  # its key refers to it


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_every_append_only_table_is_guarded(database: Database, table: str) -> None:
    if database.engine.dialect.name == "sqlite":
        with database.reading() as session:
            guards = session.scalars(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"), {"table": table}
            )
            assert sorted(guards) == [f"{table}_no_delete", f"{table}_no_update"]
        return
    for change in (f'DELETE FROM "{table}"', f'TRUNCATE "{table}" CASCADE'):  # noqa: S608 - a name of our own
        with pytest.raises(DBAPIError, match="append-only"), database.writing() as session:
            session.execute(text(change))


@pytest.mark.parametrize("change", ["UPDATE raw_batch SET status = 1", "DELETE FROM raw_batch"])
def test_a_raw_batch_cannot_be_changed(office: Office, device: Device, change: str) -> None:
    office.send(device, device.message([device.record()]))
    with pytest.raises(DBAPIError, match="append-only"), office.database.writing() as session:
        session.execute(text(change))


@pytest.mark.parametrize("change", ["UPDATE audit_record SET subject = 'x'", "DELETE FROM audit_record"])
def test_an_audit_record_cannot_be_changed(office: Office, device: Device, change: str) -> None:
    assert device.enrolled is not None
    with pytest.raises(DBAPIError, match="append-only"), office.database.writing() as session:
        session.execute(text(change))


def test_sqlite_keeps_what_it_commits(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'jolaqy.db'}")
    with database.reading() as session:
        settings = [
            session.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    database.close()
    assert settings == ["wal", 2, 1]
