"""The `jolaqy-sim` command: a city's day in the simulator."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from simulator.card_command import card
from simulator.card_images import ImagesDamaged, read_card_images
from simulator.chaos.commands import chaos
from simulator.count import faults_in
from simulator.day import Day, Settings
from simulator.keys import read_keys, write_keys
from simulator.pan_scan.command import pan_scan
from simulator.process import ProcessFault
from simulator.proxy_command import proxy
from simulator.runtimes import RUNTIMES, RuntimeMissing
from simulator.service import ClockFile, Service, ServiceError, ServiceProcess, run_command
from simulator.week.command import week

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator.day import Report
    from simulator.desfire_card import DesfireCard

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_CHECK_FAILED = 4

app = typer.Typer(
    name="jolaqy-sim",
    help="The world around a validator: a city's day with real validators, riders, a bad network and power cuts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
_aside = Console(stderr=True)
_output = Console(soft_wrap=True)

SeedOption = Annotated[int, typer.Option(help="Everything that happens by chance comes from it.")]
RidersOption = Annotated[int, typer.Option(min=1, max=20_000, help="How many people ride.")]
DayOption = Annotated[str, typer.Option("--day", metavar="DAY", help="Which day is played, YYYY-MM-DD.")]
RuntimeOption = Annotated[str, typer.Option(help="What runs the validators: micropython, micropython32 or cpython.")]
HoursOption = Annotated[str, typer.Option(metavar="FROM-TO", help="Hours of local time in which buses drive.")]
PowerCutsOption = Annotated[int, typer.Option(min=0, max=1000, help="Power cuts over the whole fleet.")]
DoorsOption = Annotated[int, typer.Option(min=1, max=2, help="Of each vehicle; each has a validator.")]
_DAY = "2024-05-15"
_Result = TypeVar("_Result")


def _fail(message: str, remedy: str, exit_code: int = EXIT_ERROR) -> NoReturn:
    _aside.print(f"[bold red]error:[/] {message}", highlight=False)
    if remedy:
        _aside.print(f"[dim]{remedy}[/]", highlight=False)
    raise typer.Exit(exit_code)


def _settings(seed: int, riders: int, day: str, hours: str, runtime: str, power_cuts: int) -> Settings:
    if runtime not in RUNTIMES:
        _fail(f"no runtime {runtime}", f"choose one of {', '.join(RUNTIMES)}", EXIT_USAGE)
    first, _, last = hours.partition("-")
    if not (first.isdigit() and last.isdigit() and 6 <= int(first) < int(last) <= 22):
        _fail(f"no hours {hours}", "write them as 6-22: buses drive between 6 and 22", EXIT_USAGE)
    try:
        played = date.fromisoformat(day)
    except ValueError:
        _fail(f"not a day: {day}", "write it as 2024-05-15", EXIT_USAGE)
    return Settings(seed, riders, played, (int(first), int(last)), runtime, power_cuts)


@contextmanager
def _progress() -> Iterator[Callable[[float, str], None]]:
    columns = (
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=_aside, transient=True, disable=not _aside.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0)
        told = -1

        def tell(part: float, text: str) -> None:
            nonlocal told
            bar.update(task, completed=part, description=text)
            # A log has no bar: it is told every tenth, once.
            if not _aside.is_terminal and int(part * 10) > told:
                told = int(part * 10)
                _aside.print(f"  {told * 10:3d} %  {text}", highlight=False)

        yield tell


def _play(settings: Settings, home: Path, server: str, token: str, clock_file: Path | None) -> Report:
    """Play a day with a service of its own in `home`, or with one that is running."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jolaqy-sim-")))
        service: Service
        if server:
            assert clock_file is not None
            clock = ClockFile(clock_file, 0)
            service = Service(server, token)
        else:
            clock = ClockFile(folder / "clock", 0)
            process = ServiceProcess(home, "--port", "0", "--clock-file", str(clock.path))
            stack.callback(process.stop)
            token = process.command("token", "issue", "simulator", "--role", "administrator", "--json")["token"]
            service = Service(process.url, token)
        stack.callback(service.close)
        tell = stack.enter_context(_progress())
        return Day(settings, service, clock, read_keys(home), folder / "validators", tell).run()


