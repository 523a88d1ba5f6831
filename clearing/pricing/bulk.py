"""Many fares into their table at once, by the quickest way that each database has, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import insert
from sqlalchemy.orm import Session

from clearing.pricing.models import Fare

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Table

_FARE = cast("Table", Fare.__table__)
_COLUMNS = tuple(column.name for column in _FARE.columns if column.name != "id")
_INSERT = insert(_FARE)
_COPY = f"COPY {_FARE.name} ({', '.join(_COLUMNS)}) FROM STDIN"


def insert_fares(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of `fare`; every row has every column but its number."""
    if not rows:
        return
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        connection.execute(_INSERT, rows)
        return
    driver = cast("psycopg.Connection", connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(_COPY.encode()) as copy:
        for row in rows:
            copy.write_row([row[name] for name in _COLUMNS])
