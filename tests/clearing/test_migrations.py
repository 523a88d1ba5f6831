from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from clearing.database import Database
from clearing.schema import current_revision, migrate, newest_revision
from clearing.tables import APPEND_ONLY, all_tables

if TYPE_CHECKING:
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


def test_every_append_only_table_exists(database: Database) -> None:
    assert set(APPEND_ONLY) <= set(inspect(database.engine).get_table_names())


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


def test_sqlite_keeps_what_it_commits(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("settings of SQLite")
    with database.reading() as session:
        settings = [
            session.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]