@app.command("day")
def day_command(
    seed: SeedOption = 1,
    riders: RidersOption = 700,
    day: DayOption = _DAY,
    hours: HoursOption = "6-22",
    runtime: RuntimeOption = "micropython",
    power_cuts: PowerCutsOption = 12,
    doors: DoorsOption = 1,
    server: Annotated[str, typer.Option(help="A running service, http://HOST:PORT, instead of one of our own.")] = "",
    token: Annotated[str, typer.Option(envvar="JOLAQY_TOKEN", help="Administrator's token for --server.")] = "",
    clock_file: Annotated[Path | None, typer.Option(help="The file by which --server is told the time.")] = None,
    cards: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Transport cards that a desk has issued (jolaqy-sim card --keep)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play a city's day on a fresh database in a temporary folder, and count what became of every tap.

    The database may be another one, JOLAQY_DATABASE_URL, if it is empty. The city's keys are derived from the seed: they protect
    nothing. With --server, a service must run as `jolaqy serve --clock-file FILE`, its keys under JOLAQY_HOME.

    With --cards, riders hold cards that `jolaqy-bench card issue` has made with the city's keys (those of the seed are written by
    `jolaqy-sim keys`). With --server as well, the desk is held to have told the service what was loaded onto them.

    Exit code 4: a promise was broken (a tap lost or doubled, books out of balance, another share than was counted).

    Example: jolaqy-sim day --seed 7 --json
    """
    settings = _settings(seed, riders, day, hours, runtime, power_cuts)
    settings = replace(settings, doors=doors, cards=_cards(cards), cards_are_sold=bool(server))
    if server and (not token or clock_file is None):
        _fail("--server needs --token and --clock-file", "start it as: jolaqy serve --clock-file FILE", EXIT_USAGE)
    with tempfile.TemporaryDirectory(prefix="jolaqy-home-") as temporary:
        home = Path(os.environ.get("JOLAQY_HOME", ".jolaqy")) if server else Path(temporary)
        if not server:
            _try(lambda: _require_fresh_database(home))
            write_keys(home, seed)
        report = _try(lambda: _play(settings, home, server, token, clock_file))
    _tell(report, as_json)


def _cards(path: Path | None) -> tuple[DesfireCard, ...]:
    try:
        return tuple(read_card_images(path)) if path is not None else ()
    except OSError as error:
        _fail(
            f"cannot read {path}: {error.strerror}", "name a file that jolaqy-sim card --keep has written", EXIT_USAGE
        )
    except ImagesDamaged as error:
        _fail(str(error), "name a file that jolaqy-sim card --keep has written", EXIT_USAGE)


@app.command("keys")
def keys_command(
    folder: Annotated[Path, typer.Argument(help="Where keys.json is written; there must be none yet.")],
    seed: SeedOption = 1,
) -> None:
    """Write the keys of a simulated city, for a card desk that issues cards for its day. They protect nothing.

    Example: jolaqy-sim keys /tmp/desk --seed 7, and then jolaqy-bench card issue --keys /tmp/desk/keys.json
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_keys(folder, seed)
    except OSError as error:
        _fail(f"cannot write {folder / 'keys.json'}: {error.strerror}", "name another folder")


def _require_fresh_database(home: Path) -> None:
    """Refuse to pour a simulated day into somebody's books."""
    if "JOLAQY_DATABASE_URL" in os.environ and run_command(home, "db", "status", "--json")["revision"] is not None:
        _fail("the database of JOLAQY_DATABASE_URL is in use", "name an empty one, or unset it", EXIT_USAGE)


@app.command("demo")
def demo_command(
    seed: SeedOption = 7,
    riders: RidersOption = 700,
    runtime: RuntimeOption = "micropython",
    port: Annotated[int, typer.Option(help="Port of the pages; 0 takes a free one.")] = 0,
) -> None:
    """Play a day, keep it under JOLAQY_HOME, and serve its pages; on a terminal until Ctrl-C.

    A demonstration that is there already is played anew: its database is replaced, and no other.
    """
    home = Path(os.environ.get("JOLAQY_HOME", ".jolaqy")).resolve()
    _prepare_home(home)
    settings = _settings(seed, riders, _DAY, "6-22", runtime, 12)
    _aside.print(
        f"A day in Almaty, {_DAY}: 12 validators on {runtime}, {riders} riders, tunnels, power cuts.", highlight=False
    )
    report = _try(lambda: _play(settings, home, "", "", None))
    _tell(report, as_json=False)
    _serve(home, port)


