"""The databases of the ingest measure: a service on each, and the bare way into its `tap` table."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import psycopg

from tests.builders import NOW_MS
from tests.clearing.postgresql import PostgresqlServer, find_programs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Row = Sequence[Any]

_DATABASE = "bench"


class Store(ABC):
    """A service on a database of its own, its clock standing still.

    Attributes:
        name, peer: of the database, and of the bare way into it.
        url: of the service.
    """

    name: str
    peer: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        folder.mkdir()

    def __enter__(self) -> Self:
        clock = self.folder / "clock"
        clock.write_bytes(NOW_MS.to_bytes(8, "little"))
        environment = os.environ | {"JOLAQY_HOME": str(self.folder), "JOLAQY_DATABASE_URL": self._open()}
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "clearing", "serve", "--port", "0", "--clock-file", str(clock)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError((self.folder / "log").read_text())
        self.url = line.split()[-1]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._close()

    def insert_bare(self, clients: int) -> float:
        """Take all taps out of their table, put them back as they came, and return taps a second; the table is empty after."""
        columns, batches = self._take_out()
        begun = time.perf_counter()
        self._put_back(columns, batches, clients)
        seconds = time.perf_counter() - begun
        self._take_out()
        return sum(len(batch) for batch in batches) / seconds

    @abstractmethod
    def _open(self) -> str:
        """Start what the database needs and return its URL."""

    @abstractmethod
    def _close(self) -> None:
        """End it."""

    @abstractmethod
    def _take_out(self) -> tuple[list[str], list[list[Row]]]:
        """Empty the table; return its columns, and its rows by batch."""

    @abstractmethod
    def _put_back(self, columns: list[str], batches: list[list[Row]], clients: int) -> None:
        """Insert each batch in a transaction of its own."""


def _by_batch(columns: list[str], rows: list[Row]) -> list[list[Row]]:
    place = columns.index("batch_id")
    batches: dict[int, list[Row]] = {}
    for row in rows:
        batches.setdefault(row[place], []).append(row)
    return list(batches.values())


class SqliteStore(Store):
    """SQLite, by `executemany`."""

    name = "SQLite"
    peer = "executemany"

    def _open(self) -> str:
        self._path = self.folder / "jolaqy.db"
        return f"sqlite:///{self._path}"

    def _close(self) -> None:
        """Nothing is left to end."""

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _take_out(self) -> tuple[list[str], list[list[Row]]]:
        connection = self._connect()
        cursor = connection.execute("SELECT * FROM tap ORDER BY batch_id, sequence")
        columns = [column[0] for column in cursor.description]
        batches = _by_batch(columns, cursor.fetchall())
        connection.execute("DELETE FROM tap")
        connection.close()
        return columns, batches

    def _put_back(self, columns: list[str], batches: list[list[Row]], clients: int) -> None:
        del clients  # SQLite has one writer
        statement = f"INSERT INTO tap ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - its own columns
        connection = self._connect()
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, batch)
            connection.execute("COMMIT")
        connection.close()


class PostgresqlStore(Store):
    """PostgreSQL, by COPY."""

    name = "PostgreSQL"
    peer = "COPY"

    def _open(self) -> str:
        programs = find_programs()
        if programs is None:
            raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
        self._server = PostgresqlServer(programs, is_durable=True)
        self._server.execute(f"CREATE DATABASE {_DATABASE}")
        return self._server.url(_DATABASE)

    def _close(self) -> None:
        self._server.stop()

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._server.url(_DATABASE).replace("+psycopg", ""))

    def _take_out(self) -> tuple[list[str], list[list[Row]]]:
        with self._connect() as connection:
            cursor = connection.execute("SELECT * FROM tap ORDER BY batch_id, sequence")
            columns = [column.name for column in cursor.description or ()]
            batches = _by_batch(columns, list(cursor.fetchall()))
            connection.execute("TRUNCATE tap")
        return columns, batches

    def _put_back(self, columns: list[str], batches: list[list[Row]], clients: int) -> None:
        with ThreadPoolExecutor(clients) as pool:
            shares = [batches[number::clients] for number in range(clients)]
            list(pool.map(lambda share: self._copy(columns, share), shares))

    def _copy(self, columns: list[str], batches: list[list[Row]]) -> None:
        statement = f"COPY tap ({', '.join(columns)}) FROM STDIN".encode()
        with self._connect() as connection:
            for batch in batches:
                with connection.cursor() as cursor, cursor.copy(statement) as copy:
                    for row in batch:
                        copy.write_row(row)
                connection.commit()
