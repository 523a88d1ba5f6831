"""Write our own wire vectors: `python -m tests.vectors.generate`; with `--check`, say whether they are still what the code makes.

A difference means that the wire has changed: old validators and new services would no longer understand each other.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from firmware.boards.crypto_cpython import Aes
from tests.vectors.wire import make_all

PATH = Path(__file__).with_name("wire.json")


def make_text() -> str:
    return json.dumps(make_all(Aes()), indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the file and return the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m tests.vectors.generate [--check]", file=sys.stderr)
        return 2
    text = make_text()
    if not arguments:
        PATH.write_text(text)
    elif PATH.read_text() != text:
        print(f"{PATH.name} is not what the code makes: has the wire changed?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
