"""`jolaqy-sim pan-scan`: play taps with bank cards, and look for the riders' card numbers in all that they left behind."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from simulator.keys import write_keys
from simulator.pan_scan.run import Plan, Scan
from simulator.process import ProcessFault
from simulator.runtimes import RUNTIMES, RuntimeMissing
from simulator.service import ServiceError

_EXIT_ERROR = 1
_EXIT_USAGE = 2
_EXIT_CHECK_FAILED = 4
_SEED = 1
_MICROPYTHON_SHARE = 100
_MICROPYTHON_TAPS = (20, 1_000)
_FEW_TAPS = 200
_aside = Console(stderr=True)


def plan_for(taps: int, runtime: str, *, plant: bool = False, workers: int = 0) -> Plan:
    """Return who takes how many taps: a hundredth by MicroPython, but 20 to 1000; few taps need one worker."""
    least, most = _MICROPYTHON_TAPS
    on_micropython = min(taps, max(least, min(most, taps // _MICROPYTHON_SHARE)))
    return Plan(taps, on_micropython, workers or (1 if taps <= _FEW_TAPS else os.cpu_count() or 1), runtime, plant)


def pan_scan(
    taps: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many times a card is held.")] = 2_000,
    runtime: Annotated[
        str, typer.Option(help="The validator whose memory is looked at: micropython or micropython32.")
    ] = ("micropython32"),
    plant: Annotated[bool, typer.Option(help="Put one number where it must not be, to see that it is found.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play taps with bank cards through validators and a clearing service; then look for every rider's card number.

    It looks at memory (of a real MicroPython validator and of the clearing service, while no card is in the field), at
    journals, files and logs of validators and service, captures of the wire between them, and the database. Cards, keys and
    service are made for this run in a temporary folder. The line between reader chip and validator is not looked at: it
    carries the number.

    Exit code 4: a number was found.

    Example: jolaqy-sim pan-scan --taps 100000 --json
    """
    if runtime not in RUNTIMES[:2]:
        _fail(f"no runtime {runtime}", f"choose one of {', '.join(RUNTIMES[:2])}", _EXIT_USAGE)
    with tempfile.TemporaryDirectory(prefix="jolaqy-scan-") as temporary:
        home, folder = Path(temporary) / "home", Path(temporary) / "left"
        home.mkdir()
        folder.mkdir()
        write_keys(home, _SEED)
        try:
            told = Scan(plan_for(taps, runtime, plant=plant), home, folder, _tell).run()
        except (ProcessFault, RuntimeMissing, ServiceError, PermissionError) as error:
            _fail(str(error), "", _EXIT_ERROR)
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        _print(told)
    if told["hits"]:
        raise typer.Exit(_EXIT_CHECK_FAILED)


_told = -1


def _tell(part: float, text: str) -> None:
    """Say each twentieth, once."""
    global _told  # noqa: PLW0603 - one command, one progress
    if int(part * 20) > _told:
        _told = int(part * 20)
        _aside.print(f"  {part * 100:3.0f} %  {text}", highlight=False)


def _print(told: dict[str, Any]) -> None:
    print(f"hits: {told['hits']}")
    for hit in told["found"]:
        print(f"  {hit['what']}, {hit['place']}, byte {hit['byte']}: {hit['form']}")
    print(f"{told['taps']} taps with {told['cards']} cards, {told['taps_accepted']} accepted, in {told['seconds']} s")
    print(f"{told['taps_on_micropython']} on {told['runtime']}, {told['taps_in_process']} in process")
    for each in told["looked_at"]:
        print(f"  {each['what']}: {each['pieces']} pieces, {each['size_bytes']} bytes")


def _fail(message: str, remedy: str, exit_code: int) -> None:
    _aside.print(f"[bold red]error:[/] {message}", highlight=False)
    if remedy:
        _aside.print(f"[dim]{remedy}[/]", highlight=False)
    raise typer.Exit(exit_code)
