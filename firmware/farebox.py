"""What all media share once they are read: the decision, its record, and only then what the rider is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from firmware.decision import Decision, MediumFacts, decide
from firmware.journal import JournalFull
from protocol.compat import const
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_ALREADY_TAPPED,
    DECISION_FREE_RIDE_JOURNAL_FULL,
    DECISION_JOURNAL_FULL,
)
from protocol.tap import KIND_REFUSED, KIND_SINGLE

if TYPE_CHECKING:
    from typing import Any

    from firmware.boards.board import Board
    from firmware.feedback import Feedback
    from firmware.keys import Membership
    from firmware.recent_taps import RecentTaps
    from firmware.recorder import Recorder
    from firmware.rules import Rules
    from protocol.enrolment import KeyBundle
    from protocol.tap import Tap

ADULT = const(1)
_SINGLE_RIDE = const(1)
FULL_REFUSE = "refuse"
FULL_FREE = "free"


class Farebox:
    """Decides, records and tells.

    Attributes:
        policy_when_full: `refuse` riders when the journal is full, or let them ride `free`, counted.
    """

    def __init__(
        self,
        board: Board,
        membership: Membership,
        rules: Rules,
        recorder: Recorder,
        recent: RecentTaps,
        feedback: Feedback,
        policy_when_full: str,
    ) -> None:
        self.board = board
        self.recorder = recorder
        self.recent = recent
        self.feedback = feedback
        self.policy_when_full = policy_when_full
        self._membership = membership
        self._rules = rules

    @property
    def keys(self) -> KeyBundle:
        """The secret keys, which are renewed while it runs."""
        return self._membership.bundle

    @property
    def city(self) -> int:
        return self._membership.enrolled.city

    def serve_account(self, facts: MediumFacts, counter: int | None = None, evidence: bytes | None = None) -> None:
        """Serve a medium that carries no purse."""
        if self.has_paid(facts):
            return
        decision = self.decide(facts)
        if decision.code == DECISION_ACCEPTED:
            self.accept(facts, decision.fare_minor, counter=counter, evidence=evidence)
        else:
            self.refuse(decision.code, facts)

    def decide(self, facts: MediumFacts) -> Decision:
        unix_s, quality = read_clock(self.board)
        return decide(facts, self._rules.fare_table, self._rules.deny_list, unix_s, quality)

    def has_paid(self, facts: MediumFacts) -> bool:
        """Tell a rider who has just paid so, and return whether it was one: nobody is charged twice for holding a card longer."""
        if facts.token is None:
            return False
        unix_s, _ = read_clock(self.board)
        paid = self.recent.paid(facts.token, self.recorder.place.trip, unix_s)
        if paid is None:
            return False
        paid.seen = True
        self.record_refusal(DECISION_ALREADY_TAPPED, facts)
        self.feedback.again(paid.sequence, paid.fare_minor, paid.balance_minor)
        return True

    def fields(self, facts: MediumFacts, fare_minor: int) -> dict[str, Any]:
        return {
            "medium": facts.medium,
            "token_key_version": None if facts.token is None else self.keys.token_key_version,
            "token": facts.token,
            "product": _SINGLE_RIDE,
            "fare_minor": fare_minor,
            "category": facts.category,
        }

    def accept(
        self,
        facts: MediumFacts,
        fare_minor: int,
        counter: int | None = None,
        evidence: bytes | None = None,
        balance_minor: int | None = None,
    ) -> None:
        try:
            tap = self.recorder.tap(
                KIND_SINGLE,
                **self.fields(facts, fare_minor),
                counter=counter,
                evidence=evidence,
                decision=DECISION_ACCEPTED,
                balance_minor=balance_minor,
            )
        except JournalFull:
            self.journal_is_full()
            return
        self.recent.remember(tap, balance_minor)
        self.feedback.accepted(tap.sequence, fare_minor, balance_minor)

    def refuse(self, code: int, facts: MediumFacts | None) -> None:
        self.record_refusal(code, facts)
        self.feedback.refused(code)

    def record_refusal(self, code: int, facts: MediumFacts | None) -> Tap | None:
        fields = self.fields(facts, 0) if facts is not None else {}
        try:
            return self.recorder.tap(KIND_REFUSED, **fields, decision=code)
        except JournalFull:
            return None  # a refusal is no money: the rider is told, and the uploader reports the full journal

    def journal_is_full(self) -> None:
        if self.policy_when_full == FULL_FREE:
            self.recorder.free_rides += 1
            self.board.log("journal full: decision " + str(DECISION_FREE_RIDE_JOURNAL_FULL))
            self.feedback.free()
        else:
            self.feedback.refused(DECISION_JOURNAL_FULL)
