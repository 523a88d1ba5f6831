"""What the validator remembers of the last taps: who has paid already, and whose debit ended in the dark. Bounded.

After a start both are rebuilt from the journal, so that a rider whose tap was cut short by a power cut is not charged twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.decisions import DECISION_OUTCOME_UNKNOWN
from protocol.errors import TapError
from protocol.tap import KIND_INTENT, KIND_OUTCOME, KIND_SINGLE, MEDIUM_QR_TICKET, decode_tap

if TYPE_CHECKING:
    from protocol.tap import Tap

AGAIN_WITHIN_S = const(60)
_KEPT_MAX = const(48)
# More codes than a scanner can read while one of them is valid: a rider takes a second.
_CODES_MAX = const(128)
_CODE_TOKEN_BYTES = const(8)
# A code passes in the step before its own, in its own and in the next one: 90 seconds.
_STEPS_VALID = const(3)


class PaidTap:
    """A tap that was accepted.

    Attributes:
        token, trip, tapped_at_s: whose, on which run of the vehicle, when.
        sequence, fare_minor, balance_minor: what the rider was shown.
        seen: whether the green light was shown in this life of the program.
    """

    __slots__ = ("balance_minor", "fare_minor", "seen", "sequence", "tapped_at_s", "token", "trip")

    def __init__(self, tap: Tap, balance_minor: int | None, seen: bool) -> None:
        self.token = tap.token
        self.trip = tap.trip
        self.tapped_at_s = tap.tapped_at_s
        self.sequence = tap.sequence
        self.fare_minor = tap.fare_minor or 0
        self.balance_minor = balance_minor
        self.seen = seen


class RecentTaps:
    """The memory.

    Attributes:
        unknown: intents without a known outcome, by token.
    """

    def __init__(self) -> None:
        self._paid: list[PaidTap] = []
        self._intents: dict[int, Tap] = {}
        self._codes: list[tuple[bytes, int]] = []
        self.unknown: dict[bytes, Tap] = {}

    def remember(self, tap: Tap, balance_minor: int | None = None, seen: bool = True) -> None:
        """Note an accepted tap."""
        if tap.token is not None:
            if tap.medium == MEDIUM_QR_TICKET and tap.counter is not None:
                self._note_code(tap.token[:_CODE_TOKEN_BYTES], tap.counter)
            self._paid.append(PaidTap(tap, balance_minor, seen))
            if len(self._paid) > _KEPT_MAX:
                self._paid.pop(0)

    def paid(self, token: bytes, trip: int | None, now_s: int) -> PaidTap | None:
        """Return the tap by which this medium has just paid on this run of the vehicle, or None."""
        for tap in self._paid:
            if tap.token == token and tap.trip == trip and 0 <= now_s - tap.tapped_at_s <= AGAIN_WITHIN_S:
                return tap
        return None

    def _note_code(self, token: bytes, step: int) -> None:
        # Codes of steps that no validator takes any more are forgotten.
        self._codes = [code for code in self._codes if code[1] >= step - _STEPS_VALID][1 - _CODES_MAX :]
        self._codes.append((token, step))

    def has_passed(self, token: bytes, step: int) -> bool:
        """Return whether this very code has passed, on whatever run of the vehicle; known as long as a code is valid."""
        return (token[:_CODE_TOKEN_BYTES], step) in self._codes

    def note_unknown(self, intent: Tap) -> None:
        if intent.token is not None:
            if len(self.unknown) >= _KEPT_MAX:
                self.unknown.clear()  # clearing resolves what is forgotten here by the cards' own counters
            self.unknown[intent.token] = intent

    def recall(self, sequence: int, record: bytes) -> None:
        """Take a record of the journal at start."""
        del sequence
        try:
            tap = decode_tap(record)
        except TapError:
            return
        if tap.kind == KIND_SINGLE:
            self.remember(tap, tap.balance_minor, seen=False)
        elif tap.kind == KIND_INTENT:
            self._intents[tap.sequence] = tap
        elif tap.kind == KIND_OUTCOME and isinstance(tap.reference, int):
            intent = self._intents.pop(tap.reference, None) or self._unknown_at(tap.reference)
            if intent is None or intent.token is None:
                return
            if tap.decision == DECISION_OUTCOME_UNKNOWN:
                self.note_unknown(intent)
                return
            self.unknown.pop(intent.token, None)
            if tap.balance_minor is not None:
                self.remember(intent, tap.balance_minor, seen=False)

    def _unknown_at(self, sequence: int) -> Tap | None:
        for intent in self.unknown.values():
            if intent.sequence == sequence:
                return intent
        return None

    def take_dangling(self) -> list[Tap]:
        """Return, once, the intents that the journal has no outcome of."""
        dangling = [self._intents[sequence] for sequence in sorted(self._intents)]
        self._intents = {}
        for intent in dangling:
            self.note_unknown(intent)
        return dangling
