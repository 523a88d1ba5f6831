"""Commands of the ledger: `jolaqy ledger balance` and `export`; `check` is beside the checks of settlement, which it runs too."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from clearing.cli import (
    EXIT_NOTHING_FOUND,
    EXIT_USAGE,
    CityOption,
    JsonOption,
    day_argument,
    fail,
    note,
    open_office,
    print_json,
    print_rows,
)
from clearing.ledger.entries import LedgerError
from clearing.ledger.plain_text import beancount_lines
from clearing.ledger.service import turnovers
from clearing.money import format_minor
from clearing.network.service import city_of

ledger = typer.Typer(help="The books.", no_args_is_help=True)
_FIRST, _LAST = "0001-01-01", "9999-12-31"
FromOption = Annotated[
    str, typer.Option("--from", metavar="DAY", help="First service day; the first there is without.")
]
ToOption = Annotated[str, typer.Option("--to", metavar="DAY", help="Last service day; the last there is without.")]


@ledger.command("balance")
def balance_command(
    city: CityOption = "almaty", first_day: FromOption = "", last_day: ToOption = "", as_json: JsonOption = False
) -> None:
    """Print the trial balance: opening, turnover and closing of every account over service days; debit is positive.

    Example: jolaqy ledger balance --from 2024-05-01 --to 2024-05-31
    """
    first_day = day_argument(first_day, "--from") if first_day else _FIRST
    last_day = day_argument(last_day, "--to") if last_day else _LAST
    if first_day > last_day:
        fail(f"--from {first_day} is after --to {last_day}", "turn them round", EXIT_USAGE)
    with open_office() as office, office.database.reading() as session:
        city_of(session, city)
        rows = turnovers(session, city, first_day, last_day)
    if as_json:
        print_json({"accounts": [asdict(row) | {"closing_minor": row.closing_minor} for row in rows]})
        return
    if not rows:
        fail(f"nothing is booked of {city} in these days", "close a day: jolaqy close run DAY", EXIT_NOTHING_FOUND)
    amounts = [(row.opening_minor, row.debit_minor, row.credit_minor, row.closing_minor) for row in rows]
    cells = [[row.account, *map(format_minor, each)] for row, each in zip(rows, amounts, strict=True)]
    cells.append(["all", *(format_minor(sum(column)) for column in zip(*amounts, strict=True))])
    print_rows(f"Trial balance of {city}, ₸", ["account", "opening", "debit", "credit", "closing"], cells)


@ledger.command("export")
def export_command(
    city: CityOption = "almaty",
    format_: Annotated[Literal["beancount"], typer.Option("--format", help="How it is written.")] = "beancount",
    output: Annotated[Path | None, typer.Option(help="File to write; standard output without.")] = None,
) -> None:
    """Write the books as plain text for beancount, whose `bean-check` then finds out by itself whether they balance.

    Example: jolaqy ledger export --format beancount --output almaty.beancount
    """
    assert format_ == "beancount"
    with open_office() as office, office.database.reading() as session:
        currency = city_of(session, city).currency
        try:
            _write(beancount_lines(session, city, currency), output)
        except LedgerError as error:
            fail(str(error), "give one of them another code in the city package")
        except OSError as error:
            fail(
                f"cannot write {output}: {error.strerror}", "name a file that may be written, in a folder that is there"
            )


def _write(lines: Iterable[str], output: Path | None) -> None:
    if output is None:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return
    with output.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    note(f"written: {output}")


def add_to(app: typer.Typer) -> None:
    """Hang the commands into the tree."""
    app.add_typer(ledger, name="ledger")
