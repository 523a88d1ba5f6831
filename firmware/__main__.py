"""`python -m firmware` and `micropython -m firmware` are the same program."""

from __future__ import annotations

import sys

from firmware.program import main

if __name__ == "__main__":
    main(sys.argv[1:])
