"""Writes records into the journal: adds when and in which life of the device. What a program records beyond is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from firmware.journal import JournalFull
from firmware.loop import Flag
from protocol.compat import const
from protocol.tap import KIND_BOOT, KIND_CLOCK_STEP, KIND_FAULT, Tap, encode_tap

if TYPE_CHECKING:
    from typing import Any

    from firmware.boards.board import Board
    from firmware.journal import Journal
    from firmware.place import Place

_BOOT_FILE = "boot"
_FREE_RIDES = const(0)


class Records:
    """The journal as every program of a device uses it.

    Attributes:
        boot: how often the device has started.
        place: where the vehicle is.
        versions: (fare table, deny list) in force.
        free_rides: given since the journal ran full, not yet recorded.
        recorded: raised when a record was added.
    """

    def __init__(self, board: Board, journal: Journal, place: Place) -> None:
        self._board = board
        self._journal = journal
        self.place = place
        self.versions = (0, 0)
        self.free_rides = 0
        self.recorded = Flag()
        count = board.store.read(_BOOT_FILE)
        self.boot = int.from_bytes(count or b"", "big") + 1
        board.store.write(_BOOT_FILE, self.boot.to_bytes(4, "big"))

    def _tap(self, sequence: int, kind: int, fields: dict[str, Any]) -> Tap:
        unix_s, quality = read_clock(self._board)
        return Tap(
            sequence=sequence,
            tapped_at_s=unix_s,
            clock_quality=quality,
            uptime_ms=self._board.ticks_ms(),
            boot=self.boot,
            kind=kind,
            **fields,
        )

    def _append(self, kind: int, fields: dict[str, Any], slots_after: int = 0) -> Tap:
        taps = []

        def make(sequence: int) -> bytes:
            taps.append(self._tap(sequence, kind, fields))
            return encode_tap(taps[-1])

        self._journal.append(make, slots_after)
        self.recorded.raise_()
        return taps[-1]

    def _append_here(self, kind: int, fields: dict[str, Any], slots_after: int = 0) -> Tap:
        """Append with place and versions."""
        place = self.place
        fields["line"], fields["trip"], fields["stop"] = place.line, place.trip, place.stop
        fields["fare_table"], fields["deny_list"] = self.versions
        return self._append(kind, fields, slots_after)

    def note_start(self) -> None:
        """Record the start."""
        try:
            self._append(KIND_BOOT, {})
        except JournalFull:
            self._board.log("journal full at start")

    def clock_stepped(self, seconds: int) -> None:
        """Record that the clock was set by that many seconds."""
        try:
            self._append(KIND_CLOCK_STEP, {"extensions": {0: seconds}})
        except JournalFull:
            self._board.log("journal full: clock step not recorded")

    def record_free_rides(self) -> None:
        """Record the rides that were given free while the journal was full, as soon as there is room."""
        if self.free_rides:
            try:
                self._append(KIND_FAULT, {"extensions": {_FREE_RIDES: self.free_rides}})
                self.free_rides = 0
            except JournalFull:
                pass
