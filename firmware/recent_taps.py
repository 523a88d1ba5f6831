"""What the validator remembers of the last taps: who has paid already, and whose debit ended in the dark. Bounded.

After a start both are rebuilt from the journal, so that a rider whose tap was cut short by a power cut is not charged twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.paid_taps import PaidTaps
from protocol.compat import const
from protocol.decisions import DECISION_OUTCOME_UNKNOWN
from protocol.errors import TapError
from protocol.tap import (
    KIND_INTENT,
    KIND_OUTCOME,
    KIND_REFUSED,
    KIND_SINGLE,
    KIND_TOP_UP,
    MEDIUM_QR_SCREEN,
    MEDIUM_QR_TICKET,
    decode_tap,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.tap import Tap

_KEPT_MAX = const(48)
# More codes than a scanner can read while one of them is valid: a rider takes a second.
_CODES_MAX = const(128)
# More receipts than a vehicle's riders can pay for while one of them is valid.
_RECEIPTS_MAX = const(64)
_CODE_TOKEN_BYTES = const(8)
# A code passes in the step before its own, in its own and in the next one: 90 seconds.
_STEPS_VALID = const(3)


class RecentTaps:
    """The memory.

    Attributes:
        unknown: intents without a known outcome, by token.
        tell: told each tap that was accepted on this validator since its start.
    """

    def __init__(self) -> None:
        self.paid = PaidTaps()
        # The run that the vehicle is on, and the one before; None where that is not known.
        self.trip: int | None = None
        self.trip_before: int | None = None
        self._intents: dict[int, Tap] = {}
        self._codes: list[tuple[bytes, int]] = []
        self._receipts: list[tuple[bytes, int]] = []
        self.tell: Callable[[Tap], None] | None = None
        self.unknown: dict[bytes, Tap] = {}

    def remember(self, tap: Tap, balance_minor: int | None = None, seen: bool = True, is_ours: bool = True) -> None:
        """Note an accepted tap, of this validator or of another one in the vehicle."""
        if is_ours and seen and self.tell is not None:
            self.tell(tap)
        if tap.token is not None:
            if tap.medium == MEDIUM_QR_TICKET and tap.counter is not None:
                self._note_code(tap.token[:_CODE_TOKEN_BYTES], tap.counter)
            elif tap.medium == MEDIUM_QR_SCREEN and tap.counter is not None:
                self._receipts = self._receipts[1 - _RECEIPTS_MAX :]
                self._receipts.append((tap.token[:_CODE_TOKEN_BYTES], tap.counter))
            self.paid.add(tap, balance_minor, seen, is_ours)

    def ride_on(self, trip: int | None) -> None:
        """Note which run of the vehicle this is."""
        if trip != self.trip:
            self.trip, self.trip_before = trip, self.trip

    def _note_code(self, token: bytes, step: int) -> None:
        # Codes of steps that no validator takes any more are forgotten.
        self._codes = [code for code in self._codes if code[1] >= step - _STEPS_VALID][1 - _CODES_MAX :]
        self._codes.append((token, step))

    def has_passed(self, token: bytes, step: int) -> bool:
        """Return whether this very code or receipt has passed, on whatever run of the vehicle; known as long as one is valid.

        Args:
            token: of the ticket, or of the payment.
            step: of the code; of a receipt, its minute.
        """
        code = (token[:_CODE_TOKEN_BYTES], step)
        return code in self._codes or code in self._receipts

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
        if tap.kind in {KIND_SINGLE, KIND_INTENT, KIND_REFUSED}:
            self.ride_on(tap.trip)
        if tap.kind == KIND_SINGLE:
            self.remember(tap, tap.balance_minor, seen=False)
        elif tap.kind in {KIND_INTENT, KIND_TOP_UP}:
            self._intents[tap.sequence] = tap
        elif tap.kind == KIND_OUTCOME and isinstance(tap.reference, int):
            intent = self._intents.pop(tap.reference, None) or self._unknown_at(tap.reference)
            if intent is None or intent.token is None:
                return
            if tap.decision == DECISION_OUTCOME_UNKNOWN:
                self.note_unknown(intent)
                return
            self.unknown.pop(intent.token, None)
            if tap.balance_minor is not None and intent.kind == KIND_INTENT:
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
