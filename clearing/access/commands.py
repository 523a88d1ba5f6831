"""Commands of access: `jolaqy token issue`, `jolaqy audit check`."""

from __future__ import annotations

from typing import Annotated

import typer

from clearing.access.roles import ROLES, Scope
from clearing.access.service import audit_faults, issue_token
from clearing.cli import EXIT_CHECK_FAILED, AsOfOption, JsonOption, note, open_office, print_json

tokens = typer.Typer(help="API tokens.", no_args_is_help=True)
audit = typer.Typer(help="The log of what was done.", no_args_is_help=True)


@tokens.command("issue")
def issue(
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    role: Annotated[
        list[str],
        typer.Option(help=f"One of {', '.join(sorted(ROLES))}; may be repeated."),
    ],
    city: Annotated[str, typer.Option(help="Only in this city.")] = "",
    carrier: Annotated[str, typer.Option(help="Only for this carrier.")] = "",
    kind: Annotated[str, typer.Option(help="person or service.")] = "service",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Make a principal and print its token, once. The same name again replaces the token.

    Example: jolaqy token issue kcell --role aggregator --city almaty
    """
    scopes = [Scope(each, city or None, carrier or None) for each in role]
    with open_office(as_of) as office:
        with office.database.writing() as session:
            token = issue_token(session, name, kind, scopes, office.clock.now_ms())
        if as_json:
            print_json({"name": name, "roles": role, "token": token})
        else:
            note(f"token of {name}; it is shown this once:")
            print(token)


@audit.command("check")
def check(as_json: JsonOption = False) -> None:
    """Check the hash chain of the audit log from its beginning; exit code 4 when it is broken.

    Example: jolaqy audit check
    """
    with open_office() as office, office.database.reading() as session:
        faults = audit_faults(session)
    if as_json:
        print_json({"faults": faults})
    else:
        print("the audit log is whole" if not faults else "\n".join(faults))
    if faults:
        raise typer.Exit(EXIT_CHECK_FAILED)


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(tokens, name="token")
    app.add_typer(audit, name="audit")
