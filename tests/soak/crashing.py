"""`python -m tests.soak.crashing POINT COUNT serve …`: the `jolaqy` command, which dies by SIGKILL at a named point of its work.

It is the same program, watched from outside of the back office: the program that operators start has no way to be told to crash.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import TYPE_CHECKING

from clearing.__main__ import main
from clearing.checkpoint import watched

if TYPE_CHECKING:
    from collections.abc import Callable


def crash_at(point: str, count: int) -> Callable[[str], None]:
    """Return what ends the process when it comes to a point for the so many-th time."""
    passed = itertools.count(1)

    def act(name: str) -> None:
        if name == point and next(passed) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


if __name__ == "__main__":
    _, point, count, *words = sys.argv
    sys.argv = ["jolaqy", *words]
    with watched(crash_at(point, int(count))):
        main()
