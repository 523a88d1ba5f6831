"""Count the firmware's operations on the emulated Cortex-M4: `python -m hardware.emulated_m4 [--json]`."""

from __future__ import annotations

import argparse
import json
import sys

from hardware.emulated_m4.emulator import EmulatorMissing
from hardware.emulated_m4.operations import count_operations
from simulator.timing import PROCESSORS


def main(arguments: list[str]) -> int:
    """Print each operation's instructions, and what they take on the boards of the model."""
    parser = argparse.ArgumentParser(prog="python -m hardware.emulated_m4", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object: instructions by operation")
    options = parser.parse_args(arguments)
    try:
        counts = count_operations()
    except EmulatorMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(counts, indent=2))
        return 0
    print(f"{'instructions':>12}" + "".join(f"{processor.name:>34}" for processor in PROCESSORS.values()))
    for name, count in counts.items():
        times = "".join(f"{processor.compute_ms(count):>31.1f} ms" for processor in PROCESSORS.values())
        print(f"{count:>12,}{times}  {name}")
    print("Milliseconds are projections with the more cautious factor of simulator/timing.py: no board was measured.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
