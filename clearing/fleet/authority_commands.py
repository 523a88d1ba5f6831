"""Commands of bank cards' authorities: `jolaqy authorities list` and `publish`.

Whoever could add an authority alone could make bank cards of his own that every validator believes: so it takes two persons, as
keys do.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from clearing.access.service import approved_or_asked
from clearing.cli import (
    EXIT_NOTHING_FOUND,
    AsOfOption,
    CityOption,
    JsonOption,
    fail,
    local_or_fail,
    open_office,
    print_json,
    print_rows,
)
from clearing.fleet.api import Authorities
from clearing.fleet.card_authorities import (
    PublishedKey,
    as_list,
    newest_card_authorities,
    replace_card_authorities,
)
from clearing.fleet.key_commands import fail_waiting, keys_or_fail
from clearing.network.service import city_of
from protocol.card_authorities import CardAuthorities

authorities = typer.Typer(help="The authorities of bank cards.", no_args_is_help=True)
_FILE_BYTES_MAX = 1_000_000
_NAME_BYTES = 9


@authorities.command("list")
def list_command(city: CityOption = "almaty", as_json: JsonOption = False, as_of: AsOfOption = "") -> None:
    """List whose bank cards a city believes, and what was revoked.

    Example: jolaqy authorities list --city almaty
    """
    with open_office(as_of) as office, office.database.reading() as session:
        held = newest_card_authorities(session, city, office.clock.now_ms())
    if held is None:
        fail(
            f"{city} believes no bank cards",
            "let it believe some: jolaqy authorities publish FILE",
            EXIT_NOTHING_FOUND,
        )
    view = _view(city, held)
    if as_json:
        print_json(view)
        return
    print_rows(
        f"Authorities of {city}, list {held.number}, to be renewed by {view['expires']}",
        ("RID", "Index", "Bits", "Exponent", "Last month"),
        [
            (each["rid"], f"{each['index']:02X}", each["bits"], each["exponent"], each["expires_yymm"])
            for each in view["keys"]
        ],
    )
    print(f"revoked: {', '.join(view['revoked']) or 'nothing'}")


def _view(city: str, held: CardAuthorities) -> dict[str, Any]:
    revoked = held.revoked.hex()
    return {
        "city": city,
        "number": held.number,
        "expires": datetime.fromtimestamp(held.expires_s, UTC).date().isoformat(),
        "keys": [
            {
                "rid": key.rid.hex().upper(),
                "index": key.index,
                "bits": len(key.modulus) * 8,
                "exponent": key.exponent,
                "expires_yymm": key.expires_yymm.hex(),
            }
            for key in held.keys
        ],
        "revoked": [revoked[at : at + 2 * _NAME_BYTES] for at in range(0, len(revoked), 2 * _NAME_BYTES)],
    }


@authorities.command("publish")
def publish_command(
    file: Annotated[Path, typer.Argument(help="JSON: `keys` and `revoked`, as POST /v1/card-authorities takes them.")],
    city: CityOption = "almaty",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Let these be the authorities of a city, and no others. It needs two persons: the first call asks, the one after does it.

    Validators take the list with their next batch.

    Example: jolaqy authorities publish authorities.json --city almaty
    """
    asked = _read(file, city)
    published = [PublishedKey(**key.model_dump()) for key in asked.keys]
    with open_office(as_of) as office:
        store, now_ms = keys_or_fail(office), office.clock.now_ms()
        with office.database.writing() as session:
            caller = local_or_fail(session)
            body = asked.model_dump_json().encode()
            as_list(published, asked.revoked)  # nobody is asked to approve what is no list
            city_of(session, city)
            waiting = approved_or_asked(session, caller, now_ms, "authority.write", city, body)
            number = 0
            if waiting is None:
                number = replace_card_authorities(session, store, caller, now_ms, city, published, asked.revoked)
    if waiting is not None:
        fail_waiting(waiting.id)
    counts = {"keys": len(asked.keys), "revoked": len(asked.revoked)}
    if as_json:
        print_json({"city": city, "number": number} | counts)
    else:
        print(f"{city}: list {number} with {counts['keys']} keys and {counts['revoked']} revoked")


def _read(file: Path, city: str) -> Authorities:
    """Return what a file asks for, or end the command with all that is wrong with it."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_FILE_BYTES_MAX + 1)
        content = json.loads(data) if len(data) <= _FILE_BYTES_MAX else None
    except (OSError, ValueError, RecursionError) as error:
        fail(f"{file} cannot be read: {error}", "it is JSON with `keys` and `revoked`")
    if not isinstance(content, dict):
        fail(f"{file} is no object, or longer than {_FILE_BYTES_MAX} bytes", "it is JSON with `keys` and `revoked`")
    try:
        return Authorities.model_validate({"city": city} | content | {"city": city})
    except ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
        fail(
            f"{file} is no list of authorities:\n" + "\n".join(faults),
            "write the keys as the scheme's bulletin has them",
        )
