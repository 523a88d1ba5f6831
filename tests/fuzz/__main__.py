"""Fuzz the decoders: `python -m tests.fuzz [TARGET …] [--seconds N] [--json]`, or show a finding again with `--replay FILE`.

A table goes to standard output, progress to standard error. What is found lies in `.cache/fuzz/TARGET/`, beside the corpus,
which grows from run to run. Exit code 1: something was found.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.bench.machine import describe
from tests.bench.table import Table
from tests.fuzz.campaign import FuzzError, Outcome, engine, replay_command, run_target
from tests.fuzz.child import MUTATIONS, targets

_SECONDS = 60


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _seconds(text: str) -> int:
    seconds = int(text)
    if seconds < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return seconds


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the decoders, guided by coverage.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one or more of: {', '.join(targets())}")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=os.environ.get("FUZZ_SECONDS", str(_SECONDS)),
        help=f"for each target ({_SECONDS}, or FUZZ_SECONDS)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="check one target on one input, and say what happens"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.targets if name not in targets()]:
        parser.error(f"no target {unknown[0]}; there are: {', '.join(targets())}")
    if options.replay and len(options.targets) != 1:
        parser.error("--replay needs the one target that it is for")
    return options


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "executions": outcome.executions,
        "seconds": round(outcome.seconds, 1),
        "findings": [{"file": path.name, "replay": replay_command(outcome, path)} for path in outcome.findings],
    }


def _as_table(outcomes: list[Outcome]) -> Table:
    columns = ("target", "executions", "seconds", "executions/s", "findings")
    rows = [
        (each.target, each.executions, round(each.seconds), each.executions / each.seconds, len(each.findings))
        for each in outcomes
    ]
    return Table("Fuzzing", columns, list(rows), f"Engine: {engine()}.")


def _report(outcome: Outcome) -> None:
    _tell(f"{outcome.target}: {outcome.executions} inputs in {outcome.seconds:.0f} s, {len(outcome.findings)} findings")
    if outcome.findings:
        print(outcome.last_words, file=sys.stderr)
    for finding in outcome.findings:
        _tell(f"again: {replay_command(outcome, finding)}")


def main(arguments: list[str]) -> int:
    """Fuzz what was asked for (everything) and return the exit code."""
    options = _options(arguments)
    if options.replay:
        targets()[options.targets[0]].check(options.replay.read_bytes())
        print("the property holds")
        return 0
    if engine() == MUTATIONS:
        _tell("atheris is not installed (extra `fuzz`): seeded mutations only, which nothing guides")
    machine = describe()
    outcomes = []
    for name in options.targets or targets():
        _tell(f"{name} …")
        try:
            outcomes.append(run_target(name, options.seconds, _tell))
        except FuzzError as error:
            print(error, file=sys.stderr)
            return 1
        _report(outcomes[-1])
    if options.json:
        results = {outcome.target: _as_json(outcome) for outcome in outcomes}
        print(json.dumps({"machine": machine, "engine": engine(), "results": results}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in machine.items()))
        print(f"\n{_as_table(outcomes).as_text()}")
    return 1 if any(outcome.findings for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
