"""Who has paid in this vehicle, and whether that pays for the medium that is held again now. Bounded, in one piece of memory.

Nobody pays twice for one ride: not by holding a card longer, not on a ring route when one run becomes the next under the rider,
not after a power cut, and not because a clock was set back. How long a ride may last is the city's rule (`protocol.fare_rules`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from protocol.compat import const

if TYPE_CHECKING:
    from protocol.fare_rules import FareRules
    from protocol.tap import Tap

_TOKEN_BYTES = const(8)
# Trip, time, boot, uptime in seconds, sequence, fare, balance, whether the light was seen.
_LAYOUT = ">IIIIQIqB"
_ENTRY_BYTES = const(37)
# More than ride in an articulated bus at once.
_ENTRIES = const(192)
_NONE = const(0xFFFFFFFF)
_NO_BALANCE = -0x7FFFFFFFFFFFFFFF


class PaidTap:
    """A tap that was accepted.

    Attributes:
        trip, tapped_at_s: on which run of the vehicle, when.
        boot, uptime_s: of this validator; boot 0 for a tap of another one.
        sequence, fare_minor, balance_minor: what the rider was shown.
        seen: whether the green light was shown in this life of the program.
    """

    __slots__ = ("balance_minor", "boot", "fare_minor", "place", "seen", "sequence", "tapped_at_s", "trip", "uptime_s")

    def __init__(self, place: int, fields: tuple[int, ...]) -> None:
        self.place = place
        trip, self.tapped_at_s, self.boot, self.uptime_s, self.sequence, self.fare_minor, balance_minor, seen = fields
        self.trip = None if trip == _NONE else trip
        self.balance_minor = None if balance_minor == _NO_BALANCE else balance_minor
        self.seen = bool(seen)

    def age_s(self, now_s: int, boot: int, uptime_s: int) -> int:
        """Return how long ago it was: by the uptime within one start, else by the clock; a clock set back makes nothing old."""
        if self.boot == boot:
            return uptime_s - self.uptime_s
        return max(now_s - self.tapped_at_s, 0)

    def pays_for(self, rules: FareRules, trip: int | None, trip_before: int | None, age_s: int) -> bool:
        """Return whether a medium that is held again is still on that ride."""
        if self.trip == trip:
            return bool(age_s < rules.same_trip_s)
        return self.trip == trip_before and bool(age_s < rules.next_trip_s)


class PaidTaps:
    """The last taps that were accepted, a ring. Tokens lie apart: a look-up goes through them alone, in a fifth of the time."""

    def __init__(self) -> None:
        self._tokens = bytearray(_ENTRIES * _TOKEN_BYTES)
        self._entries = bytearray(_ENTRIES * _ENTRY_BYTES)
        self._count = 0

    def add(self, tap: Tap, balance_minor: int | None, seen: bool, is_ours: bool) -> None:
        """Note a tap that has a token."""
        assert tap.token is not None
        index = self._count % _ENTRIES
        self._tokens[index * _TOKEN_BYTES : (index + 1) * _TOKEN_BYTES] = tap.token[:_TOKEN_BYTES]
        struct.pack_into(
            _LAYOUT,
            self._entries,
            index * _ENTRY_BYTES,
            _NONE if tap.trip is None else tap.trip,
            tap.tapped_at_s,
            tap.boot if is_ours else 0,
            min(tap.uptime_ms // 1000, _NONE),
            tap.sequence,
            min(max(tap.fare_minor or 0, 0), _NONE),
            _NO_BALANCE if balance_minor is None else balance_minor,
            seen,
        )
        self._count += 1

    def newest(self, token: bytes) -> PaidTap | None:
        """Return the last tap of a medium, or None."""
        found, start = -1, self._tokens.find(token[:_TOKEN_BYTES])
        while start >= 0:
            index = start // _TOKEN_BYTES
            if start % _TOKEN_BYTES == 0 and (found < 0 or self._age(index) < self._age(found)):
                found = index
            start = self._tokens.find(token[:_TOKEN_BYTES], start + 1)
        if found < 0 or found >= self._count:
            return None
        return self._at(found)

    def _at(self, index: int) -> PaidTap:
        return PaidTap(index, struct.unpack_from(_LAYOUT, self._entries, index * _ENTRY_BYTES))

    def has_forgotten(self, trip: int | None) -> bool:
        """Return whether taps of that run may have been overwritten."""
        if self._count < _ENTRIES:
            return False
        oldest = self._count % _ENTRIES
        return self._at(oldest).trip == trip

    def see(self, paid: PaidTap) -> None:
        """Note that its light was shown."""
        paid.seen = True
        self._entries[(paid.place + 1) * _ENTRY_BYTES - 1] = 1

    def _age(self, index: int) -> int:
        """Return how many were added after the entry."""
        return (self._count - 1 - index) % _ENTRIES
