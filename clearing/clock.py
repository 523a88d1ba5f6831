"""Time, passed in: the service asks one clock, so that a simulation or `--as-of` can hold it.

Times are unix milliseconds, UTC. Nothing else in the back office reads the machine's clock.
"""

from __future__ import annotations

import mmap
import struct
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Whoever can say what time it is."""

    def now_ms(self) -> int:
        """Unix milliseconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class FixedClock:
    """A clock that stands still: `--as-of`, and tests, which may set it."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


class FileClock:
    """A clock in a file, eight bytes, unix milliseconds little-endian, which a simulation moves on."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)

    def now_ms(self) -> int:
        (now_ms,) = struct.unpack("<q", self._map[:8])
        return int(now_ms)


def parse_moment(text: str) -> int:
    """Unix milliseconds of an ISO date or date-time; without an offset it is UTC.

    Raises:
        ValueError: not an ISO moment.
    """
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def parse_day(text: str) -> str:
    """A day of this century, as `2024-05-15`.

    Raises:
        ValueError: it is none; the message does not repeat it.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text or not 2000 <= day.year <= 2099:
        raise ValueError("a day is written as 2024-05-15")
    return text


def open_clock(clock_file: Path | None = None, as_of: str | None = None) -> Clock:
    """The clock that the options of a command ask for; the machine's without any."""
    if clock_file is not None:
        return FileClock(clock_file)
    return FixedClock(parse_moment(as_of)) if as_of else SystemClock()
