"""Commands of settlement: `jolaqy close run|show|export DAY`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from clearing.access.service import local_caller
from clearing.cli import (
    EXIT_USAGE,
    AsOfOption,
    CityOption,
    JsonOption,
    day_argument,
    fail,
    note,
    open_office,
    print_json,
    print_rows,
)
from clearing.fleet.key_commands import keys_or_fail
from clearing.money import format_minor
from clearing.settlement.export import as_csv, as_dict
from clearing.settlement.service import VERSION_MAX, CloseView, close_of, run_close

closes = typer.Typer(help="Service days made final.", no_args_is_help=True)
DayArgument = Annotated[str, typer.Argument(help="Service day, YYYY-MM-DD.")]
VersionOption = Annotated[int | None, typer.Option(help="An earlier version.", min=1, max=VERSION_MAX)]


@closes.command("run")
def run_command(
    day: DayArgument, city: CityOption = "almaty", as_json: JsonOption = False, as_of: AsOfOption = ""
) -> None:
    """Close a service day: price it, freeze its totals, book its entries. Late taps make a further version.

    Example: jolaqy close run 2024-05-15
    """
    day = day_argument(day)
    with open_office(as_of) as office:
        if not as_json:
            note(f"closing {day} of {city} …")
        with office.database.writing() as session:
            caller = local_caller(session)
            if caller is None:
                fail("the local administrator is disabled", "close the day over HTTP with a token")
            close = run_close(session, city, day, caller.principal_id, office.clock.now_ms(), keys_or_fail(office))
    _print(close, as_json)


@closes.command("show")
def show_command(
    day: DayArgument,
    city: CityOption = "almaty",
    version: VersionOption = None,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Show a closed day.

    Example: jolaqy close show 2024-05-15
    """
    _print(_find(as_of, city, day_argument(day), version), as_json)


@closes.command("export")
def export_command(
    day: DayArgument,
    city: CityOption = "almaty",
    version: VersionOption = None,
    output: Annotated[Path | None, typer.Option(help="File to write, .json or .csv; standard output without.")] = None,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Write a closed day for other programs: CSV, or JSON with --json or to a file whose name ends in .json.

    Example: jolaqy close export 2024-05-15 --output day.csv
    """
    day = day_argument(day)
    if output is not None and output.suffix not in {".json", ".csv"}:
        fail(f"cannot tell the format of {output.name}", "end the name in .json or .csv", EXIT_USAGE)
    if output is not None and as_json and output.suffix != ".json":
        fail(f"--json does not go with {output.name}", "end the name in .json, or leave out --json", EXIT_USAGE)
    close = _find(as_of, city, day, version)
    text = _json_text(close) if as_json or (output is not None and output.suffix == ".json") else as_csv(close)
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}", "name a file that may be written, in a folder that is there")
    note(f"written: {output}")


def _json_text(close: CloseView) -> str:
    return json.dumps(as_dict(close), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _find(as_of: str, city: str, day: str, version: int | None) -> CloseView:
    with open_office(as_of) as office, office.database.reading() as session:
        return close_of(session, city, day, version)


def _print(close: CloseView, as_json: bool) -> None:
    if as_json:
        print_json(as_dict(close))
        return
    totals = close.totals
    rows = [[row.medium, row.trips, format_minor(row.fares_minor)] for row in totals.media]
    rows.append(["all", totals.rides, format_minor(totals.fares_minor)])
    print_rows(f"{close.city} {close.day}, version {close.version}", ["medium", "rides", "fares ₸"], rows)
    print_rows(
        "Carriers",
        ["carrier", "rides", "fares ₸"],
        [[row.name, row.trips, format_minor(row.fares_minor)] for row in close.carriers],
    )
    trips, revenue = (
        "none" if share is None else f"{share} %"
        for share in (totals.share_trips_percent, totals.share_revenue_percent)
    )
    print(f"cashless share: {trips} of trips, {revenue} of revenue")
    print(f"refused {totals.refused}, unknown {totals.unknown}, exceptions {totals.exceptions}")
    print(f"sha256 {close.sha256}")


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(closes, name="close")
