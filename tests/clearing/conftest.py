"""Fixtures of the back office: every test has a database of its own, once on SQLite and once on PostgreSQL.

A database is copied from one that was migrated, and has the city package in it, once for the whole run.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.exceptions import StarletteDeprecationWarning

from clearing.app import create_app
from clearing.clock import FixedClock
from clearing.commands import prepare
from clearing.database import Database
from clearing.fleet.keys import KeyStore, open_keys
from clearing.settings import Settings
from tests.builders import NOW_MS, Device, Office
from tests.clearing.command import Command
from tests.clearing.postgresql import PostgresqlServer, fast_folder, find_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

with warnings.catch_warnings():
    # The test client works over httpx, which the simulator needs anyway, but says that it prefers the successor.
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient

_TEMPLATE = "template_jolaqy"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def keys_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    open_keys(path)
    return path


@pytest.fixture(scope="session")
def keys(keys_path: Path) -> KeyStore:
    return open_keys(keys_path)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = PostgresqlServer(programs)
    yield server
    server.stop()


def _prepare(url: str, keys: KeyStore) -> None:
    database = Database(url)
    prepare(database, keys, NOW_MS, ["almaty"])
    database.close()


@pytest.fixture(scope="session")
def sqlite_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="jq", dir=fast_folder()))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def sqlite_template(sqlite_folder: Path, keys: KeyStore) -> Path:
    path = sqlite_folder / "template.db"
    _prepare(f"sqlite:///{path}", keys)
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: PostgresqlServer, keys: KeyStore) -> str:
    postgresql.execute(f'CREATE DATABASE "{_TEMPLATE}"')
    _prepare(postgresql.url(_TEMPLATE), keys)
    return _TEMPLATE


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a migrated database with the city Almaty in it."""
    name = f"test_{next(_numbers)}"
    if request.param == "sqlite":
        path = shutil.copyfile(
            request.getfixturevalue("sqlite_template"), request.getfixturevalue("sqlite_folder") / f"{name}.db"
        )
        yield f"sqlite:///{path}"
        path.unlink()
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    yield server.copy(request.getfixturevalue("postgresql_template"), name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without a table in it."""
    name = f"test_{next(_numbers)}"
    server: PostgresqlServer | None = None
    url = f"sqlite:///{tmp_path / name}.db"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        server.execute(f'CREATE DATABASE "{name}"')
        url = server.url(name)
    database = Database(url)
    yield database
    database.close()
    if server is not None:
        server.drop(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW_MS)


@pytest.fixture
def settings(tmp_path: Path, keys_path: Path, database_url: str) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("keys.json", "roots.json"):
        shutil.copy(keys_path.with_name(name), home / name)
    return Settings(home, database_url)


@pytest.fixture
def app(settings: Settings, clock: FixedClock) -> FastAPI:
    return create_app(settings, clock)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client on the machine itself: the local administrator."""
    with TestClient(app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def office(client: TestClient, database: Database, keys: KeyStore, clock: FixedClock) -> Office:
    return Office(client, database, keys, clock)


@pytest.fixture
def device(office: Office) -> Device:
    """A validator in bus A-101, enrolled."""
    return office.enrol(Device(seed=1), vehicle="A-101")


@pytest.fixture
def command(settings: Settings) -> Command:
    """The `jolaqy` command beside the service, on the same database."""
    return Command(settings.home, settings.database_url)
