"""Commands of the channels: `jolaqy channels …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearing.channels.money_api import due_as_dict, dues_as_dict, three_way_as_dict
from clearing.channels.registers import take_register
from clearing.channels.senders import find_principal, issue_key, list_keys, revoke_key, secret_of
from clearing.channels.standing import list_dues, overdue
from clearing.channels.top_up_ends import expire_top_ups, refund_top_up
from clearing.channels.top_up_report import top_up_report
from clearing.cli import (
    EXIT_CHECK_FAILED,
    EXIT_USAGE,
    AsOfOption,
    CityOption,
    JsonOption,
    day_argument,
    fail,
    local_or_fail,
    note,
    open_office,
    print_json,
    print_rows,
)
from clearing.fleet.key_commands import keys_or_fail
from clearing.money import format_minor
from clearing.network.service import city_of
from clearing.network.service_day import service_day
from clearing.statements.adapter import AdapterError, find_adapter

channels = typer.Typer(help="What does not come from a validator.", no_args_is_help=True)
_NAME = Annotated[str, typer.Argument(help="Who: the name that their token was issued under.")]


@channels.command("issue-key")
def issue_key_command(
    name: _NAME,
    public: Annotated[str, typer.Option(help="Their public key of P-256, x and y in hexadecimal.")] = "",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Give a sender a key to sign its messages with; without --public a shared secret, which is printed.

    Example: jolaqy channels issue-key qr-provider
    """
    with open_office(as_of) as office:
        keys = keys_or_fail(office)
        with office.database.writing() as session:
            key = issue_key(session, local_or_fail(session), office.clock.now_ms(), name, public)
            secret = secret_of(keys, key).hex() if key.x is None else None
            number, kind = key.id, key.kind
    if as_json:
        print_json({"number": number, "name": name, "kind": kind, "secret": secret})
    else:
        note(f"key {number} of {name} ({kind})")
        print(secret or number)


@channels.command("revoke-key")
def revoke_key_command(
    number: Annotated[int, typer.Argument(help="Number of the key.", min=1)], as_of: AsOfOption = ""
) -> None:
    """Let a key sign nothing more.

    Example: jolaqy channels revoke-key 3
    """
    with open_office(as_of) as office, office.database.writing() as session:
        revoke_key(session, local_or_fail(session), office.clock.now_ms(), number)
    note(f"key {number} signs nothing more")


