"""Commands of reconciliation: `jolaqy reconcile …` and `jolaqy breaks …`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.channels.commands import read_file
from clearing.cli import (
    EXIT_NOTHING_FOUND,
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
from clearing.money import format_minor
from clearing.reconciliation.api import imported_as_dict, lost_as_dict, result_as_dict, statement_as_dict
from clearing.reconciliation.breaks import (
    STATES,
    Asked,
    BreakView,
    assign,
    at_risk_minor,
    explain,
    list_breaks,
    resolve_by_adjustment,
    show_break,
)
from clearing.reconciliation.cash import cash_of_day
from clearing.reconciliation.importing import ImportAsked, import_statement, list_statements
from clearing.reconciliation.lost_taps import lost_taps
from clearing.reconciliation.matching import CATEGORIES
from clearing.reconciliation.service import run
from clearing.statements.adapter import AdapterError, find_adapter

reconcile = typer.Typer(help="The books against everybody's word.", no_args_is_help=True)
breaks = typer.Typer(help="Differences that reconciliation found.", no_args_is_help=True)
NumberArgument = Annotated[int, typer.Argument(help="Number of the break.", min=1)]
NoteOption = Annotated[str, typer.Option("--note", help="What came out of it.")]
DayArgument = Annotated[str, typer.Argument(help="Service day, YYYY-MM-DD.")]


@reconcile.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="The counterparty's file.")],
    adapter: Annotated[str, typer.Option(help="How it is read: an adapter's name or file.")],
    party: Annotated[str, typer.Option(help="Whose it is; may be left out where there is one only.")] = "",
    replaces: Annotated[int | None, typer.Option(help="The statement in whose place it stands.", min=1)] = None,
    further: Annotated[bool, typer.Option("--further", help="It is a further part for the same days.")] = False,
    city: CityOption = "almaty",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Import a counterparty's statement, whole or not at all. The same file again changes nothing.

    Example: jolaqy reconcile import 2024-05-15.csv --adapter qr-provider
    """
    body = read_file(file)
    try:
        reader = find_adapter(adapter)
    except AdapterError as error:
        fail(str(error), exit_code=EXIT_USAGE)
    with open_office(as_of) as office, office.database.writing() as session:
        asked = ImportAsked(city, body, reader, party, replaces, further)
        done = imported_as_dict(import_statement(session, local_or_fail(session), office.clock.now_ms(), asked))
    if as_json:
        print_json(done)
        return
    for each in done["notes"]:
        note(each)
    if done["is_repeated"]:
        print(f"it is statement {done['number']}, imported before")
    else:
        print(
            f"statement {done['number']} of {done['party']}: {done['lines']} lines, {done['first_day']} to {done['last_day']}"
        )


@reconcile.command("statements")
def statements_command(city: CityOption = "almaty", as_json: JsonOption = False) -> None:
    """List the statements that were imported.

    Example: jolaqy reconcile statements
    """
    with open_office() as office, office.database.reading() as session:
        rows = [statement_as_dict(row) for row in list_statements(session, city)]
    if as_json:
        print_json({"statements": rows})
    else:
        names = ("number", "kind", "party", "first_day", "last_day", "lines", "replaced_by")
        print_rows("Statements", names, [[row[name] for name in names] for row in rows])


@reconcile.command("run")
def run_command(
    day: DayArgument, city: CityOption = "almaty", as_json: JsonOption = False, as_of: AsOfOption = ""
) -> None:
    """Hold the books against statements, bank, tills and cards, as of the end of a service day; as often as you like.

    Example: jolaqy reconcile run 2024-05-16
    """
    day = day_argument(day)
    with open_office(as_of) as office, office.database.writing() as session:
        result = run(session, local_or_fail(session), office.clock.now_ms(), city, day)
    if as_json:
        print_json(result_as_dict(result))
        return
    rows = [
        (each.kind, each.party, *(each.counts.get(name, "") for name in CATEGORIES), each.opened, each.vanished)
        for each in result.parties
    ]
    print_rows(f"{city} {day}", ("kind", "party", *CATEGORIES, "breaks opened", "vanished"), rows)
    print(f"money at risk: {format_minor(result.at_risk_minor)} ₸")


@reconcile.command("lost-taps")
def lost_taps_command(
    first_day: DayArgument,
    last_day: Annotated[str, typer.Argument(help="Last service day; the first alone without.")] = "",
    city: CityOption = "almaty",
    as_json: JsonOption = False,
) -> None:
    """Count lost taps by two witnesses: gaps in validators' sequences, and in transport cards' own counters.

    Example: jolaqy reconcile lost-taps 2024-05-01 2024-05-31
    """
    days = day_argument(first_day), day_argument(last_day or first_day)
    with open_office() as office, office.database.reading() as session:
        report = lost_taps(session, city, *days)
    if as_json:
        print_json(lost_as_dict(report))
        return
    print_rows(
        "Lost taps",
        ("vehicle", "device", "records", "reported", "holes", "ppm", "by cards", "at risk ₸"),
        [
            (
                each.vehicle,
                each.device[:8],
                each.records,
                each.reported,
                each.holes,
                each.ppm,
                each.commits_missing,
                format_minor(each.at_risk_minor),
            )
            for each in report.validators
        ],
    )
    print(f"validators: {report.lost} of {report.records + report.lost} lost, {report.ppm} ppm")
    print(
        f"cards: {report.commits_missing} of {report.commits + report.commits_missing} not seen, {report.commits_ppm} ppm,"
        f" worth {format_minor(report.commits_at_risk_minor)} ₸; {report.commits_between} of them between two validators"
    )


