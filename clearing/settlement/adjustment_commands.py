"""Commands of adjustments: `jolaqy adjustment request|approve|reject|list`."""

from __future__ import annotations

from typing import Annotated

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
from clearing.fleet.key_commands import keys_or_fail
from clearing.money import format_minor, parse_minor
from clearing.settlement.adjustments import (
    CORRECTION,
    LATE,
    REFUND,
    AdjustmentAsked,
    AdjustmentView,
    decide_adjustment,
    list_adjustments,
    request_adjustment,
)
from clearing.settlement.export import adjustment_as_dict

adjustments = typer.Typer(help="Corrections of days, by two persons.", no_args_is_help=True)
NumberArgument = Annotated[int, typer.Argument(help="Number of the adjustment.", min=1, max=1 << 62)]


@adjustments.command("request")
def request_command(
    day: Annotated[str, typer.Argument(help="Service day, YYYY-MM-DD.")],
    reference: Annotated[str, typer.Option(help="Your own name for it, used once.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the close.")],
    debit: Annotated[str, typer.Option(help="Account that gets the amount.")] = "",
    credit: Annotated[str, typer.Option(help="Account that it comes from.")] = "",
    amount: Annotated[str, typer.Option(help="In tenge, such as 120 or 120.50.")] = "",
    refund: Annotated[bool, typer.Option(help="It goes back to riders.")] = False,
    late: Annotated[bool, typer.Option(help="Let in what came after the day was final, as it is.")] = False,
    city: CityOption = "almaty",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Ask for a correction of a day. A second person approves it; then it makes the day's next version.

    Example: jolaqy adjustment request 2024-05-15 --reference A-17 --reason "counted twice"
    --debit liability:payable:almaty:alatau --credit liability:refunds:almaty --amount 120.00 --refund
    """
    day = day_argument(day)
    legs = {} if late else _legs(debit, credit, amount)
    kind = LATE if late else REFUND if refund else CORRECTION
    if late and (debit or credit or amount or refund):
        fail("--late goes with no amount, account or --refund", "what came late is priced as it is", EXIT_USAGE)
    with open_office(as_of) as office, office.database.writing() as session:
        caller = local_or_fail(session)
        asked = AdjustmentAsked(city, day, reference, kind, reason, legs)
        view = request_adjustment(session, caller, office.clock.now_ms(), asked)
    _print(view, as_json)


def _legs(debit: str, credit: str, amount: str) -> dict[str, int]:
    try:
        amount_minor = parse_minor(amount)
    except ValueError as error:
        fail(f"--amount: {error}", exit_code=EXIT_USAGE)
    if amount_minor <= 0:
        fail("--amount is not positive", "turn --debit and --credit round instead", EXIT_USAGE)
    if not debit or not credit or debit == credit:
        fail("an adjustment moves an amount between two accounts", "name --debit and --credit", EXIT_USAGE)
    return {debit: amount_minor, credit: -amount_minor}


@adjustments.command("approve")
def approve_command(number: NumberArgument, as_json: JsonOption = False, as_of: AsOfOption = "") -> None:
    """Approve what somebody else asked for; it is booked by the day's next version.

    Example: jolaqy adjustment approve 3
    """
    _decide(number, approve=True, as_json=as_json, as_of=as_of)


@adjustments.command("reject")
def reject_command(number: NumberArgument, as_json: JsonOption = False, as_of: AsOfOption = "") -> None:
    """Reject what somebody else asked for.

    Example: jolaqy adjustment reject 3
    """
    _decide(number, approve=False, as_json=as_json, as_of=as_of)


def _decide(number: int, *, approve: bool, as_json: bool, as_of: str) -> None:
    with open_office(as_of) as office, office.database.writing() as session:
        caller = local_or_fail(session)
        view = decide_adjustment(session, caller, office.clock.now_ms(), number, approve, keys_or_fail(office))
    _print(view, as_json)


@adjustments.command("list")
def list_command(city: CityOption = "almaty", as_json: JsonOption = False) -> None:
    """List the adjustments of a city, and how far each is.

    Example: jolaqy adjustment list
    """
    with open_office() as office, office.database.reading() as session:
        views = list_adjustments(session, city)
    if as_json:
        print_json({"adjustments": [adjustment_as_dict(view) for view in views]})
        return
    if not views:
        fail(f"there is no adjustment in {city}", "ask for one: jolaqy adjustment request", EXIT_NOTHING_FOUND)
    rows = [[view.number, view.day, view.reference, view.kind, view.reason, _moved(view), view.state] for view in views]
    print_rows("Adjustments", ["number", "day", "reference", "kind", "reason", "₸", "state"], rows)


def _moved(view: AdjustmentView) -> str:
    return format_minor(sum(amount for _, amount in view.legs if amount > 0))


def _print(view: AdjustmentView, as_json: bool) -> None:
    if as_json:
        print_json(adjustment_as_dict(view))
        return
    booked = "" if view.version is None else f", booked by version {view.version}"
    print(f"adjustment {view.number} of {view.day} ({view.reference}): {view.state}{booked}")


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(adjustments, name="adjustment")
