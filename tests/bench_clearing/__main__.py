"""Run the measures of clearing: `python -m tests.bench_clearing [--taps N] [--json]`; progress goes to standard error.

`--write` writes them to a page as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.machine import describe
from tests.bench_clearing import closing, pricing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.table import Table, Tell

MEASURES: dict[str, Callable[[int, Tell], Table]] = {"pricing": pricing.measure, "closing": closing.measure}
_TAPS = 6_000_000
_PAGE = Path(__file__).parent.parent / "CLEARING_TIMES.md"


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _write(machine: dict[str, str | int | float], tables: dict[str, Table]) -> None:
    """Write what was measured as a page beside the other pages of measures."""
    said = [f"- {name}: {value}" for name, value in machine.items()]
    head = [
        "# Clearing a large day, measured",
        "",
        "`make bench-clearing` prints these tables, `--write` writes this page.",
        "",
    ]
    _PAGE.write_text("\n".join([*head, *said, *(f"\n{table.as_text()}" for table in tables.values())]) + "\n")


def main(arguments: list[str]) -> int:
    """Run what was asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_clearing", description="Measure clearing a large day.")
    parser.add_argument("--only", action="append", choices=sorted(MEASURES), help="one measure; may be repeated")
    parser.add_argument("--taps", type=int, default=_TAPS, help=f"taps of the day ({_TAPS})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help=f"write the tables to {_PAGE.name} as well")
    options = parser.parse_args(arguments)
    machine = describe()
    tables = {name: MEASURES[name](options.taps, _tell) for name in options.only or MEASURES}
    if options.json:
        results = {name: table.as_json() for name, table in tables.items()}
        print(json.dumps({"machine": machine, "results": results}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in machine.items()))
        print("\n".join(f"\n{table.as_text()}" for table in tables.values()))
    if options.write:
        _write(machine, tables)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
