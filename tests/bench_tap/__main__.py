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

What makes a tap short: the line to the chip is set to 921600 bit/s, and a transport card to 424 kbit/s in the air (an EMV card
must be spoken to at 106: EMV Contactless Book D has no other rate). What can be done while a card is at work is done then:
deciding, the journal's intent, the certificates of a bank card. Memory is tidied up when the card has left, or while a bank
card signs; a transport card's tap leaves less garbage than the heap has room for. Issuers with an exponent of 65537 are
reported and not aimed at: their certificate takes 112 ms, which plastic hides while it signs, and a phone does not.

**Plastic bank cards take more than 500 ms in one tap of twenty (Visa-like) to one of ten (Mastercard-like), and the firmware
cannot change that:** if it computed nothing, 99 of 100 would take 471 to 499 ms (column `p99, no firmware`), so nothing is left
for it. Air is 89 to 99 ms for what such a card has to say at 106 kbit/s, and the card computes for 250 to 260 ms on average, up
to 360: that is an RSA signature (100 to 300 ms in all that is published) and six or seven other commands. The
declared card is rather slower than those of today: with its air it takes some 340 to 360 ms on average, where a user who has
timed cards has seen 315 to 325 ms for plastic that is newly issued, and up to 740 for old ones (wwopenfare.com, "IsoDep
transceive times"); others have timed payments at 330 to 637 ms. Cards are what riders bring, so the figure is left as it is.
Phones, and every other medium, keep to their targets.
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
