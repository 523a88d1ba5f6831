"""The schema in the database: whether it is there, and how it is brought to the newest version (Alembic)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from clearing.database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def current_revision(database: Database) -> str | None:
    """The version of the schema that is there; absent when the database is fresh."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(database: Database, to: str = "head") -> str:
    """Bring the schema to the newest version (or to another one) and return the newest; all of it or nothing."""
    with database.writing_engine.connect() as connection, _loose_references(connection), connection.begin():
        command.upgrade(_config(connection), to)
        _refuse_broken_references(connection)
    return newest_revision()


@contextmanager
def _loose_references(connection: Connection) -> Iterator[None]:
    """Within the block SQLite lets a table be replaced to which others refer; it can be told so outside of a transaction only."""
    is_sqlite = connection.dialect.name == "sqlite"
    driver = connection.connection.driver_connection
    assert driver is not None
    if is_sqlite:
        driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        if is_sqlite:
            driver.execute("PRAGMA foreign_keys=ON")


def _refuse_broken_references(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise RuntimeError(f"{len(broken)} rows refer to what is not there: nothing was changed")
