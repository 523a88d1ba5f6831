"""The command `jolaqy statement PARTY`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from clearing.cli import (
    AsOfOption,
    CityOption,
    JsonOption,
    day_argument,
    open_office,
    print_json,
    print_rows,
)
from clearing.money import format_minor
from clearing.settlement.export import statement_as_dict
from clearing.settlement.payout_commands import write_bytes
from clearing.settlement.statement_files import statement_file
from clearing.settlement.statement_texts import entry_in_words
from clearing.settlement.statements import Statement, statement_of

Language = Literal["kk", "ru", "en"]


def statement_command(
    party: Annotated[str, typer.Argument(help="Code of a carrier, a counterparty, a payer or a fare operator.")],
    first_day: Annotated[str, typer.Option("--from", metavar="DAY", help="First service day.")],
    last_day: Annotated[str, typer.Option("--to", metavar="DAY", help="Last service day.")],
    format_: Annotated[
        Literal["pdf", "xlsx", "csv"] | None, typer.Option("--format", help="A file; a table on the screen without.")
    ] = None,
    language: Annotated[Language, typer.Option(help="Language of the statement.")] = "ru",
    output: Annotated[Path | None, typer.Option(help="File to write; standard output without.")] = None,
    city: CityOption = "almaty",
    as_json: JsonOption = False,
    as_of: AsOfOption = "",
) -> None:
    """Say what a party owes and is owed over service days, and every entry that it follows from.

    Example: jolaqy statement alatau --from 2024-05-01 --to 2024-05-31 --format pdf --output alatau.pdf
    """
    first_day, last_day = day_argument(first_day, "--from"), day_argument(last_day, "--to")
    with open_office(as_of) as office, office.database.reading() as session:
        statement = statement_of(session, city, party, first_day, last_day)
        now_ms = office.clock.now_ms()
        content = None if format_ is None else statement_file(statement, format_, language, now_ms)
    if content is not None:
        write_bytes(content, output)
    elif as_json:
        print_json(statement_as_dict(statement))
    else:
        _print(statement, language)


def _print(statement: Statement, language: str) -> None:
    title = f"{statement.names[language]}, {statement.first_day} – {statement.last_day}, ₸"
    print_rows(
        title,
        ["account", "opening", "debit", "credit", "closing"],
        [
            [row.account, *map(format_minor, (row.opening_minor, row.debit_minor, row.credit_minor, row.closing_minor))]
            for row in statement.accounts
        ],
    )
    print_rows(
        "Movements",
        ["day", "what", "account", "₸"],
        [
            [
                row.day,
                entry_in_words(row.entry_key, statement.carrier_names, language),
                row.account,
                format_minor(row.amount_minor),
            ]
            for row in statement.movements
        ],
    )


def add_to(app: typer.Typer) -> None:
    """Hang the command into the tree."""
    app.command("statement")(statement_command)
