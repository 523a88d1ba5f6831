"""`jolaqy-sim week`: a week of a city's money, with counterparties that misbehave: every difference must be found."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from simulator.process import ProcessFault
from simulator.runtimes import RUNTIMES, RuntimeMissing
from simulator.service import ServiceError, run_command
from simulator.week.office import CityOffice
from simulator.week.play import Week

if TYPE_CHECKING:
    from collections.abc import Callable

_aside = Console(stderr=True)
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_CHECK_FAILED = 4


def _fail(message: str, remedy: str, exit_code: int) -> None:
    _aside.print(f"[bold red]error:[/] {message}", highlight=False, markup=True)
    _aside.print(f"[dim]{remedy}[/]", highlight=False)
    raise typer.Exit(exit_code)


def week(
    city: Annotated[str, typer.Option(help="City, by the code of its package.")] = "shymkent",
    seed: Annotated[int, typer.Option(help="Everything that happens by chance comes from it.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=31, help="How many days are played.")] = 7,
    riders: Annotated[int, typer.Option(min=3, max=300, help="How many people ride each day.")] = 18,
    runtime: Annotated[str, typer.Option(help="What runs the validators: cpython, micropython, micropython32.")] = (
        "micropython"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Play a week of a city: riders by card, bank card, cash, QR and SMS; agents, acquirer and bank; closes and reconciliation.

    Counterparties misbehave: they lose, double, alter and invent. Exit code 4: a difference that they made was not found as a
    break, a break was found that nobody made, or the books do not keep their rules. The database is a fresh SQLite one, or the
    empty one of JOLAQY_DATABASE_URL.

    Example: jolaqy-sim week --city shymkent --seed 3 --json
    """
    if runtime not in RUNTIMES:
        _fail(f"no runtime {runtime}", f"choose one of {', '.join(RUNTIMES)}", EXIT_USAGE)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="jolaqy-week-") as folder:
            result = _play(Path(folder), city, seed, days, riders, runtime)
    except (ProcessFault, RuntimeMissing, ServiceError) as error:
        _fail(str(error), "", EXIT_ERROR)
    faults = faults_in(result)
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        print(json.dumps(result | {"seed": seed, "faults": faults, "seconds": seconds}, ensure_ascii=False, indent=2))
    else:
        _print(result, seconds)
    if faults:
        _fail("; ".join(faults), "play it again with the same seed to look closer", EXIT_CHECK_FAILED)


def _play(folder: Path, city: str, seed: int, days: int, riders: int, runtime: str) -> dict[str, Any]:
    database_url = os.environ.get("JOLAQY_DATABASE_URL", "")
    home = folder / "home"
    home.mkdir()
    if database_url and run_command(home, "db", "status", "--json")["revision"] is not None:
        raise ServiceError("the database of JOLAQY_DATABASE_URL is in use: name an empty one, or unset it")
    office = CityOffice(home, city, seed, database_url)
    columns = (
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    try:
        with Progress(*columns, console=_aside, transient=True, disable=not _aside.is_terminal) as bar:
            task = bar.add_task("starting", total=1.0)
            return Week(office, seed, days, riders, runtime, folder, _telling(bar, task)).run()
    finally:
        office.stop()


def _telling(bar: Progress, task: Any) -> Callable[[float, str], None]:  # noqa: ANN401 - the number of a bar
    def tell(part: float, text: str) -> None:
        bar.update(task, completed=part, description=text)
        if not _aside.is_terminal:
            _aside.print(f"  {part * 100:3.0f} %  {text}", highlight=False)

    return tell


def faults_in(result: dict[str, Any]) -> list[str]:
    """What of a week's promises was not kept."""
    faults = [f"ledger: {fault}" for fault in result["ledger_faults"]]
    if result["ledger_imbalance_minor"]:
        faults.append(f"the books are off by {result['ledger_imbalance_minor']} tiyn")
    faults += [f"not found: {each['cause']} {each['reference']}" for each in result["breaks_missing"]]
    faults += [f"nobody made: {each['cause']} {each['reference']}" for each in result["false"]]
    return faults


def _print(result: dict[str, Any], seconds: float) -> None:
    taps = ", ".join(f"{count} × {what}" for what, count in result["taps"].items())
    print(f"{result['city']}, {result['days']} days: {taps}")
    print(f"{result['qr_payments']} QR payments, {result['sms']} messages, {result['top_ups']} top-ups")
    print("closes: " + ", ".join(f"{day} version {version}" for day, version in sorted(result["closes"].items())))
    print(f"ledger off by {result['ledger_imbalance_minor']} tiyn, {len(result['ledger_faults'])} faults")
    print(
        f"differences made {result['breaks_injected']}, found {result['breaks_found']}; "
        f"breaks that nobody made {result['false_breaks']}; played in {seconds} s"
    )
