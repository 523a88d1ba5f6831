"""Run the soak. The page goes to tests/SOAK.md and to standard output, progress to standard error."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.bench.machine import describe
from tests.soak.code import code_of_parts
from tests.soak.shards import KEPT, PARTS, TOP, plan, run, shard_named
from tests.soak.shelf import Shelf
from tests.soak.table import page
from tests.soak.workers import Workers

if TYPE_CHECKING:
    from tests.soak.shards import Shard

PAGE = TOP / "tests" / "SOAK.md"
_TENTH = 0.1
_USAGE = 2
_NOTHING_KEPT = 3
_STOPPED = 130
_COLUMNS = (
    TextColumn("{task.percentage:>5.1f} %"),
    BarColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
    TextColumn("{task.description}"),
)
_EXAMPLES = """examples:
  python -m tests.soak                                  a tenth of everything; what was played already is not played again
  FULL=1 python -m tests.soak                           all of it
  FULL=1 python -m tests.soak --only journal --only kills --processes 1
  python -m tests.soak --minutes 30                     begin nothing more after half an hour
  python -m tests.soak --shard kills-SQLite-3           one shard again, as it was
  python -m tests.soak --table --json                   play nothing; what is kept, as one JSON object

exit codes: 0 all promises held; 1 one was broken, and the command that plays its shard again is named; 2 wrong usage;
3 the code has changed while a shard was played; 130 stopped"""
_aside = Console(stderr=True, highlight=False)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Hold the promises for hours, in shards whose results are kept: it can be stopped, and goes on.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = 1.0 if os.environ.get("FULL") == "1" else _TENTH
    parser.add_argument("--fraction", type=float, default=default, help="of the whole; FULL=1 in the environment is 1")
    parser.add_argument("--only", action="append", choices=sorted(PARTS), default=[], help="a part; may be repeated")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at once (all cores)")
    parser.add_argument("--minutes", type=float, default=None, help="begin nothing more after so long")
    parser.add_argument("--shard", help="play this one alone, whether it was played or not")
    parser.add_argument("--table", action="store_true", help="play nothing; make the page of what is kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the page")
    parser.add_argument("--kept", type=Path, default=KEPT, help="where results are kept (.cache/soak)")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written (tests/SOAK.md)")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Do what was asked for and return the exit code."""
    options = _arguments(words)
    shelf = Shelf(options.kept, code_of_parts())
    if options.shard:
        return _play_one(options.shard, shelf)
    if not options.table:
        _play(list(plan(options.fraction, options.only)), shelf, options)
    return _tell(shelf, options)


def _play_one(name: str, shelf: Shelf) -> int:
    """Play one shard, and keep what came of it unless the code has changed meanwhile."""
    try:
        shard = shard_named(name)
    except KeyError:
        _aside.print(f"error: no shard {name}: they are named as journal-4x1024-1, kills-SQLite-1, crashes-1")
        return _USAGE
    result = replace(run(shard), beside=shelf.codes[shard.part].beside)
    print(json.dumps(asdict(result), ensure_ascii=False, indent=2))
    if code_of_parts()[shard.part].attacked != shelf.codes[shard.part].attacked:
        _aside.print("the code has changed meanwhile: this result is not kept")
        return _NOTHING_KEPT
    shelf.keep(result)
    return 0 if result.is_good else 1


def _play(shards: list[Shard], shelf: Shelf, options: argparse.Namespace) -> None:
    # What failed is played again: somebody wants to see it.
    to_play = [shard for shard in shards if (result := shelf.find(shard)) is None or not result.is_good]
    seconds = {shard: shelf.seconds_of(shard) for shard in to_play}
    whole_s = sum(seconds.values())
    _aside.print(
        f"{len(shards)} shards, {len(shards) - len(to_play)} of them kept; the others take about "
        f"{_duration(whole_s / options.processes)} with {options.processes} at once. It can be stopped, and goes on."
    )
    begun, done_s, count = time.monotonic(), 0.0, 0
    workers = Workers(options.processes, options.kept)
    with Progress(*_COLUMNS, console=_aside, disable=not _aside.is_terminal) as bar:
        task = bar.add_task("", total=whole_s)
        for shard, exit_code, words in workers.play(to_play, options.minutes):
            done_s += seconds[shard]
            count += 1
            bar.update(task, completed=done_s, description=" ".join(workers.running))
            left_s = (time.monotonic() - begun) / done_s * (whole_s - done_s)
            _say(shard, exit_code, words, f"{100 * done_s / whole_s:5.1f} %  {shard.name}, {_duration(left_s)} left")
    _aside.print(f"{count} shards took {_duration(time.monotonic() - begun)}")


def _say(shard: Shard, exit_code: int, words: str, state: str) -> None:
    if exit_code in {0, 1}:
        if not _aside.is_terminal:
            _aside.print(state)
    else:
        _aside.print(f"{shard.name} has no result, exit code {exit_code}: {words}", markup=False)
    if exit_code == 1:
        _aside.print(f"{shard.name}: BROKEN; see it again: {_replay(shard)}")


def _replay(shard: Shard) -> str:
    return f".venv/bin/python -m tests.soak --shard {shard.name}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _tell(shelf: Shelf, options: argparse.Namespace) -> int:
    """Write the page and print it; return 1 if a promise was broken."""
    results = shelf.everything()
    machine = describe()
    text = page(results, machine, shelf.codes, shelf.of_other_code())
    options.page.write_text(text)
    if options.json:
        codes = {name: asdict(code) for name, code in shelf.codes.items()}
        found = {"machine": machine, "code": codes, "results": [asdict(result) for result in results]}
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        print(text)
    bad = [result for result in results if not result.is_good]
    for result in bad:
        faults = "; ".join(result.faults[:3]) or "lost, doubled or phantom"
        _aside.print(f"{result.shard.name}: {faults}\n  {_replay(result.shard)}", markup=False)
    return 1 if bad else 0


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Also where a shell has started it in the background, and told it to ignore Ctrl-C.
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        _aside.print("stopped; what was played is kept")
        sys.exit(_STOPPED)
