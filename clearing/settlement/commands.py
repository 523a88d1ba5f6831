"""Commands of settlement: `jolaqy close …`, `jolaqy ledger check`; adjustments, payouts, statements are in files of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

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
from clearing.ledger.commands import ledger
from clearing.money import format_minor
from clearing.settlement import adjustment_commands, payout_commands, statement_commands
from clearing.settlement.closing import run_close
from clearing.settlement.export import as_csv, as_dict, change_as_dict, proof_as_dict
from clearing.settlement.service import (
    VERSION_MAX,
    CloseView,
    check_books,
    close_of,
    diff_closes,
    document_of_close,
    prove_in_close,
)

closes = typer.Typer(help="Service days made final.", no_args_is_help=True)
DayArgument = Annotated[str, typer.Argument(help="Service day, YYYY-MM-DD.")]
VersionOption = Annotated[int | None, typer.Option(help="An earlier version.", min=1, max=VERSION_MAX)]
VersionArgument = Annotated[int, typer.Argument(help="A version of the day.", min=1, max=VERSION_MAX)]
Format = Literal["close", "json", "csv"]


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
            caller = local_or_fail(session)
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
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format", help="close: the bytes that its sha256 is over (as without); json and csv for others."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write; standard output without.")] = None,
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Write a closed day: as it was closed, to the byte, or as JSON or CSV for other programs (or by the name of the file).

    The bytes of the close are the same on every machine and either database: `| sha256sum` gives what `close show` says.

    Example: jolaqy close export 2024-05-15 | sha256sum
    """
    day = day_argument(day)
    written = _format(format_, output, as_json)
    with open_office(as_of) as office, office.database.reading() as session:
        if written == "close":
            text = document_of_close(session, city, day, version)
        else:
            close = close_of(session, city, day, version)
            text = _json_text(close) if written == "json" else as_csv(close)
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}", "name a file that may be written, in a folder that is there")
    note(f"written: {output}")


def _format(asked: Format | None, output: Path | None, as_json: bool) -> Format:
    """How to write: as was asked for, or as the name of the file says."""
    by_name: dict[str, Format] = {".json": "json", ".csv": "csv", ".close": "close"}
    wanted: set[Format] = {asked} if asked else set()
    wanted |= {"json"} if as_json else set()
    if output is not None and not wanted:
        if output.suffix not in by_name:
            fail(f"cannot tell the format of {output.name}", "end the name in .close, .json or .csv", EXIT_USAGE)
        wanted = {by_name[output.suffix]}
    if output is not None and by_name.get(output.suffix, *wanted) not in wanted:
        fail(f"--format and the name {output.name} contradict each other", "leave one of them out", EXIT_USAGE)
    if len(wanted) > 1:
        fail("--json and --format contradict each other", "leave one of them out", EXIT_USAGE)
    return wanted.pop() if wanted else "close"


def _json_text(close: CloseView) -> str:
    return json.dumps(as_dict(close), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _find(as_of: str, city: str, day: str, version: int | None) -> CloseView:
    with open_office(as_of) as office, office.database.reading() as session:
        return close_of(session, city, day, version, office.clock.now_ms())


def _print(close: CloseView, as_json: bool) -> None:
    if as_json:
        print_json(as_dict(close))
        return
    totals = close.totals
    rows = [[row.medium, row.trips, format_minor(row.fares_minor)] for row in totals.media]
    rows.append(["all", totals.rides, format_minor(totals.fares_minor)])
    title = f"{close.city} {close.day}, version {close.version}" + (f", {close.state}" if close.state else "")
    print_rows(title, ["medium", "rides", "fares ₸"], rows)
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
    if totals.evidence is not None:
        print(f"root {totals.evidence.root} over {totals.evidence.leaves} taps and payments")
    print(f"sha256 {close.sha256}")


@closes.command("diff")
def diff_command(
    day: DayArgument,
    before: VersionArgument,
    after: VersionArgument,
    city: CityOption = "almaty",
    language: Annotated[Literal["kk", "ru", "en"], typer.Option(help="Language of the sentences.")] = "en",
    as_json: JsonOption = False,
) -> None:
    """Say in words and money what changed from one version of a day to another.

    Example: jolaqy close diff 2024-05-15 1 2
    """
    day = day_argument(day)
    with open_office() as office, office.database.reading() as session:
        changes = diff_closes(session, city, day, before, after)
    if as_json:
        said = [change_as_dict(change, language) for change in changes]
        print_json({"day": day, "before": before, "after": after, "changes": said})
        return
    for change in changes:
        print(change.in_words(language))
    if not changes:
        print("nothing but what each version stands on")


@closes.command("prove")
def prove_command(
    day: DayArgument,
    key: Annotated[str, typer.Argument(help="DEVICE/EPOCH/SEQUENCE of a tap, or sms/SENDER/REFERENCE.")],
    city: CityOption = "almaty",
    as_json: JsonOption = False,
) -> None:
    """Prove that a tap, or what a channel brought, is under the root of the day's newest close.

    Anybody can verify it with SHA-256 alone (RFC 6962), and learns nothing of any other tap.

    Example: jolaqy close prove 2024-05-15 0a1b…/1/17
    """
    day = day_argument(day)
    with open_office() as office, office.database.reading() as session:
        version, proof = prove_in_close(session, keys_or_fail(office), city, day, key)
    if as_json:
        print_json({"city": city, "day": day, "version": version} | proof_as_dict(proof))
        return
    print(f"leaf {proof.index + 1} of {proof.size} in version {version}: {proof.text}")
    print(f"salt {proof.salt.hex()}")
    for each in proof.path:
        print(f"path {each.hex()}")
    print(f"root {proof.root.hex()}")


@ledger.command("check")
def check_command(as_json: JsonOption = False) -> None:
    """Hold the books against every rule that they must keep; exit code 4 when one is broken.

    Example: jolaqy ledger check
    """
    with open_office() as office, office.database.reading() as session:
        faults = check_books(session)
    if as_json:
        print_json({"faults": faults})
    elif not faults:
        print("the books keep every rule")
    if faults:
        fail("\n".join(faults), "no entry is ever changed: find who reached the database itself", EXIT_CHECK_FAILED)


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(closes, name="close")
    adjustment_commands.add_to(app)
    payout_commands.add_to(app)
    statement_commands.add_to(app)
