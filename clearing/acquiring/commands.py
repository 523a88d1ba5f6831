"""Commands of acquiring: `jolaqy acquiring run|charges|show|pay|refund|chargeback`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from clearing.acquiring.client import TIMEOUT_S, AcquirerClient
from clearing.acquiring.giving_back import Dispute, refund_charge, take_dispute
from clearing.acquiring.outbox import Run, RunReport
from clearing.acquiring.service import CardholderPayment, find_charge, take_payment
from clearing.acquiring.views import ChargeHistory, ChargeView, charges_of_day, day_totals, debts, history_of, view_of
from clearing.cli import (
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
from clearing.fleet.key_commands import fail_waiting, keys_or_fail
from clearing.money import format_minor, parse_minor
from clearing.network.service import city_of

acquiring = typer.Typer(help="What bank cards owe for their rides, and what became of it.", no_args_is_help=True)
Reference = Annotated[str, typer.Argument(help="Reference of the charge, such as T20240515-….")]
Told = Annotated[str, typer.Option("--reference", help="The acquirer's reference: under it, it counts once.")]
AmountOption = Annotated[str, typer.Option("--amount", help="Tenge, such as 120 or 120.50.")]
_SHOWN_MAX = 1000


def _amount(text: str) -> int:
    try:
        amount_minor = parse_minor(text)
    except ValueError as error:
        fail(str(error), exit_code=EXIT_USAGE)
    if amount_minor <= 0:
        fail(f"{text} is not more than nothing", "name an amount in tenge", EXIT_USAGE)
    return amount_minor


@acquiring.command("run")
def run_command(
    city: CityOption = "almaty",
    url: Annotated[str, typer.Option(envvar="JOLAQY_ACQUIRER_URL", help="Address of the acquirer.")] = "",
    token: Annotated[
        str, typer.Option(envvar="JOLAQY_ACQUIRER_TOKEN", help="What it knows us by.", show_default=False)
    ] = "",
    since: Annotated[str, typer.Option(help="Add up rides since this service day, not of the last 16 only.")] = "",
    limit: Annotated[int, typer.Option(help="Send so many requests at most.", min=1, max=10_000_000)] = 1_000_000,
    timeout_s: Annotated[float, typer.Option(help="Wait so long for an answer.", min=0.05, max=120)] = TIMEOUT_S,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Add up rides, ask the acquirer for what is due, keep the deny list. Run it every few minutes; it may be ended at any time.

    Without an address rides are only added up.

    Example: jolaqy acquiring run --city almaty --url https://acquirer.example
    """
    first = day_argument(since, "--since") if since else None
    try:
        client = AcquirerClient(url, token, timeout_s) if url else None
    except ValueError as error:
        fail(str(error), "set JOLAQY_ACQUIRER_URL, or give --url", EXIT_USAGE)
    with open_office(as_of) as office:
        keys = keys_or_fail(office)
        with office.database.reading() as session:
            city_of(session, city)
            caller = local_or_fail(session)
        say = (lambda _: None) if as_json else note
        run = Run(office.database, keys, caller, city, office.clock.now_ms(), limit=limit, say=say)
        run.add_up(first)
        report = run.report if client is None else run.work_off(client)
    if client is not None:
        client.close()
    _print_report(report, as_json)


def _print_report(report: RunReport, as_json: bool) -> None:
    if as_json:
        print_json(asdict(report))
        return
    asked = ", ".join(f"{count} × {kind}" for kind, count in sorted(report.asked.items())) or "nothing"
    print(f"rides {report.rides}; asked: {asked}; ended {report.ended}, not known {report.unknown}")
    print(f"deny list: {report.denied} on, {report.undenied} off")
    for fault in report.faults:
        note(f"not believed: {fault}")
    if not report.is_complete:
        note("there is more to do: run it again")


@acquiring.command("charges")
def charges_command(
    day: Annotated[str, typer.Argument(help="Service day, YYYY-MM-DD; without it, all debts.")] = "",
    city: CityOption = "almaty",
    as_json: JsonOption = False,
) -> None:
    """List the charges of a day, or what riders owe.

    Example: jolaqy acquiring charges 2024-05-15
    """
    named = day_argument(day) if day else ""
    with open_office() as office, office.database.reading() as session:
        city_of(session, city)
        found = charges_of_day(session, city, named, limit=_SHOWN_MAX) if named else debts(session, city)
        totals = day_totals(session, city, named) if named else []
    if as_json:
        print_json({"charges": [asdict(each) for each in found], "totals": [asdict(each) for each in totals]})
        return
    print_rows(
        f"{city} {named}" if named else f"{city}, debts",
        ["charge", "day", "state", "rides", "due ₸", "taken ₸", "owed ₸", "settled ₸"],
        [_row(each) for each in found],
    )
    for total in totals:
        print(f"{total.state}: {total.charges}, {format_minor(total.fares_minor)} ₸")
    if len(found) == _SHOWN_MAX:
        note("there are more: GET /v1/acquiring/charges has all of them, a page at a time")


