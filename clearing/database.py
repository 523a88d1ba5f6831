"""The database: one engine, two kinds of session, and the base class of every table.

SQLite (write-ahead log, `synchronous=FULL`) is the embedded default, PostgreSQL is used by URL; both run the same code.
A *reading* session never takes the write lock. A *writing* session takes it when it begins (`BEGIN IMMEDIATE`), so that
SQLite cannot refuse a transaction half way because somebody else wrote in between. It commits at the end of its block,
and only then may anybody be told that something is stored. This module knows nothing of any feature.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

LOCK_TIMEOUT_MS = 15_000
_POOL_CONNECTIONS = 40
_WRITING = "jolaqy_writing"


class Base(DeclarativeBase):
    """The base of all tables: constraints have predictable names, integers 64 bits, text no length."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    # SQLite numbers rows by itself only in a column it calls INTEGER.
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger().with_variant(Integer(), "sqlite"),
        str: Text(),
        bytes: LargeBinary(),
    }


def open_engine(url: str, lock_timeout_ms: int) -> Engine:
    """Open the database of a URL; who waits longer for a lock than the timeout gets an OperationalError.

    Parameters of statements stay out of messages and logs: they hold tokens.
    """
    if make_url(url).get_backend_name() == "sqlite":
        arguments: dict[str, Any] = {"check_same_thread": False, "timeout": lock_timeout_ms / 1000}
        engine = create_engine(url, connect_args=arguments, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    arguments = {"options": f"-c lock_timeout={lock_timeout_ms}"}
    return create_engine(
        url, pool_size=_POOL_CONNECTIONS, pool_pre_ping=True, connect_args=arguments, hide_parameters=True
    )


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver would open transactions by itself, and only before a change; ours say BEGIN themselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


class Database:
    """What the rest of the service holds: it hands out sessions.

    Attributes:
        engine: for bulk exports; everything else takes a session.
        writing_engine: the same, but its transactions take the write lock when they begin.
    """

    def __init__(self, url: str, lock_timeout_ms: int = LOCK_TIMEOUT_MS) -> None:
        self.engine = open_engine(url, lock_timeout_ms)
        # SQLite has one writer. Those of this process queue here, in order, instead of polling for its lock.
        self._turn: AbstractContextManager[Any] = Lock() if self.engine.dialect.name == "sqlite" else nullcontext()
        self.writing_engine = self.engine.execution_options(**{_WRITING: True})

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that changes nothing."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits at the end of the block; an exception rolls everything back."""
        with self._turn, Session(self.writing_engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()
