"""Commands of ingest: `jolaqy exceptions list` and `resolve`, `jolaqy admission show`, `maintenance` and `firmware-min`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from clearing.cli import (
    EXIT_NOTHING_FOUND,
    EXIT_USAGE,
    AsOfOption,
    CityOption,
    JsonOption,
    day_argument,
    fail,
    local_or_fail,
    open_office,
    print_json,
    print_rows,
)
from clearing.fleet.switches import FIRMWARE_MIN, MAINTENANCE, Switches, read_switches, turn
from clearing.ingest.api import exception_view
from clearing.ingest.exceptions import REMEDIES, Asked, list_exceptions, resolve

admission = typer.Typer(help="How validators are treated.", no_args_is_help=True)
exceptions = typer.Typer(help="What a person should look at.", no_args_is_help=True)


@exceptions.command("list")
def list_command(
    city: CityOption = "almaty",
    day: Annotated[str, typer.Option(help="Only this service day, YYYY-MM-DD.")] = "",
    reason: Annotated[str, typer.Option(help="Only this reason, such as fork.")] = "",
    resolved: Annotated[bool, typer.Option("--resolved/--open", help="Those that somebody has looked at.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what a person should look at, each with what to do; exit code 3 when there is nothing.

    Example: jolaqy exceptions list --day 2024-05-15
    """
    if reason and reason not in REMEDIES:
        fail(f"there is no reason {reason}", f"reasons: {', '.join(sorted(REMEDIES))}", EXIT_USAGE)
    asked = Asked(city, day_argument(day, "--day") if day else None, reason or None, resolved)
    with open_office() as office, office.database.reading() as session:
        found = list_exceptions(session, asked)
    if as_json:
        print_json({"exceptions": [exception_view(row, vehicle) for row, vehicle in found]})
    elif found:
        print_rows(
            "Exceptions",
            (
                "Number",
                "Day",
                "Vehicle",
                "Sequence",
                "Reason",
                "What happened",
                "What to do" if not resolved else "Note",
            ),
            [
                (
                    row.id,
                    row.service_day,
                    vehicle,
                    row.sequence,
                    row.reason,
                    row.detail,
                    row.resolution if resolved else REMEDIES.get(row.reason, ""),
                )
                for row, vehicle in found
            ],
        )
    else:
        fail("there is nothing to look at", "", EXIT_NOTHING_FOUND)


@exceptions.command("resolve")
def resolve_command(
    number: Annotated[int, typer.Argument(help="Number of the exception.")],
    text: Annotated[str, typer.Option("--note", help="What came out of it.")],
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Say what came out of looking at an exception; exit code 5 when somebody has said it already.

    Example: jolaqy exceptions resolve 12 --note "clock battery replaced"
    """
    with open_office(as_of) as office, office.database.writing() as session:
        caller = local_or_fail(session)
        row = resolve(session, caller, office.clock.now_ms(), number, text)
    if as_json:
        print_json(exception_view(row))
    else:
        print(f"resolved: {row.reason} of {row.service_day}")


@admission.command("show")
def show_command(as_json: JsonOption = False) -> None:
    """Show how validators are treated now.

    Example: jolaqy admission show
    """
    with open_office() as office, office.database.reading() as session:
        switches = read_switches(session)
    _print(switches, as_json)


@admission.command("maintenance")
def maintenance_command(
    state: Annotated[Literal["on", "off"], typer.Argument(help="on: store nothing that validators send.")],
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Close the service for validators for a while; they keep what they have and come back.

    Example: jolaqy admission maintenance on
    """
    _turn(MAINTENANCE, int(state == "on"), as_of, as_json)


@admission.command("firmware-min")
def firmware_command(
    number: Annotated[int, typer.Argument(help="Number of the oldest bundle that is still spoken with; 0 for any.")],
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Ask validators with an older firmware to upgrade before they send anything.

    Example: jolaqy admission firmware-min 3
    """
    _turn(FIRMWARE_MIN, number, as_of, as_json)


def _turn(name: str, value: int, as_of: str, as_json: bool) -> None:
    with open_office(as_of) as office:
        with office.database.writing() as session:
            caller = local_or_fail(session)
            turn(session, caller, office.clock.now_ms(), name, value)
        with office.database.reading() as session:
            switches = read_switches(session)
    _print(switches, as_json)


def _print(switches: Switches, as_json: bool) -> None:
    if as_json:
        print_json(asdict(switches))
    else:
        print(
            f"maintenance: {'on' if switches.maintenance else 'off'}; oldest firmware: {switches.firmware_min or 'any'}"
        )


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(exceptions, name="exceptions")
    app.add_typer(admission, name="admission")
