"""Writes taps into the journal: adds where, when and by which versions, and keeps the rule about a full journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from firmware.journal import JournalFull
from firmware.loop import Flag
from protocol.compat import const
from protocol.decisions import DECISION_OUTCOME_UNKNOWN
from protocol.tap import (
    KIND_ACQUIRER_BLOB,
    KIND_BOOT,
    KIND_CLOCK_STEP,
    KIND_FAULT,
    KIND_INTENT,
    KIND_OUTCOME,
    KIND_SINGLE,
    KIND_TOP_UP,
    Tap,
    encode_tap,
)

if TYPE_CHECKING:
    from typing import Any

    from firmware.boards.board import Board
    from firmware.journal import Journal

_OUTCOME_SLOTS = const(2)
_BLOB_SLOTS = const(3)
_BOOT_FILE = "boot"
_FREE_RIDES = const(0)


class Place:
    """Where the vehicle is, as the driver's console says.

    Attributes:
        line, trip, stop: numbers; None while not yet told.
    """

    def __init__(self, line: int, trip: int | None = None) -> None:
        self.line: int | None = line
        self.trip = trip
        self.stop: int | None = None

    def take(self, words: list[str]) -> bool:
        """Take `line N`, `trip N` or `stop N`; return whether it was one of them."""
        if len(words) != 2 or words[0] not in {"line", "trip", "stop"} or not words[1].isdigit():
            return False
        number = int(words[1])
        if number > 0xFFFF:
            return False
        if words[0] == "line":
            self.line = number
        elif words[0] == "trip":
            self.trip = number
        else:
            self.stop = number
        return True


class Recorder:
    """The journal as the validator's tasks use it.

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
        self._committing: Tap | None = None
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

        keeps_place = kind in {KIND_INTENT, KIND_TOP_UP} or self._committing is not None
        self._journal.append(make, _OUTCOME_SLOTS if keeps_place else slots_after)
        self.recorded.raise_()
        return taps[-1]

    def tap(self, kind: int, slots_after: int = 0, **fields: Any) -> Tap:  # noqa: ANN401 - the fields of a tap
        """Record a tap, with place and versions, and return it; JournalFull when there is no room, for it and that behind it."""
        place = self.place
        fields["line"], fields["trip"], fields["stop"] = place.line, place.trip, place.stop
        fields["fare_table"], fields["deny_list"] = self.versions
        return self._append(kind, fields, slots_after)

    def tap_with_blob(self, blob: bytes, **fields: Any) -> Tap:  # noqa: ANN401 - the fields of a tap
        """Record a ride and behind it the acquirer's blob, and return the ride; JournalFull when there is no room for both."""
        tap = self.tap(KIND_SINGLE, _BLOB_SLOTS, **fields)
        self.blob(tap.sequence, blob)
        return tap

    def blob(self, sequence: int, blob: bytes) -> None:
        """Record the acquirer's blob of a ride; JournalFull when there is no room."""
        self._append(KIND_ACQUIRER_BLOB, {"reference": sequence, "evidence": blob})

    def records_since(self, tap: Tap) -> int:
        """Return how many records lie between a tap and the next one."""
        return self._journal.next_sequence - 1 - tap.sequence

    def intent(self, kind: int = KIND_INTENT, **fields: Any) -> Tap:  # noqa: ANN401 - the fields of a tap
        """Record what is about to be committed, a debit or a top-up; room for its outcome is kept, whatever else is recorded."""
        self._committing = self.tap(kind, **fields)
        return self._committing

    def outcome(
        self,
        intent: Tap,
        decision: int,
        counter: int | None = None,
        evidence: bytes | None = None,
        balance_minor: int | None = None,
    ) -> None:
        """Record how a debit ended; JournalFull only when that is told later than at the debit itself."""
        if intent is self._committing:
            self._committing = None
        self._append(
            KIND_OUTCOME,
            {
                "reference": intent.sequence,
                "decision": decision,
                "counter": counter,
                "evidence": evidence,
                "balance_minor": balance_minor,
                "medium": intent.medium,
                "token_key_version": intent.token_key_version,
                "token": intent.token,
            },
        )

    def started(self, dangling: list[Tap]) -> None:
        """Record the start, and that nobody knows how these debits ended."""
        try:
            for intent in dangling:
                self.outcome(intent, DECISION_OUTCOME_UNKNOWN)
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