@reconcile.command("cash")
def cash_command(day: DayArgument, city: CityOption = "almaty", as_json: JsonOption = False) -> None:
    """Show a day's cash by the driver's button, as counted and as banked.

    Example: jolaqy reconcile cash 2024-05-15
    """
    day = day_argument(day)
    with open_office() as office, office.database.reading() as session:
        cash = cash_of_day(session, city, day)
    if as_json:
        print_json({"day": day, "carriers": [asdict(each) for each in cash]})
        return
    rows: list[tuple[object, ...]] = []
    for each in cash:
        rows.append((each.carrier, "", "", *map(_amount, (each.expected_minor, each.counted_minor, each.banked_minor))))
        rows += [
            ("", till.vehicle, till.shift, _amount(till.expected_minor), _amount(till.counted_minor), "")
            for till in each.tills
        ]
    print_rows(f"Cash of {day}", ("carrier", "vehicle", "shift", "button ₸", "counted ₸", "banked ₸"), rows)


def _amount(amount_minor: int | None) -> str:
    return "" if amount_minor is None else format_minor(amount_minor)


@breaks.command("list")
def list_command(
    city: CityOption = "almaty",
    state: Annotated[str, typer.Option(help=f"One of {', '.join(STATES)}.")] = "",
    kind: Annotated[str, typer.Option(help="Of whom: acquirer, qr_provider, bank, cash, …")] = "",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """List breaks, each with its probable cause, and the money at risk.

    Example: jolaqy breaks list --state open
    """
    if state and state not in STATES:
        fail(f"there is no state {state}", f"states: {', '.join(STATES)}", EXIT_USAGE)
    with open_office(as_of) as office, office.database.reading() as session:
        found = list_breaks(session, Asked(city, state or None, kind or None), office.clock.now_ms())
        risk_minor = at_risk_minor(session, city)
    if as_json:
        print_json({"at_risk_minor": risk_minor, "breaks": [asdict(each) for each in found]})
        return
    print_rows(
        "Breaks",
        ("number", "kind", "party", "day", "reference", "₸", "state", "age, days", "probably"),
        [
            (
                each.number,
                each.kind,
                each.party,
                each.day,
                each.reference,
                format_minor(each.amount_minor),
                each.state,
                each.age_days,
                each.meaning,
            )
            for each in found
        ],
    )
    print(f"money at risk: {format_minor(risk_minor)} ₸")
    if not found:
        raise typer.Exit(EXIT_NOTHING_FOUND)


@breaks.command("show")
def show_command(number: NumberArgument, as_json: JsonOption = False, as_of: AsOfOption = "") -> None:
    """Show a break with its history.

    Example: jolaqy breaks show 7
    """
    with open_office(as_of) as office, office.database.reading() as session:
        _print(show_break(session, number, office.clock.now_ms()), as_json)


@breaks.command("assign")
def assign_command(
    number: NumberArgument,
    to: Annotated[str, typer.Option(help="Who shall work on it, by name.")],
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Let somebody work on a break.

    Example: jolaqy breaks assign 7 --to aigul
    """
    _change(as_of, as_json, lambda session, caller, now_ms: assign(session, caller, now_ms, number, to))


@breaks.command("explain")
def explain_command(
    number: NumberArgument, said: NoteOption, as_json: JsonOption = False, as_of: AsOfOption = ""
) -> None:
    """Say why a difference is none, or is borne as it is.

    Example: jolaqy breaks explain 7 --note "the provider's file of 16 May has it"
    """
    _change(as_of, as_json, lambda session, caller, now_ms: explain(session, caller, now_ms, number, said))


@breaks.command("resolve")
def resolve_command(
    number: NumberArgument,
    entry_key: Annotated[str, typer.Option("--adjustment", help="Key of the adjustment's entry in the books.")],
    said: NoteOption,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Say by which adjustment, made by two persons, a difference was booked.

    Example: jolaqy breaks resolve 7 --adjustment adjustment/almaty/2024-05-15/A-1 --note "taken back by the provider"
    """
    _change(
        as_of,
        as_json,
        lambda session, caller, now_ms: resolve_by_adjustment(session, caller, now_ms, number, entry_key, said),
    )


def _change(as_of: str, as_json: bool, change: Callable[[Session, Caller, int], BreakView]) -> None:
    with open_office(as_of) as office, office.database.writing() as session:
        changed = change(session, local_or_fail(session), office.clock.now_ms())
    _print(changed, as_json)


def _print(shown: BreakView, as_json: bool) -> None:
    if as_json:
        print_json(asdict(shown))
        return
    print(
        f"{shown.number}: {shown.kind} {shown.party}, {shown.day}, {shown.reference}: {format_minor(shown.amount_minor)} ₸"
    )
    print(f"{shown.meaning}; {shown.remedy}")
    print(f"{shown.state}, {shown.owner or 'nobody works on it'}")
    rows = [
        (datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(" ", "minutes"), event, by, said)
        for at_ms, event, by, said in shown.history
    ]
    print_rows("History (UTC)", ("when", "what", "who", "note"), rows)


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(reconcile, name="reconcile")
    app.add_typer(breaks, name="breaks")
