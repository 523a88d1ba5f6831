"""What all media share once they are read: the decision, its record, and only then what the rider is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from firmware.decision import ADULT, Decision, MediumFacts, decide
from firmware.journal import JournalFull
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_ALREADY_TAPPED,
    DECISION_FREE_RIDE_JOURNAL_FULL,
    DECISION_JOURNAL_FULL,
)
from protocol.fare_rules import FareRules
from protocol.tap import KIND_REFUSED, KIND_SINGLE, PRODUCT_SINGLE

if TYPE_CHECKING:
    from typing import Any

    from firmware.boards.board import Board
    from firmware.card_authorities import StoredAuthorities
    from firmware.feedback import Feedback
    from firmware.keys import Membership
    from firmware.paid_taps import PaidTap
    from firmware.recent_taps import RecentTaps
    from firmware.recorder import Recorder
    from firmware.rules import Rules
    from protocol.enrolment import KeyBundle
    from protocol.medium_list import MediumList
    from protocol.tap import Tap

FULL_REFUSE = "refuse"
FULL_FREE = "free"


class Farebox:
    """Decides, records and tells.

    Attributes:
        membership: whose keys these are.
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
        self.membership = membership
        self._rules = rules

    @property
    def keys(self) -> KeyBundle:
        """The secret keys, which are renewed while it runs."""
        return self.membership.bundle

    @property
    def card_authorities(self) -> StoredAuthorities | None:
        """The authorities of bank cards in force."""
        return self._rules.card_authorities

    @property
    def top_up_list(self) -> MediumList | None:
        """The cards for which money waits."""
        return self._rules.top_up_list

    @property
    def counts_rides(self) -> bool:
        """Whether a fare may depend on a medium's last rides."""
        table = self._rules.fare_table
        return table is not None and bool(table.rules.quotas or table.rules.transfers_max)

    @property
    def city(self) -> int:
        return self.membership.enrolled.city

    def serve_account(
        self,
        facts: MediumFacts,
        counter: int | None = None,
        evidence: bytes | None = None,
        blob: bytes | None = None,
        reference: bool | None = None,
    ) -> None:
        """Serve a medium that carries no purse; a `blob` goes to its acquirer, and a test tap has a `reference` of True."""
        if not self.has_paid(facts):
            self.charge_account(facts, counter, evidence, blob, reference)

    def charge_account(
        self,
        facts: MediumFacts,
        counter: int | None = None,
        evidence: bytes | None = None,
        blob: bytes | None = None,
        reference: bool | None = None,
    ) -> None:
        """Serve a medium that has not paid before, as `serve_account`."""
        decision = self.decide(facts)
        if decision.code == DECISION_ACCEPTED:
            self.accept(facts, decision, counter=counter, evidence=evidence, blob=blob, reference=reference)
        else:
            self.refuse(decision.code, facts)

    def decide(self, facts: MediumFacts) -> Decision:
        unix_s, quality = read_clock(self.board)
        rules = self._rules
        place = self.recorder.place
        return decide(
            facts, rules.fare_table, rules.deny_list, unix_s, quality, place.line, rules.allow_list, place.stop
        )

    def has_paid(self, facts: MediumFacts) -> bool:
        """Tell a rider who has just paid so, and return whether it was one: nobody is charged twice for holding a card longer."""
        if facts.token is None:
            return False
        paid = self.paid_before(facts.token)
        if paid is None:
            return False
        self.recent.paid.see(paid)
        self.record_refusal(DECISION_ALREADY_TAPPED, facts)
        self.feedback.again(paid.sequence, paid.fare_minor, paid.balance_minor)
        return True

    def paid_before(self, token: bytes) -> PaidTap | None:
        """Return the tap by which a medium has paid for the ride that it is on, or None."""
        recent, place = self.recent, self.recorder.place
        recent.ride_on(place.trip)
        paid = recent.paid.newest(token)
        if paid is None:
            return None
        unix_s, _ = read_clock(self.board)
        age_s = paid.age_s(unix_s, self.recorder.boot, self.board.ticks_ms() // 1000)
        table = self._rules.fare_table
        rules = FareRules() if table is None else table.rules
        return paid if paid.pays_for(rules, recent.trip, recent.trip_before, age_s) else None

    def fields(self, facts: MediumFacts, fare_minor: int) -> dict[str, Any]:
        return {
            "medium": facts.medium,
            "token_key_version": None if facts.token is None else self.keys.token_key_version,
            "token": facts.token,
            "product": PRODUCT_SINGLE,
            "fare_minor": fare_minor,
            "category": facts.category,
        }

    def accept(
        self,
        facts: MediumFacts,
        decision: Decision,
        counter: int | None = None,
        evidence: bytes | None = None,
        balance_minor: int | None = None,
        blob: bytes | None = None,
        reference: bool | None = None,
    ) -> None:
        fields = self.fields(facts, decision.fare_minor)
        fields["product"], fields["category"] = decision.product, decision.category
        fields["counter"], fields["evidence"], fields["balance_minor"] = counter, evidence, balance_minor
        fields["decision"], fields["reference"] = DECISION_ACCEPTED, reference
        try:
            record = self.recorder
            tap = record.tap(KIND_SINGLE, **fields) if blob is None else record.tap_with_blob(blob, **fields)
        except JournalFull:
            self.journal_is_full()
            return
        self.recent.remember(tap, balance_minor)
        is_concession = tap.category not in {None, ADULT}
        self.feedback.accepted(tap.sequence, decision.fare_minor, balance_minor, is_concession=is_concession)

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
