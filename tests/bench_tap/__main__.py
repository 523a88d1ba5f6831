"""Print how long a tap takes in the model: `python -m tests.bench_tap [--seed N] [--json] [--write]`."""

from __future__ import annotations

import argparse
import json
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from hardware.emulated_m4 import emulator
from hardware.emulated_m4.operations import count_operations
from simulator import timing
from tests.bench_tap.measure import measure
from tests.bench_tap.tables import operations_table, options_table, taps_table

_PAGE = Path(__file__).resolve().parents[1] / "TAP_TIMES.md"
_NOT_COUNTED = "The firmware was not counted, and is not in these figures: run `make emulated` first."
_INTRODUCTION = """# Tap times

How long a tap takes **in a declared model**, from the card's first answer (or the last byte of a code) to the light.
`make bench-tap` prints these tables, `python -m tests.bench_tap --write` writes this page.

The conversations are real: the firmware before virtual cards, every byte counted. The firmware's share is counted on an
emulated Cortex-M4 that is told the same bytes ([`hardware/emulated_m4`](../hardware/emulated_m4/__init__.py)), and reckoned for
an ESP32-S3 with the more cautious factor. Air, link, card and flash are those of
[`simulator/timing.py`](../simulator/timing.py), where each figure has its source. **No board, no reader chip and no card was
measured.** Not in the figures: drivers of a real board, a batch that is being signed at the same moment (a step of it takes as
long as the table of operations says), frames that are lost and sent again, and the moment until the chip notices a card.

Where a target is missed, the next steps are, by what they save:

- the link: the chip begins at 115200 bit/s, and would take 921600 when asked to (SetSerialBaudrate);
- certificates with an exponent of 65537: each costs as much as the whole target. A Mastercard-like card signs for longer than
  they take, so they are to be checked while it does, after GENERATE AC is sent and before its answer is awaited;
- the air: 424 kbit/s for transport cards (InPSL);
- garbage: a collection in the middle of a tap costs as much as a certificate with an exponent of 3. It is put off until the rider
  has been told, and comes in between only where a tap leaves more garbage than the heap has room.
"""


def main(arguments: list[str]) -> int:
    """Measure, print and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_tap", description="Say how long a tap takes.")
    parser.add_argument("--seed", type=int, default=1, help="of what varies (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help=f"write tests/{_PAGE.name}")
    options = parser.parse_args(arguments)
    counted = emulator.is_set_up()
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "model": timing.MODEL_VERSION,
        "seed": options.seed,
        "processor": timing.PROCESSORS[timing.REFERENCE].name,
        "firmware": "counted" if counted else "not counted",
    }
    taps = measure(random.Random(options.seed))
    tables = {"taps": taps_table(taps), "options": options_table(taps)}
    if counted:
        tables["operations"] = operations_table(count_operations())
    else:
        print(_NOT_COUNTED, file=sys.stderr)
    if options.json:
        print(
            json.dumps({"about": about, "results": {name: table.as_json() for name, table in tables.items()}}, indent=2)
        )
        return 0
    lines = "\n".join(f"- {name}: {value}" for name, value in about.items())
    text = "\n\n".join([lines, *(table.as_text() for table in tables.values())])
    print(text)
    if options.write:
        _PAGE.write_text(f"{_INTRODUCTION}\n{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
