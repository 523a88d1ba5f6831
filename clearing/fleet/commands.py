"""Commands of the fleet: `jolaqy validator invite`, `list`, `revoke` and `release`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from clearing.access.roles import Caller
from clearing.cli import (
    EXIT_NOTHING_FOUND,
    AsOfOption,
    CityOption,
    JsonOption,
    Office,
    fail,
    local_or_fail,
    note,
    open_office,
    print_json,
    print_rows,
)
from clearing.fleet.api import validator_view
from clearing.fleet.authority_commands import authorities
from clearing.fleet.enrolment import invite
from clearing.fleet.key_commands import fail_waiting, keys_or_fail
from clearing.fleet.key_commands import keys as key_commands
from clearing.fleet.service import find_validator, list_validators, parse_device, release_by_two, revoke

validators = typer.Typer(help="Validators.", no_args_is_help=True)


def _caller(office: Office) -> Caller:
    with office.database.reading() as session:
        return local_or_fail(session)


@validators.command("invite")
def invite_command(
    vehicle: Annotated[str, typer.Option(help="Vehicle that it is mounted in, such as A-101.")],
    city: CityOption = "almaty",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Print a one-time code with which a validator enrols.

    Example: jolaqy validator invite --vehicle A-101
    """
    with open_office(as_of) as office:
        keys = keys_or_fail(office)
        caller = _caller(office)
        with office.database.writing() as session:
            code = invite(session, keys, caller, office.clock.now_ms(), city, vehicle)
    if as_json:
        print_json({"city": city, "vehicle": vehicle, "code": code})
    else:
        note(f"code for a validator in {city} {vehicle}; it is good once, for seven days:")
        print(code)


@validators.command("list")
def list_command(city: Annotated[str, typer.Option(help="Only this city.")] = "", as_json: JsonOption = False) -> None:
    """List the validators and when they were last heard of.

    Example: jolaqy validator list --city almaty
    """
    with open_office() as office, office.database.reading() as session:
        found = list_validators(session, frozenset({city}) if city else None)
    if as_json:
        print_json({"validators": [validator_view(validator) for validator in found]})
    elif found:
        print_rows(
            "Validators",
            ("City", "Vehicle", "Device", "Status", "Epoch", "Stored up to", "Last seen (UTC)"),
            [
                (
                    each.city,
                    each.vehicle,
                    each.device_id.hex(),
                    each.status,
                    each.epoch,
                    each.acked_sequence,
                    _moment(each.last_seen_ms),
                )
                for each in found
            ],
        )
    if not found and not as_json:
        fail("there is no validator", "enrol one: jolaqy validator invite --vehicle CODE", EXIT_NOTHING_FOUND)


@validators.command("revoke")
def revoke_command(
    device: Annotated[str, typer.Argument(help="Device id, 32 hexadecimal digits.")],
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Trust nothing more that a validator signs.

    Example: jolaqy validator revoke 00112233445566778899aabbccddeeff
    """
    with open_office(as_of) as office:
        caller = _caller(office)
        with office.database.writing() as session:
            view = validator_view(revoke(session, caller, office.clock.now_ms(), parse_device(device)))
    if as_json:
        print_json(view)
    else:
        print(f"revoked: {view['city']} {view['vehicle']} {view['device']}")


@validators.command("release")
def release_command(
    device: Annotated[str, typer.Argument(help="Device id, 32 hexadecimal digits.")],
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """End a quarantine, so that the validator can be enrolled anew. It needs two persons: the first call asks for the second.

    Example: jolaqy validator release 00112233445566778899aabbccddeeff
    """
    with open_office(as_of) as office:
        caller = _caller(office)
        with office.database.writing() as session:
            device_id = parse_device(device)
            waiting = release_by_two(session, caller, office.clock.now_ms(), device_id)
            view = validator_view(find_validator(session, device_id))
    if waiting is not None:
        fail_waiting(waiting.id)
    if as_json:
        print_json(view)
    else:
        print(f"released: {view['city']} {view['vehicle']} {view['device']}; enrol it anew")


def _moment(at_ms: int | None) -> str:
    return "never" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(validators, name="validator")
    app.add_typer(key_commands, name="keys")
    app.add_typer(authorities, name="authorities")
