"""Run the measures: `python -m tests.bench [--only NAME] [--json]`. Tables go to standard output, progress to standard error."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from tests.bench import bank_cards, cbor, day, heap, ingest, lists, p256
from tests.bench.machine import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.table import Table, Tell

MEASURES: dict[str, Callable[[Tell], Table]] = {
    "ingest": ingest.measure,
    "day": day.measure,
    "heap": heap.measure,
    "p256": p256.measure,
    "cbor": cbor.measure,
    "bank-cards": bank_cards.measure,
    "lists": lists.measure,
}


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Run what was asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure, beside a peer or a limit.")
    parser.add_argument("--only", action="append", choices=sorted(MEASURES), help="one measure; may be repeated")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    machine = describe()
    tables: dict[str, Table] = {}
    for name in options.only or MEASURES:
        begun = time.monotonic()
        _tell(f"{name} …")
        tables[name] = MEASURES[name](_tell)
        _tell(f"{name}: {time.monotonic() - begun:.0f} s")
    if options.json:
        results = {name: table.as_json() for name, table in tables.items()}
        print(json.dumps({"machine": machine, "results": results}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in machine.items()))
        print("\n".join(f"\n{table.as_text()}" for table in tables.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
