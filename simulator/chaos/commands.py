"""`jolaqy-sim chaos`: try to lose or double a tap, and say whether that was possible.

The simulation is imported when it is asked for: it brings the whole back office along.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator.chaos.play import Outcome

EXIT_CHECK_FAILED = 4
_TRACE_LINES = 60
_aside = Console(stderr=True)

SchedulesOption = Annotated[int, typer.Option(min=1, max=1_000_000, help="How many schedules.")]
TapsOption = Annotated[int, typer.Option(min=1, max=100_000, help="Riders in each.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the first schedule; the next ones follow on.")]
ReplayOption = Annotated[
    int | None, typer.Option(metavar="SEED", help="Play this one schedule again and show its trace.")
]
WithoutOption = Annotated[
    list[str] | None, typer.Option(metavar="FAULT", help="Leave out a fault: KIND or KIND:NUMBER.")
]


def chaos(
    schedules: SchedulesOption = 300,
    taps: TapsOption = 200,
    seed: SeedOption = 1,
    replay: ReplayOption = None,
    without: WithoutOption = None,
    mutants: Annotated[bool, typer.Option("--mutants", help="Seed known bugs and see that each is caught.")] = False,
    corpus: Annotated[bool, typer.Option("--corpus", help="Play the traps that others fell into.")] = False,
    processes: Annotated[int | None, typer.Option(min=1, help="How many at once; default: one for each core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Try to lose or double a tap: production firmware and service in one process, on virtual time, with seeded faults.

    Power cuts at any byte of flash, a network that loses, repeats, reorders and garbles, an attacker, crashes and restored
    databases; after every event and at the end it is checked that no tap was lost, doubled or invented. A schedule that fails is
    made small and printed with the command that plays it again.

    Exit code 4: a promise was broken, a mutant got away, or a trap of the corpus was not held.

    Example: jolaqy-sim chaos --schedules 300 --taps 200 --seed 1
    """
    if mutants:
        _hunt(seed, processes, as_json)
    elif corpus:
        _play_corpus(processes, as_json)
    elif replay is not None:
        _replay(replay, taps, frozenset(without or ()), as_json)
    else:
        _play(range(seed, seed + schedules), taps, processes, as_json)


@contextmanager
def _progress(total: int, what: str) -> Iterator[Callable[[], None]]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_aside, transient=True, disable=not _aside.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _play(seeds: range, taps: int, processes: int | None, as_json: bool) -> None:
    from simulator.chaos.pool import play_all  # noqa: PLC0415
    from simulator.chaos.report import Report  # noqa: PLC0415

    started = time.monotonic()
    report = Report()
    with _progress(len(seeds), "schedules") as advance:
        for outcome in play_all(seeds, taps, processes):
            report.add(outcome)
            advance()
    result = report.result()
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        print(json.dumps(result | {"timings": {"seconds": seconds}}, indent=2))
    else:
        print(f"{report.text()}\nplayed in {seconds} s, traces {result['trace_sha256'][:16]}")
    if report.failed:
        _show_smallest(report.failed[0])
        raise typer.Exit(EXIT_CHECK_FAILED)


def _show_smallest(failed: Outcome) -> None:
    """Make a failing schedule small and tell, aside, how it comes about."""
    from simulator.chaos.minimise import Minimiser, replay_command  # noqa: PLC0415
    from simulator.chaos.pool import stage_in_memory  # noqa: PLC0415

    for violation in failed.violations[:3]:
        _aside.print(f"[bold red]{violation.invariant}:[/] {violation.text}", highlight=False, soft_wrap=True)
    _say(f"again: {replay_command(failed.schedule)}")
    with stage_in_memory() as (stage, folder):
        smallest = Minimiser(failed, stage, folder).run()
    _say(f"small: {replay_command(smallest.schedule)}")
    _show_trace(smallest, _TRACE_LINES)


def _show_trace(outcome: Outcome, lines: int = 0) -> None:
    """Tell which faults struck, and the last lines of the trace, or all of them."""
    for line in outcome.faults_in_words():
        _say(line)
    for line in outcome.trace[-lines:]:
        _say(line)


def _say(line: str) -> None:
    _aside.print(line, highlight=False, markup=False, soft_wrap=True)


def _replay(seed: int, taps: int, without: frozenset[str], as_json: bool) -> None:
    from simulator.chaos.play import play  # noqa: PLC0415
    from simulator.chaos.pool import stage_in_memory  # noqa: PLC0415
    from simulator.chaos.report import Report  # noqa: PLC0415
    from simulator.chaos.schedule import draw_schedule  # noqa: PLC0415
    from simulator.chaos.stage import START_MS  # noqa: PLC0415
    from simulator.world import World  # noqa: PLC0415

    with stage_in_memory() as (stage, folder):
        outcome = play(draw_schedule(World(seed, START_MS), taps, without), stage, folder)
    report = Report()
    report.add(outcome)
    if as_json:
        print(json.dumps(report.result(), indent=2))
    else:
        _show_trace(outcome)
        print(f"{report.text()}\ntrace {outcome.trace_sha256}")
    if outcome.violations:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _hunt(seed: int, processes: int | None, as_json: bool) -> None:
    from simulator.chaos.mutants import MUTANTS  # noqa: PLC0415
    from simulator.chaos.pool import hunt_all  # noqa: PLC0415

    catches = []
    with _progress(len(MUTANTS) + 1, "mutants") as advance:
        for catch in hunt_all(seed, processes):
            catches.append(catch)
            advance()
    control = catches.pop()
    caught = sum(catch.is_caught for catch in catches)
    if as_json:
        each = [vars(catch) for catch in catches]
        print(
            json.dumps(
                {"mutants": len(catches), "caught": caught, "control": control.invariant, "each": each}, indent=2
            )
        )
    else:
        for catch in catches:
            how = f"after {catch.schedules}: {catch.invariant}" if catch.is_caught else "GOT AWAY"
            print(f"{catch.name:36} {how}")
        print(f"mutants {len(catches)}, caught {caught}; without one: {control.invariant or 'nothing found'}")
    if caught != len(catches) or control.is_caught:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _play_corpus(processes: int | None, as_json: bool) -> None:
    from simulator.chaos.corpus import SCENARIOS  # noqa: PLC0415
    from simulator.chaos.pool import play_corpus  # noqa: PLC0415

    results = []
    with _progress(len(SCENARIOS.all), "traps") as advance:
        for held in play_corpus(processes):
            results.append(held)
            advance()
    held_count = sum(not result.faults for result in results)
    if as_json:
        print(
            json.dumps({"traps": len(results), "held": held_count, "each": [vars(held) for held in results]}, indent=2)
        )
    else:
        for result in results:
            print(
                f"{result.reference:28} {result.name:44} {'held' if not result.faults else 'FELL: ' + result.faults[0]}"
            )
        print(f"traps {len(results)}, held {held_count}")
    if held_count != len(results):
        raise typer.Exit(EXIT_CHECK_FAILED)