def _row(charge: ChargeView) -> list[object]:
    amounts = (charge.due_minor, charge.taken_minor - charge.returned_minor, charge.owed_minor, charge.settled_minor)
    return [charge.reference, charge.service_day, charge.state, charge.rides, *map(format_minor, amounts)]


@acquiring.command("show")
def show_command(reference: Reference, as_json: JsonOption = False) -> None:
    """Show one charge: its rides, why they cost what they do, and what the acquirer said.

    Example: jolaqy acquiring show T20240515-ABCDEFGHIJKLMNOP
    """
    with open_office() as office, office.database.reading() as session:
        history = history_of(session, reference)
    if as_json:
        print_json(asdict(history))
    else:
        _print_history(history)


def _print_history(history: ChargeHistory) -> None:
    charge = history.charge
    print(f"{charge.reference}: {charge.state}, {charge.city} {charge.service_day}")
    rides = [
        [
            line.service_day,
            line.carrier,
            format_minor(line.amount_minor),
            line.rule or "no ride",
        ]
        for line in history.lines
    ]
    print_rows("Rides", ["day", "carrier", "fare ₸", "by"], rows=rides)
    operations = [
        [each.reference, each.kind, each.cause, format_minor(each.amount_minor), each.outcome, each.code or each.fault]
        for each in history.operations
    ]
    print_rows("Operations", ["reference", "kind", "cause", "amount ₸", "outcome", "why"], operations)
    amounts = ("due", charge.due_minor), ("taken", charge.taken_minor), ("given back", charge.returned_minor)
    print(", ".join(f"{name} {format_minor(minor)} ₸" for name, minor in (*amounts, ("owed", charge.owed_minor))))


@acquiring.command("pay")
def pay_command(
    reference: Reference,
    amount: AmountOption,
    told: Told,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Take in that a cardholder has paid a debt, as a counter does whose acquirer's page is down; the card rides again.

    Example: jolaqy acquiring pay T20240515-ABCDEFGHIJKLMNOP --amount 200 --reference R-17
    """
    amount_minor = _amount(amount)
    with open_office(as_of) as office:
        keys = keys_or_fail(office)
        with office.database.writing() as session:
            currency = city_of(session, find_charge(session, reference).city).currency
            payment = CardholderPayment(told, reference, amount_minor, currency)
            charge = take_payment(session, keys, local_or_fail(session), office.clock.now_ms(), payment, "debt.pay")
            shown = view_of(charge)
    _print_charge(shown, as_json)


@acquiring.command("refund")
def refund_command(
    reference: Reference,
    amount: AmountOption,
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")],
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Give a rider money back. It needs two persons: the first call asks, the one after approval does it.

    Example: jolaqy acquiring refund T20240515-ABCDEFGHIJKLMNOP --amount 100 --reason "the bus broke down"
    """
    amount_minor = _amount(amount)
    with open_office(as_of) as office, office.database.writing() as session:
        caller, now_ms = local_or_fail(session), office.clock.now_ms()
        charge, waiting = refund_charge(session, caller, now_ms, reference, amount_minor, reason)
        shown = view_of(charge)
    if waiting is not None:
        fail_waiting(waiting.id)
    _print_charge(shown, as_json)


@acquiring.command("chargeback")
def chargeback_command(
    operation: Annotated[str, typer.Argument(help="What was taken: reference of a capture or payment.")],
    amount: AmountOption,
    told: Told,
    status: Annotated[Literal["open", "won", "lost"], typer.Option(help="How it stands; won is won by us.")] = "open",
    city: CityOption = "almaty",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Take in that a cardholder disputes a payment, or how that ended.

    Example: jolaqy acquiring chargeback C20240515-ABCDEFGHIJKLMNOP --amount 200 --reference CB-5
    """
    amount_minor = _amount(amount)
    with open_office(as_of) as office, office.database.writing() as session:
        dispute = Dispute(told, operation, amount_minor, city_of(session, city).currency, status)
        charge = take_dispute(session, local_or_fail(session), office.clock.now_ms(), dispute, "chargeback.receive")
        shown = view_of(charge)
    _print_charge(shown, as_json)


def _print_charge(charge: ChargeView, as_json: bool) -> None:
    if as_json:
        print_json(asdict(charge))
    else:
        print(f"{charge.reference}: {charge.state}, owed {format_minor(charge.owed_minor)} ₸")


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(acquiring, name="acquiring")