@channels.command("keys")
def keys_command(as_json: JsonOption = False) -> None:
    """List the keys that senders sign with; never a secret.

    Example: jolaqy channels keys
    """
    with open_office() as office, office.database.reading() as session:
        rows = [(key.id, name, key.kind, key.revoked_at_ms) for key, name in list_keys(session)]
    if as_json:
        names = ("number", "name", "kind", "revoked_at_ms")
        print_json({"keys": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        shown = [(number, name, kind, "no" if revoked is None else "yes") for number, name, kind, revoked in rows]
        print_rows("Keys of senders", ("number", "name", "kind", "revoked"), shown)


@channels.command("take-register")
def take_register_command(
    file: Annotated[Path, typer.Argument(help="The agent's file.")],
    agent: Annotated[str, typer.Option(help="The agent, by the name of its token.")],
    adapter: Annotated[str, typer.Option(help="How it is read: an adapter's name or file.")] = "agent",
    city: CityOption = "almaty",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Take in an agent's register of top-ups, whole or not at all. The same file again changes nothing.

    Example: jolaqy channels take-register 2024-05-15.csv --agent agents
    """
    body = read_file(file)
    with open_office(as_of) as office, office.database.writing() as session:
        caller, whose = local_or_fail(session), find_principal(session, agent)
        try:
            reader = find_adapter(adapter)
        except AdapterError as error:
            fail(str(error), exit_code=EXIT_USAGE)
        taken = take_register(session, caller, office.clock.now_ms(), city, whose, body, reader)
        register = taken.register
        done = {
            "sha256": register.sha256,
            "top_ups": register.top_ups,
            "top_ups_minor": register.top_ups_minor,
            "added": register.added,
            "is_repeated": taken.is_repeated,
            "notes": taken.notes,
        }
    if as_json:
        print_json(done)
        return
    for each in taken.notes:
        note(each)
    print("the same file was taken in before" if taken.is_repeated else f"{done['added']} of {done['top_ups']} are new")


def read_file(file: Path) -> bytes:
    """The content of a file, or the end of the command."""
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}", "name a file that is there and may be read", EXIT_USAGE)


@channels.command("expire-top-ups")
def expire_command(city: CityOption = "almaty", as_json: JsonOption = False, as_of: AsOfOption = "") -> None:
    """Let top-ups that no card has fetched for too long expire: they are owed back to who has paid.

    Example: jolaqy channels expire-top-ups
    """
    with open_office(as_of) as office:
        keys = keys_or_fail(office)
        with office.database.writing() as session:
            expired = expire_top_ups(session, keys, local_or_fail(session), office.clock.now_ms(), city)
    if as_json:
        print_json({"top_ups": expired.top_ups, "amount_minor": expired.amount_minor})
    else:
        print(f"{expired.top_ups} top-ups have expired, {format_minor(expired.amount_minor)} ₸")


@channels.command("refund-top-up")
def refund_command(
    reference: Annotated[str, typer.Argument(help="The agent's reference.")],
    agent: Annotated[str, typer.Option(help="The agent, by the name of its token.")],
    as_of: AsOfOption = "",
) -> None:
    """Say that an agent has given money back that never came onto the card.

    Example: jolaqy channels refund-top-up R-77 --agent agents
    """
    with open_office(as_of) as office:
        keys = keys_or_fail(office)
        with office.database.writing() as session:
            caller = local_or_fail(session)
            pending = refund_top_up(session, keys, caller, office.clock.now_ms(), agent, reference)
            amount_minor = pending.amount_minor
    print(f"{reference}: {format_minor(amount_minor)} ₸ given back")


@channels.command("check-top-ups")
def check_command(
    first_day: Annotated[str, typer.Argument(help="First service day.")],
    last_day: Annotated[str, typer.Argument(help="Last service day.")],
    city: CityOption = "almaty",
    as_json: JsonOption = False,
) -> None:
    """Hold top-ups sold, applied, and the cards' own balances against each other; exit code 4 when they differ.

    Example: jolaqy channels check-top-ups 2024-05-01 2024-05-31
    """
    days = day_argument(first_day), day_argument(last_day)
    with open_office() as office, office.database.reading() as session:
        report = top_up_report(session, city, *days)
    if as_json:
        print_json(three_way_as_dict(report))
    else:
        rows = [(each.kind, each.reference, format_minor(each.amount_minor)) for each in report.differences]
        print_rows("Top-ups", ("what", "reference", "₸"), rows)
        print(f"sold {format_minor(report.sold_minor)}, by balances loaded {format_minor(report.loaded_minor)}")
    if report.differences:
        raise typer.Exit(EXIT_CHECK_FAILED)


@channels.command("dues")
def dues_command(
    city: CityOption = "almaty",
    only_overdue: Annotated[bool, typer.Option("--overdue", help="Only what should have come.")] = False,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """List what providers, aggregators, agents and carriers owe of what they took from riders.

    Example: jolaqy channels dues --overdue
    """
    with open_office(as_of) as office, office.database.reading() as session:
        today = service_day(city_of(session, city).zone, office.clock.now_ms() // 1000)
        parties = list_dues(session, city)
        late = overdue(session, city, today)
    dues = late if only_overdue else [due for party in parties for due in party.dues]
    if as_json:
        print_json(
            {"today": today, "dues": [due_as_dict(due, today) for due in dues]}
            if only_overdue
            else {"today": today, "parties": [dues_as_dict(party, today) for party in parties]}
        )
        return
    print_rows(
        "Overdue" if only_overdue else "Dues",
        ("party", "day", "taken ₸", "commission ₸", "due", "open ₸"),
        [
            (
                due.party,
                due.service_day,
                format_minor(due.gross_minor),
                format_minor(due.commission_minor),
                due.due_day,
                format_minor(due.open_minor),
            )
            for due in dues
        ],
    )


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(channels, name="channels")