_MARK = "demonstration"


def _prepare_home(home: Path) -> None:
    """Empty the home of an earlier demonstration; refuse to touch any other."""
    if "JOLAQY_DATABASE_URL" in os.environ:
        _fail("the demonstration makes its own database", "unset JOLAQY_DATABASE_URL")
    if home.exists() and any(home.iterdir()):
        if not (home / _MARK).exists():
            _fail(f"{home} is in use and is no demonstration", "set JOLAQY_HOME to another folder")
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / _MARK).write_text("This folder was made by the demonstration, which may empty it again.\n")


def _serve(home: Path, port: int) -> None:
    """Serve the pages: on a terminal until Ctrl-C, else only as long as it takes to see that they come."""
    pages = ServiceProcess(home, "--port", str(port))
    try:
        print(f"pages: {pages.url}")
        if sys.stdin.isatty() and sys.stdout.isatty():
            print("Ctrl-C ends it; `make demo` plays the day again, `.venv/bin/jolaqy serve` serves it again.")
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
        else:
            Service(pages.url, "").check_page("/")
    finally:
        pages.stop()


def _try(act: Callable[[], _Result]) -> _Result:
    try:
        return act()
    except (ProcessFault, RuntimeMissing, ServiceError) as error:
        _fail(str(error), "")


def _tell(report: Report, as_json: bool) -> None:
    faults = faults_in(report.result)
    if as_json:
        timings = {"seconds": round(report.seconds, 1), "speed_up": round(report.simulated_seconds / report.seconds)}
        print(json.dumps(report.result | {"faults": faults, "timings": timings}, ensure_ascii=False, indent=2))
    else:
        _print_tables(report.result, report)
    if faults:
        _fail("; ".join(faults), "play it again with the same seed to look closer", EXIT_CHECK_FAILED)


def _print_tables(result: dict[str, Any], report: Report) -> None:
    table = Table(title=f"{result['city']} {result['day']}, seed {result['seed']}", title_justify="left")
    table.add_column("medium")
    table.add_column("rides", justify="right")
    table.add_column("fares ₸", justify="right")
    for medium, rides in result["rides_by_medium"].items():
        table.add_row(medium, str(rides), _tenge(result["fares_minor_by_medium"].get(medium, 0)))
    total_minor = sum(result["fares_minor_by_medium"].values())
    table.add_section()
    table.add_row("all", str(sum(result["rides_by_medium"].values())), _tenge(total_minor))
    _output.print(table)
    print(
        f"taps: presented {result['taps_presented']}, accepted {result['taps_accepted']}, refused {result['taps_refused']}"
    )
    print(
        f"cleared {result['taps_cleared']}, lost {result['taps_lost']}, doubled {result['taps_doubled']}; "
        f"ledger off by {_tenge(result['ledger_imbalance_minor'])} ₸"
    )
    print(
        f"loaded on buses: {_tenge(result['top_ups_applied_minor'])} ₸ of {_tenge(result['top_ups_paid_in_minor'])} ₸ "
        "that was paid in"
    )
    print(
        f"cashless share: {result['cashless_share_trips_percent']} % of trips, "
        f"{result['cashless_share_revenue_percent']} % of revenue"
    )
    print(
        f"{result['validators']} validators on {result['runtime']}, {result['power_cuts']} power cuts; "
        f"played in {report.seconds:.0f} s, {report.simulated_seconds / report.seconds:.0f} times faster than real"
    )


def _tenge(amount_minor: int) -> str:
    return f"{amount_minor / 100:,.2f}".replace(",", " ")


app.command("chaos")(chaos)
app.command("proxy")(proxy)
app.command("week")(week)
app.command("pan-scan")(pan_scan)
app.command("card")(card)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
