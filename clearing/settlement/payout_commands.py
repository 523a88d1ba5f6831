"""Commands of payouts: `jolaqy payout propose|approve|reject|list|export`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from clearing.cli import (
    EXIT_NOTHING_FOUND,
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
from clearing.money import format_minor
from clearing.network.service import city_of, parties_of
from clearing.settlement.export import payout_as_dict
from clearing.settlement.one_c import one_c_file
from clearing.settlement.pain001 import pain001
from clearing.settlement.payment_order import orders_of
from clearing.settlement.payouts import PayoutView, decide_payout, list_payouts, propose_payouts

payouts = typer.Typer(help="What carriers are paid, by two persons.", no_args_is_help=True)
NumbersArgument = Annotated[list[int], typer.Argument(help="Numbers of payouts.", min=1, max=1 << 62)]
Format = Literal["pain.001", "1c", "1c-windows-1251"]


@payouts.command("propose")
def propose_command(
    to: Annotated[str, typer.Option("--to", metavar="DAY", help="Pay what is owed up to this service day.")],
    city: CityOption = "almaty",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Propose to pay every carrier what is owed and not paid yet, less the cash that it holds. A second person approves.

    Example: jolaqy payout propose --to 2024-05-15
    """
    last_day = day_argument(to, "--to")
    with open_office(as_of) as office, office.database.writing() as session:
        caller = local_or_fail(session)
        proposed, left = propose_payouts(session, caller, office.clock.now_ms(), city, last_day)
    if as_json:
        print_json(
            {"payouts": [payout_as_dict(view) for view in proposed], "left_out": [asdict(each) for each in left]}
        )
        return
    for each in left:
        note(f"{each.party}: {format_minor(each.due_minor)} ₸ not paid: {each.reason}")
    if not proposed:
        fail(f"nothing is to be paid in {city}", "close days first: jolaqy close run DAY", EXIT_NOTHING_FOUND)
    _print(proposed)


@payouts.command("approve")
def approve_command(numbers: NumbersArgument, as_json: JsonOption = False, as_of: AsOfOption = "") -> None:
    """Approve payouts that somebody else proposed: they are booked, and can be exported.

    Example: jolaqy payout approve 1 2
    """
    _decide(numbers, approve=True, as_json=as_json, as_of=as_of)


@payouts.command("reject")
def reject_command(numbers: NumbersArgument, as_json: JsonOption = False, as_of: AsOfOption = "") -> None:
    """Reject payouts that somebody else proposed: what they would have paid is owed as before.

    Example: jolaqy payout reject 2
    """
    _decide(numbers, approve=False, as_json=as_json, as_of=as_of)


def _decide(numbers: list[int], *, approve: bool, as_json: bool, as_of: str) -> None:
    with open_office(as_of) as office, office.database.writing() as session:
        caller = local_or_fail(session)
        views = [decide_payout(session, caller, office.clock.now_ms(), number, approve) for number in numbers]
    if as_json:
        print_json({"payouts": [payout_as_dict(view) for view in views]})
    else:
        _print(views)


@payouts.command("list")
def list_command(city: CityOption = "almaty", as_json: JsonOption = False) -> None:
    """List the payouts of a city, and how far each is.

    Example: jolaqy payout list
    """
    with open_office() as office, office.database.reading() as session:
        views = list_payouts(session, city_of(session, city).code)
    if as_json:
        print_json({"payouts": [payout_as_dict(view) for view in views]})
    elif not views:
        fail(f"there is no payout in {city}", "propose some: jolaqy payout propose --to DAY", EXIT_NOTHING_FOUND)
    else:
        _print(views)


@payouts.command("export")
def export_command(
    numbers: NumbersArgument,
    city: CityOption = "almaty",
    format_: Annotated[
        Format, typer.Option("--format", help="ISO 20022, or the exchange format of 1C in UTF-8 or Windows-1251.")
    ] = "pain.001",
    output: Annotated[Path | None, typer.Option(help="File to write; standard output without.")] = None,
    as_of: AsOfOption = "",
) -> None:
    """Write approved payouts as payment orders for the bank.

    Windows-1251 has no Kazakh letters: every name that it changes is said on standard error.

    Example: jolaqy payout export 1 2 --format pain.001 --output payouts.xml
    """
    with open_office(as_of) as office, office.database.reading() as session:
        currency = city_of(session, city).currency
        found = list_payouts(session, city, numbers=numbers)
        missing = sorted(set(numbers) - {view.number for view in found})
        if missing:
            fail(
                f"there is no payout {', '.join(map(str, missing))} in {city}", "jolaqy payout list", EXIT_NOTHING_FOUND
            )
        orders = orders_of(found, parties_of(session, city), currency)
        now_ms = office.clock.now_ms()
    if not orders:
        fail("all of it was set off against cash: there is nothing to transfer", exit_code=EXIT_NOTHING_FOUND)
    if format_ == "pain.001":
        content = pain001(orders, now_ms)
    else:
        content, changed = one_c_file(orders, now_ms, "utf-8" if format_ == "1c" else "windows-1251")
        for each in changed:
            note(f"changed: {each.field}: {each.before} → {each.after}")
    write_bytes(content, output)


def write_bytes(content: bytes, output: Path | None) -> None:
    """Write a file, or to standard output."""
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}", "name a file that may be written, in a folder that is there")
    note(f"written: {output}")


def _print(views: list[PayoutView]) -> None:
    rows = [
        [
            view.number,
            view.name,
            f"{view.first_day} – {view.last_day}",
            format_minor(view.due_minor),
            format_minor(view.due_minor - view.amount_minor),
            format_minor(view.amount_minor),
            view.pay_on,
            view.state,
        ]
        for view in views
    ]
    print_rows("Payouts, ₸", ["number", "carrier", "days", "due", "set off", "to pay", "on", "state"], rows)


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(payouts, name="payout")
