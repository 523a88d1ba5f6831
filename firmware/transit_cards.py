"""A rider holds a transport card: it proves itself, its purse pays, and what the light says is on flash before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.decision import MediumFacts
from firmware.journal import JournalFull
from firmware.readers.reader import MediumGone, ReaderFault, converse
from protocol.cards.desfire import AuthenticationFailed, commit, debit, open_transit_card
from protocol.compat import const
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_BAD_AUTHENTICATION,
    DECISION_COMMITTED,
    DECISION_MEDIUM_FAULT,
    DECISION_NOT_COMMITTED,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_UNKNOWN_MEDIUM,
)
from protocol.errors import CardError
from protocol.tap import MEDIUM_TRANSPORT_CARD
from protocol.tokens import LABEL_TRANSIT, medium_token

if TYPE_CHECKING:
    from firmware.farebox import Farebox
    from firmware.readers.reader import CardReader, Target
    from protocol.cards.desfire import TransitCard
    from protocol.tap import Tap

_SAME_RIDE_RECORDS = const(256)


class TransitCards:
    """Serves transport cards."""

    def __init__(self, farebox: Farebox) -> None:
        self._farebox = farebox

    async def serve(self, reader: CardReader, target: Target) -> None:
        opening = open_transit_card(
            self._farebox.board.aes, target.uid, self._farebox.keys.transit_debit, self._farebox.board.random_bytes(16)
        )
        try:
            card = await converse(reader, opening)
        except AuthenticationFailed:
            self._farebox.refuse(DECISION_BAD_AUTHENTICATION, None)
            return
        except CardError:
            self._farebox.refuse(DECISION_MEDIUM_FAULT, None)
            return
        environment = card.environment
        token = medium_token(self._farebox.keys.token_key, LABEL_TRANSIT, environment.card_number)
        facts = MediumFacts(
            MEDIUM_TRANSPORT_CARD, environment.category, token, card.balance_minor, environment.expires_s
        )
        if environment.city != self._farebox.city:
            self._farebox.refuse(DECISION_UNKNOWN_MEDIUM, facts)
            return
        if self._resolve_unknown(token, card) or self._farebox.has_paid(facts):
            return
        decision = self._farebox.decide(facts)
        if decision.code != DECISION_ACCEPTED:
            self._farebox.refuse(decision.code, facts)
        elif decision.fare_minor == 0:
            self._farebox.accept(facts, 0, counter=card.counter, balance_minor=card.balance_minor)
        else:
            await self._debit(reader, card, facts, decision.fare_minor)

    async def _debit(self, reader: CardReader, card: TransitCard, facts: MediumFacts, fare_minor: int) -> None:
        """Take the fare from the purse: intent, commit, outcome, and only then the light."""
        try:
            await converse(reader, debit(card.session, fare_minor))
        except CardError:
            self._farebox.refuse(DECISION_MEDIUM_FAULT, facts)
            return
        try:
            intent = self._farebox.recorder.intent(
                **self._farebox.fields(facts, fare_minor), counter=card.counter, decision=DECISION_ACCEPTED
            )
        except JournalFull:
            self._farebox.journal_is_full()
            return
        balance_minor = card.balance_minor - fare_minor
        try:
            counter, evidence = await converse(reader, commit(card.session))
        except (MediumGone, ReaderFault, CardError):
            self._farebox.recent.note_unknown(intent)
            self._farebox.recorder.outcome(intent, DECISION_OUTCOME_UNKNOWN)
            self._farebox.feedback.refused(DECISION_OUTCOME_UNKNOWN)
            return
        self._farebox.recorder.outcome(intent, DECISION_COMMITTED, counter, evidence, balance_minor)
        self._farebox.recent.remember(intent, balance_minor)
        self._farebox.feedback.accepted(intent.sequence, fare_minor, balance_minor)

    def _resolve_unknown(self, token: bytes, card: TransitCard) -> bool:
        """Find out by the card's counter how a debit ended that was cut off; return whether the rider has an answer by that."""
        intent = self._farebox.recent.unknown.get(token)
        if intent is None or intent.counter is None:
            return False
        try:
            is_paid = self._record_resolution(intent, card)
        except JournalFull:
            self._farebox.journal_is_full()
            return True
        del self._farebox.recent.unknown[token]
        if is_paid:
            self._farebox.recent.remember(intent, card.balance_minor)
            self._farebox.feedback.accepted(intent.sequence, intent.fare_minor or 0, card.balance_minor)
        return is_paid

    def _record_resolution(self, intent: Tap, card: TransitCard) -> bool:
        """Record what the counter proves, and return whether this ride is paid.

        One more than before is this debit if it is still the same ride (by trip and sequence: a power cut may have taken the
        clock along); on another one it may be another validator's. What is not proved here stays unknown: the clearing
        service, which has all records, finds it out.
        """
        if card.counter == intent.counter:
            self._farebox.recorder.outcome(intent, DECISION_NOT_COMMITTED, card.counter)
            return False
        is_same_ride = (
            intent.trip == self._farebox.recorder.place.trip
            and self._farebox.recorder.records_since(intent) <= _SAME_RIDE_RECORDS
        )
        if not is_same_ride or card.counter - 1 != intent.counter:
            return False
        self._farebox.recorder.outcome(intent, DECISION_COMMITTED, card.counter, None, card.balance_minor)
        return True
