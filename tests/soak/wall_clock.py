"""A clock that runs as fast as the wall's, but began at a moment of our own: a test must not depend on today's tariff."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from simulator.service import ClockFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STEP_S = 0.005


class WallClock:
    """The clock, for ourselves and, through a file, for the service.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, start_ms: int) -> None:
        self.path = path
        self._file = ClockFile(path, start_ms)
        self._base_ms = start_ms - _monotonic_ms()
        self._is_over = threading.Event()

    def now_ms(self) -> int:
        return self._base_ms + _monotonic_ms()

    def jump_to(self, now_ms: int) -> None:
        self._base_ms = now_ms - _monotonic_ms()
        self._file.set(now_ms)

    def _run(self) -> None:
        while not self._is_over.wait(_STEP_S):
            self._file.set(self.now_ms())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block, the file follows the clock."""
        thread = threading.Thread(target=self._run, daemon=True, name="clock")
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
