"""Writes taps into the journal: adds where, when and by which versions, and keeps the rule about a full journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.journal import JournalFull
from firmware.records import Records
from protocol.compat import const
from protocol.decisions import DECISION_OUTCOME_UNKNOWN
from protocol.tap import KIND_ACQUIRER_BLOB, KIND_INTENT, KIND_OUTCOME, KIND_SINGLE, KIND_TOP_UP

if TYPE_CHECKING:
    from typing import Any

    from firmware.boards.board import Board
    from firmware.journal import Journal
    from firmware.place import Place
    from protocol.tap import Tap

_OUTCOME_SLOTS = const(2)
_BLOB_SLOTS = const(3)


class Recorder(Records):
    """The journal as the tasks use it that serve riders."""

    def __init__(self, board: Board, journal: Journal, place: Place) -> None:
        super().__init__(board, journal, place)
        self._committing: Tap | None = None

    def _append(self, kind: int, fields: dict[str, Any], slots_after: int = 0) -> Tap:
        keeps_place = kind in {KIND_INTENT, KIND_TOP_UP} or self._committing is not None
        return super()._append(kind, fields, _OUTCOME_SLOTS if keeps_place else slots_after)

    def tap(self, kind: int, slots_after: int = 0, **fields: Any) -> Tap:  # noqa: ANN401 - the fields of a tap
        """Record a tap, with place and versions, and return it; JournalFull when there is no room, for it and that behind it."""
        return self._append_here(kind, fields, slots_after)

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
        except JournalFull:
            self._board.log("journal full at start")
        else:
            self.note_start()
