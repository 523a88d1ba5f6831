"""Commands of the ledger: `jolaqy ledger check`."""

from __future__ import annotations

import typer

from clearing.cli import EXIT_CHECK_FAILED, JsonOption, fail, open_office, print_json
from clearing.ledger.checks import check_ledger

ledger = typer.Typer(help="The books.", no_args_is_help=True)


@ledger.callback()
def _group() -> None:
    """Keep `check` a command of its own."""


@ledger.command("check")
def check_command(as_json: JsonOption = False) -> None:
    """Hold the books against every rule that they must keep; exit code 4 when one is broken.

    Example: jolaqy ledger check
    """
    with open_office() as office, office.database.reading() as session:
        faults = check_ledger(session)
    if as_json:
        print_json({"faults": faults})
    elif not faults:
        print("the books keep every rule")
    if faults:
        fail("\n".join(faults), "no entry is ever changed: find who reached the database itself", EXIT_CHECK_FAILED)


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(ledger, name="ledger")
