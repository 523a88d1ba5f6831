"""Mutants of the validator's work with riders: when it records, and what it remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmware.recent_taps import RecentTaps
from firmware.recorder import Recorder
from protocol.tap import KIND_INTENT
from simulator.chaos.mutants.mutant import Mutants

if TYPE_CHECKING:
    from protocol.tap import Tap
    from simulator.chaos.parts import Parts

SERVING = Mutants()
_mutant = SERVING.needing


@_mutant("torn", "cut_in_tap")
def unknown_debit_charged_again(parts: Parts) -> None:
    """Whoever holds the card again after a debit that ended in the dark pays a second time (keyple-java 502)."""

    class Forgetful(RecentTaps):
        def note_unknown(self, intent: Tap) -> None:
            del intent

    parts.validator.recent = Forgetful


@_mutant("cut_in_tap")
def debit_before_intent(parts: Parts) -> None:
    """The card is told to commit before anything of it is on flash: after a power cut nobody knows of it."""

    class Hasty(Recorder):
        def intent(self, kind: int = KIND_INTENT, **fields: Any) -> Tap:  # noqa: ANN401 - the fields of a tap
            self._kept = fields
            return self._tap(self._journal.next_sequence, kind, fields)

        def outcome(self, intent: Tap, *result: Any) -> None:  # noqa: ANN401 - how the debit ended
            if intent.sequence == self._journal.next_sequence:
                super().intent(**self._kept)
            super().outcome(intent, *result)

    parts.validator.recorder = Hasty
