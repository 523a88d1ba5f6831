"""Dates without a calendar library, and what is to be believed of the clocks. Time itself comes from the board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.fields import U32_MAX
from protocol.tap import CLOCK_UNKNOWN

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.loop import Loop
    from protocol.ack import Ack

# 1 January 2020: no clock of a validator that runs this shows less and is right.
_EARLIEST_S = const(1_577_836_800)


def read_clock(board: Board) -> tuple[int, int]:
    """Return unix seconds that a record can hold, and the clock's quality: unknown, whatever the board says, if it cannot be."""
    unix_s, quality = board.clock()
    if _EARLIEST_S <= unix_s <= U32_MAX:
        return unix_s, quality
    return min(max(unix_s, 0), U32_MAX), CLOCK_UNKNOWN


class ServiceTime:
    """The time as the service has said it since the start; no battery-backed clock that is moved or runs down can change it."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._boot_s: int | None = None

    def take(self, ack: Ack) -> None:
        """Take the time from an ack."""
        self._boot_s = ack.server_time_s - self._loop.now_ms() // 1000

    def now_s(self) -> int | None:
        """Return unix seconds; None before the first ack."""
        return None if self._boot_s is None else self._boot_s + self._loop.now_ms() // 1000


def civil_date(unix_s: int) -> tuple[int, int, int]:
    """Return year, month and day (UTC) of a moment; the proleptic Gregorian calendar, by eras of 400 years."""
    days = unix_s // 86400 + 719468
    era = days // 146097
    day_of_era = days - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted_month + 2) // 5 + 1


def packed_date(unix_s: int) -> bytes:
    """Return the date as EMV writes it: YYMMDD in packed digits (EMV Book 3, tag 9A)."""
    year, month, day = civil_date(unix_s)
    return bytes([number // 10 << 4 | number % 10 for number in (year % 100, month, day)])
