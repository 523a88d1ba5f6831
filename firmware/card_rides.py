"""A ride by transport card, step by step: the card that is held, what is taken from it, and what is recorded meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.journal import JournalFull
from protocol.cards import card_layout as layout
from protocol.cards.ride_event import ride_event
from protocol.decisions import DECISION_ACCEPTED, DECISION_NOT_COMMITTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.decision import Decision, MediumFacts
    from firmware.farebox import Farebox
    from firmware.readers.reader import CardReader
    from protocol.cards.desfire import TransitCard
    from protocol.tap import Tap


class Held:
    """A card in the middle of its ride, and what is known of it.

    Attributes:
        key_version: generation of its keys; None where one only is about.
        is_clean: it has just begun a transaction or ended one, and nothing was read or written since.
    """

    def __init__(
        self,
        reader: CardReader,
        card: TransitCard,
        facts: MediumFacts,
        key_version: int | None,
        mask: Callable[[], bytes],
    ) -> None:
        self.reader = reader
        self.card = card
        self.facts = facts
        self.key_version = key_version
        self.is_clean = False
        self._mask = mask
        self._masked_uid = b""

    def masked_uid(self) -> bytes:
        """Return what the evidence has of the UID; it is reckoned once, best while the card is at work."""
        self._masked_uid = self._masked_uid or self._mask()
        return self._masked_uid


class Means:
    """What a decision takes from a card: from the purse, of a pass with counted trips one, or nothing.

    Attributes:
        kind, slot: of the event.
        file, amount: value file, and what is taken from it.
        trips_left, balance_minor: of pass and purse afterwards.
    """

    def __init__(self, card: TransitCard, decision: Decision) -> None:
        self.slot = decision.pass_index or 0
        self.file, self.amount, self.trips_left = layout.FILE_PURSE, 0, 0
        self.balance_minor = card.balance_minor
        if decision.pass_index is not None:
            trips_left = card.environment.passes[self.slot].trips_left
            self.kind = layout.EVENT_PASS
            if trips_left is not None:
                self.kind, self.trips_left = layout.EVENT_TRIP, trips_left - 1
                self.file, self.amount = layout.FILE_TRIPS + self.slot, 1
        elif decision.takes_purse:
            self.kind, self.amount = layout.EVENT_PURSE, decision.fare_minor
            self.balance_minor -= self.amount
        else:
            self.kind = layout.EVENT_ACCOUNT


class Begun:
    """A ride whose intent is recorded, and its event made, while the card takes from the purse.

    Attributes:
        intent: None until it is recorded, and where the journal is full.
        event: None on a card that keeps none.
    """

    def __init__(self, farebox: Farebox, held: Held, decision: Decision, means: Means) -> None:
        self.intent: Tap | None = None
        self.event: layout.CardEvent | None = None
        self._farebox = farebox
        self._held = held
        self._decision = decision
        self._means = means

    def record(self) -> None:
        farebox, decision, means, card = self._farebox, self._decision, self._means, self._held.card
        fields = farebox.fields(self._held.facts, decision.fare_minor)
        fields["product"], fields["category"] = decision.product, decision.category
        try:
            intent = farebox.recorder.intent(**fields, counter=card.counter, decision=DECISION_ACCEPTED)
        except JournalFull:
            return
        self.intent = intent
        self._held.masked_uid()
        if card.events:
            device = farebox.membership.enrolled.device
            self.event = ride_event(intent, device, means.kind, means.slot, means.trips_left, means.balance_minor)

    def end_in_vain(self) -> None:
        """The card is gone, or has not taken it: nothing was committed."""
        if self.intent is not None:
            self._farebox.recorder.outcome(self.intent, DECISION_NOT_COMMITTED)
