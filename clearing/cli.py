"""What the commands of all features share: exit codes, output as a table or as JSON, and errors that say what to do.

A command prints its result on standard output and everything else on standard error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import local_caller
from clearing.clock import Clock, open_clock, parse_day
from clearing.database import Database
from clearing.endpoint import ConflictError, NotFoundError, RefusedError
from clearing.settings import Settings, read_settings

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_NOTHING_FOUND = 3
EXIT_CHECK_FAILED = 4
EXIT_CONFLICT = 5

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
AsOfOption = Annotated[
    str, typer.Option("--as-of", metavar="MOMENT", help="Pretend that it is this ISO date or time (UTC).")
]
CityOption = Annotated[str, typer.Option("--city", help="City, by its code.")]

_NUMBER = re.compile(r"(-?[0-9]+(\.[0-9]+)?)?")
_errors = Console(stderr=True, soft_wrap=True)
# A file has no width: nothing is cut off in it.
_output = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 240)


def fail(message: str, remedy: str = "", exit_code: int = EXIT_ERROR) -> NoReturn:
    """End the command: say what is wrong and what to do about it."""
    _errors.print(f"[bold red]error:[/] {escape(message)}", highlight=False)
    if remedy:
        _errors.print(f"[dim]{escape(remedy)}[/]", highlight=False)
    raise typer.Exit(exit_code)


def local_or_fail(session: Session) -> Caller:
    """Whoever sits at the machine, as the local administrator; or the end of the command."""
    return local_caller(session) or fail("the local administrator is disabled", "do it over HTTP with a token")


def note(message: str) -> None:
    """Say something on the side, on standard error."""
    _errors.print(message, highlight=False, markup=False)


def day_argument(text: str, name: str = "DAY") -> str:
    """The service day of an argument or option, or the end of the command."""
    try:
        return parse_day(text)
    except ValueError as error:
        fail(f"{name} is not a day: {text}", str(error), EXIT_USAGE)


def print_json(value: object) -> None:
    """Print one JSON value, keys sorted."""
    print(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, default=str))


def print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers stand to the right."""
    table = Table(title=escape(title), title_justify="left")
    for index, column in enumerate(columns):
        numbers = all(_NUMBER.fullmatch(_cell(row[index])) for row in rows)
        table.add_column(column, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(escape(_cell(cell)) for cell in row))
    _output.print(table)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


class Office:
    """The back office as a command meets it.

    Attributes:
        settings, database, clock: what every service function needs one of.
    """

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock


@contextmanager
def open_office(as_of: str = "") -> Iterator[Office]:
    """Open the database of this installation, and turn refusals into exit codes."""
    settings = read_settings()
    try:
        clock = open_clock(as_of=as_of)
    except ValueError:
        fail(f"--as-of is not an ISO date or time: {as_of}", "write 2024-05-15 or 2024-05-15T22:00+05:00", EXIT_USAGE)
    database = Database(settings.database_url)
    try:
        yield Office(settings, database, clock)
    except NotFoundError as error:
        fail(error.message, error.remedy, EXIT_NOTHING_FOUND)
    except ConflictError as error:
        fail(error.message, error.remedy, EXIT_CONFLICT)
    except RefusedError as error:
        fail(error.message, error.remedy)
    except (OperationalError, ProgrammingError) as error:
        fail(f"the database refused: {_first_line(error)}", _remedy(error))
    finally:
        database.close()


def _remedy(error: DBAPIError) -> str:
    if isinstance(error, ProgrammingError) or "no such" in _first_line(error):
        return "it lacks tables or is of an older version: run jolaqy db migrate"
    return "see that it runs, that JOLAQY_DATABASE_URL names it, and that nobody holds it; then try again"


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).splitlines()[0]
