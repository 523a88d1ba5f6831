"""Commands of the service itself: `jolaqy serve`, `jolaqy db migrate`."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from clearing.access.permission import is_loopback
from clearing.app import create_app
from clearing.city_load import keep_signed
from clearing.cli import EXIT_USAGE, AsOfOption, JsonOption, fail, note, open_office, print_json
from clearing.clock import Clock, open_clock
from clearing.database import Database
from clearing.endpoint import RefusedError
from clearing.fleet.key_file import KeysError
from clearing.fleet.keys import KeyStore, open_keys
from clearing.network.loading import changes_of, load_package
from clearing.network.package import PackageError, known_cities, package_folder, read_package
from clearing.network.service import list_cities
from clearing.schema import current_revision, migrate, newest_revision
from clearing.settings import Settings, read_settings

_DEFAULT_CITY = "almaty"

db = typer.Typer(help="The database.", no_args_is_help=True)


def prepare(database: Database, keys: KeyStore, now_ms: int, cities: Iterable[str]) -> dict[str, Any]:
    """Bring schema, city packages and signed documents up to date; returns what was done.

    A package that changes money in a city that is loaded waits: two persons load it (`jolaqy city load`).
    """
    before = current_revision(database)
    revision = migrate(database)
    loaded, waiting = [], []
    for code in cities:
        package = read_package(package_folder(code))
        with database.writing() as session:
            if any(change.is_money for change in changes_of(session, package) or ()):
                waiting.append(code)
            elif load_package(session, package):
                loaded.append(code)
            keep_signed(session, keys, code, now_ms)
    return {"revision_before": before, "revision": revision, "cities_loaded": loaded, "cities_waiting": waiting}


@db.command("migrate")
def migrate_command(
    city: Annotated[list[str] | None, typer.Option(help="City package to load; may be repeated.")] = None,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Bring the database to the newest schema and load city packages. Doing it again changes nothing.

    Example: jolaqy db migrate --city almaty
    """
    cities = city or [_DEFAULT_CITY]
    unknown = sorted(set(cities) - set(known_cities()))
    if unknown:
        fail(f"no city package {', '.join(unknown)}", f"there are: {', '.join(known_cities())}", EXIT_USAGE)
    with open_office(as_of) as office:
        done = prepare(office.database, _keys_or_fail(office.settings), office.clock.now_ms(), cities)
    for code in done["cities_waiting"]:
        note(
            f"{code}: its package changes money; two persons load it: jolaqy city diff {code}, jolaqy city load {code}"
        )
    if as_json:
        print_json(done)
    else:
        print(
            f"schema {done['revision']}; cities loaded: {', '.join(cities) if done['cities_loaded'] else 'no change'}"
        )


@db.command("status")
def status_command(as_json: JsonOption = False) -> None:
    """Say which schema the database has.

    Example: jolaqy db status
    """
    with open_office() as office:
        status = {"revision": current_revision(office.database), "newest": newest_revision()}
    if as_json:
        print_json(status)
    else:
        print(f"schema {status['revision'] or 'none'}, newest {status['newest']}")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    allow_host: Annotated[list[str] | None, typer.Option(help="A further name the service answers to.")] = None,
    clock_file: Annotated[Path | None, typer.Option(help="Read the time from this file (for a simulation).")] = None,
) -> None:
    """Serve the back office. A fresh database is prepared first.

    Example: jolaqy serve --port 8000
    """
    settings = read_settings()
    try:
        clock = open_clock(clock_file)
    except (OSError, ValueError) as error:
        fail(f"the clock file cannot be read: {error}", "it holds eight bytes, unix milliseconds", EXIT_USAGE)
    settings = replace(
        settings, hosts=(*settings.hosts, host, *(allow_host or ())), local_administrator=is_loopback(host)
    )
    _prepare_or_fail(settings, clock)
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        # Accepted connections inherit it; asyncio sets it only on sockets that say they are TCP, which this one does not.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        fail(f"cannot listen on {host}:{port}: {error.strerror}", "choose another port, or 0 for a free one")
    _run(uvicorn.Config(create_app(settings, clock), http="httptools", log_level="warning", lifespan="on"), listener)


def _prepare_or_fail(settings: Settings, clock: Clock) -> None:
    """Prepare a fresh database; refuse to serve an old schema."""
    database = Database(settings.database_url)
    try:
        revision = current_revision(database)
        if revision is None:
            note("the database is fresh: making its tables and loading the city package almaty")
            try:
                prepare(database, _keys_or_fail(settings), clock.now_ms(), [_DEFAULT_CITY])
            except PackageError as error:
                fail(str(error))
        elif revision != newest_revision():
            fail(
                f"the database has schema {revision}, this program needs {newest_revision()}", "run: jolaqy db migrate"
            )
        else:
            _keep_signed_or_note(database, _keys_or_fail(settings), clock.now_ms())
    finally:
        database.close()


def _keep_signed_or_note(database: Database, keys: KeyStore, now_ms: int) -> None:
    """Renew in time what the service has signed; where that cannot be, serve all the same: it is good for long."""
    with database.reading() as session:
        cities = [city.code for city in list_cities(session)]
    for code in cities:
        try:
            with database.writing() as session:
                keep_signed(session, keys, code, now_ms)
        except RefusedError as error:
            note(f"{error.message}: {error.remedy}")


def _keys_or_fail(settings: Settings) -> KeyStore:
    try:
        return open_keys(settings.keys_path)
    except KeysError as error:
        fail(str(error))


class _AnnouncingServer(uvicorn.Server):
    """Says where it listens as soon as it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            print(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def _run(config: uvicorn.Config, listener: socket.socket) -> None:
    # The server raises the signal that ended it once more; a requested end is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _AnnouncingServer(config).run(sockets=[listener])


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.command("serve")(serve)
    app.add_typer(db, name="db")
