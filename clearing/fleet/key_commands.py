"""Commands for the service's own keys: `jolaqy keys show` and `rotate`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal, NoReturn

import typer
from sqlalchemy.orm import Session

from clearing.access.service import approved_or_asked
from clearing.cli import (
    EXIT_NOTHING_FOUND,
    AsOfOption,
    JsonOption,
    Office,
    fail,
    local_or_fail,
    open_office,
    print_json,
    print_rows,
)
from clearing.fleet.card_authorities import renew_card_authorities
from clearing.fleet.documents import issue_fare_tables
from clearing.fleet.key_bundles import roll_over
from clearing.fleet.key_file import KeysError
from clearing.fleet.key_sets import rotate, show_key_sets
from clearing.fleet.keys import DOCUMENTS, KeyStore, open_keys
from clearing.fleet.lists import sign_lists_anew
from clearing.network.service import list_cities

keys = typer.Typer(help="The service's own keys.", no_args_is_help=True)


def keys_or_fail(office: Office) -> KeyStore:
    """The keys of this installation, or the end of the command."""
    try:
        return open_keys(office.settings.keys_path)
    except KeysError as error:
        fail(str(error))


def fail_waiting(number: int) -> NoReturn:
    """End the command: somebody else must approve first."""
    fail(
        f"a second person must approve request {number}",
        f'POST /v1/approvals/{number}/decision {{"approve": true}} with their token; then run this again',
    )


def _cities(session: Session) -> list[str]:
    return [city.code for city in list_cities(session)]


@keys.command("show")
def show_command(as_json: JsonOption = False) -> None:
    """Show the key sets in force and which keys they name; never a secret.

    Example: jolaqy keys show
    """
    with open_office() as office, office.database.reading() as session:
        shown = show_key_sets(session, keys_or_fail(office), _cities(session))
    if as_json:
        print_json({"key_sets": [asdict(each) for each in shown]})
    elif not shown:
        fail("there is no key set", "make one: jolaqy db migrate", EXIT_NOTHING_FOUND)
    else:
        print_rows(
            "Key sets",
            ("City", "Number", "Expires", "Roots", "At hand", "Ack keys (validators)", "Document keys"),
            [
                (
                    each.city,
                    each.number,
                    datetime.fromtimestamp(each.expires_s, UTC).date(),
                    f"{each.root_threshold} of {each.roots}",
                    "yes" if each.roots_here else "no",
                    ", ".join(f"{kid} ({count})" for kid, count in each.ack_kids),
                    ", ".join(each.document_kids),
                )
                for each in shown
            ],
        )


@keys.command("rotate")
def rotate_command(
    purpose: Annotated[Literal["ack", "documents"], typer.Argument(help="Which key: ack or documents.")],
    forget: Annotated[bool, typer.Option(help="The key before is in wrong hands: destroy it at once.")] = False,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Make a new key and a key set that names it. It needs two persons: the first call asks, the one after approval does it.

    Example: jolaqy keys rotate ack
    """
    with open_office(as_of) as office:
        store, now_ms = keys_or_fail(office), office.clock.now_ms()
        with office.database.writing() as session:
            caller = local_or_fail(session)
            subject = f"{purpose} forget" if forget else purpose
            waiting = approved_or_asked(session, caller, now_ms, "key.rotate", subject, subject.encode())
            cities = _cities(session)
            numbers = {} if waiting else rotate(session, store, caller, now_ms, purpose, cities, forget=forget)
            if not waiting and purpose == DOCUMENTS:
                for city in cities:
                    issue_fare_tables(session, store, city, now_ms)
                    sign_lists_anew(session, store, city, now_ms)
                    renew_card_authorities(session, store, city, now_ms)
    if waiting:
        fail_waiting(waiting.id)
    if as_json:
        print_json({"purpose": purpose, "key_sets": numbers})
    else:
        print("\n".join(f"{city}: key set {number}" for city, number in sorted(numbers.items())))


@keys.command("roll-over")
def roll_over_command(
    forget: Annotated[bool, typer.Option(help="No card has the keys before any more: destroy them.")] = False,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Make new masters of transport cards, beside the ones before. It needs two persons, as `rotate` does.

    Validators learn them within a day. Desks bring cards over from then on; when all are, `--forget` ends it.

    Example: jolaqy keys roll-over
    """
    with open_office(as_of) as office:
        store, now_ms = keys_or_fail(office), office.clock.now_ms()
        with office.database.writing() as session:
            caller = local_or_fail(session)
            subject = "transit forget" if forget else "transit"
            waiting = approved_or_asked(session, caller, now_ms, "key.rotate", subject, subject.encode())
            if not waiting:
                roll_over(session, store, caller, now_ms, forget=forget)
    if waiting:
        fail_waiting(waiting.id)
    earlier = None if store.transit_earlier is None else store.transit_earlier[0]
    if as_json:
        print_json({"version": store.transit_version, "earlier": earlier})
    else:
        print(f"transit keys: version {store.transit_version}" + ("" if earlier is None else f", beside {earlier}"))
