"""A rider holds a transport card: it proves itself, its purse or a pass pays, and what the light says is on flash before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.card_rides import Begun, Held, Means
from firmware.decision import ADULT, MediumFacts, Ride
from firmware.journal import JournalFull
from firmware.keys import KeyVersionUnknown
from firmware.readers.reader import MediumGone, ReaderFault, converse
from protocol.cards import card_layout as layout
from protocol.cards.desfire import (
    AuthenticationFailed,
    ForgedAnswer,
    open_transit_card,
    read_key_version,
    read_transaction_mac,
)
from protocol.cards.desfire_debit import begin, commit, debit, write_event
from protocol.cards.ride_event import encode_evidence, is_event_of
from protocol.compat import const, forget
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_BAD_AUTHENTICATION,
    DECISION_CARD_ANSWER_FORGED,
    DECISION_CARD_BLOCKED,
    DECISION_CARD_KEYS_UNKNOWN,
    DECISION_CARD_LAYOUT_UNKNOWN,
    DECISION_COMMITTED,
    DECISION_INSUFFICIENT_FUNDS,
    DECISION_MEDIUM_FAULT,
    DECISION_NOT_COMMITTED,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_TOPPED_UP,
    DECISION_TORN,
    DECISION_UNKNOWN_MEDIUM,
)
from protocol.errors import CardError
from protocol.tap import KIND_TOP_UP, MEDIUM_TRANSPORT_CARD
from protocol.tokens import LABEL_TRANSIT, mask_uid, medium_token

if TYPE_CHECKING:
    from firmware.decision import Decision
    from firmware.farebox import Farebox
    from firmware.keys import Identity
    from firmware.loop import Loop
    from firmware.readers.reader import CardReader, Target
    from protocol.cards.desfire import KeyHolder, TransitCard
    from protocol.tap import Tap

_SAME_RIDE_RECORDS = const(256)
_LOADED_MAX = const(48)
_NEEDED_SELDOM = (
    "firmware.top_ups",
    "protocol.cards.desfire_credit",
    "protocol.cose_sign",
    "protocol.keyset",
    "protocol.top_up",
)
# The first that fits is the reason: a forged answer is a failed authentication, too.
_REASONS = (
    (ForgedAnswer, DECISION_CARD_ANSWER_FORGED),
    (AuthenticationFailed, DECISION_BAD_AUTHENTICATION),
    (KeyVersionUnknown, DECISION_CARD_KEYS_UNKNOWN),
    (layout.LayoutUnknown, DECISION_CARD_LAYOUT_UNKNOWN),
)


def _reason(error: CardError) -> int:
    for kind, code in _REASONS:
        if isinstance(error, kind):
            return code
    return DECISION_MEDIUM_FAULT


def _success(intent: Tap) -> int:
    """Return the outcome of what was committed."""
    return DECISION_TOPPED_UP if intent.kind == KIND_TOP_UP else DECISION_COMMITTED


class TransitCards:
    """Serves transport cards."""

    def __init__(self, farebox: Farebox) -> None:
        self._farebox = farebox
        self._holder: KeyHolder | None = None
        self._loop: Loop | None = None
        self._identity: Identity | None = None
        # Cards whose money came while this list was in force: they are still on it.
        self._loaded: list[bytes] = []
        self._loaded_by = 0

    def load_money_as(self, loop: Loop, identity: Identity) -> None:
        """Load money that waits for a card, asked for by the device's own key."""
        self._loop, self._identity = loop, identity

    def prepare(self, target: Target) -> None:
        """Have the key ready by which the card in the field proves itself, while it says whether it is one of ours."""
        membership, self._holder = self._farebox.membership, None
        if len(target.uid) == layout.UID_BYTES and membership.transit_versions() is None:
            self._holder = membership.transit_key(layout.KEY_DEBIT, None, target.uid)

    async def serve(self, reader: CardReader, target: Target) -> None:
        farebox = self._farebox
        try:
            held = await self._open(reader, target)
        except CardError as error:
            farebox.refuse(_reason(error), None)
            return
        facts, environment = held.facts, held.card.environment
        if environment.city != farebox.city:
            farebox.refuse(DECISION_UNKNOWN_MEDIUM, facts)
        elif environment.status != layout.STATUS_IN_USE:
            farebox.refuse(DECISION_CARD_BLOCKED, facts)
        elif await self._resolve_unknown(held) or farebox.has_paid(facts):
            await self._load_money(held)
        else:
            await self._decide(held, target)

    async def _decide(self, held: Held, target: Target) -> None:
        """Let the rider ride, or not; money that waits comes afterwards, but where there is too little for the ride.

        It is decided while the card begins a transaction, which costs nothing where none follows.
        """
        farebox, facts = self._farebox, held.facts
        decided: list[Decision] = []
        try:
            await converse(held.reader, begin(held.card.session), lambda: decided.append(farebox.decide(facts)))
        except CardError as error:
            farebox.refuse(_reason(error), facts)
            return
        held.is_clean = True
        decision = decided[0]
        if decision.code == DECISION_ACCEPTED:
            if await self._ride(held, decision):
                await self._load_money(held)
        elif decision.code == DECISION_INSUFFICIENT_FUNDS and await self._load_money(held):
            await self.serve(held.reader, target)
        else:
            farebox.refuse(decision.code, facts)

    async def _load_money(self, held: Held) -> bool:
        """Put money that waits for the card onto it; return whether there was some and it is there now."""
        listed, token = self._farebox.top_up_list, held.facts.token
        if self._loop is None or self._identity is None or listed is None or token is None or not held.card.events:
            return False
        if listed.number != self._loaded_by:
            self._loaded, self._loaded_by = [], listed.number
        if token in self._loaded or not listed.holds(token):
            return False
        from firmware.top_ups import TopUp  # noqa: PLC0415 - money waits for few

        is_loaded = await TopUp(self._farebox, self._loop, self._identity, held).load(self)
        forget(*_NEEDED_SELDOM)
        if is_loaded:
            self._note_loaded(token)
        return is_loaded

    def _note_loaded(self, token: bytes) -> None:
        self._loaded = self._loaded[1 - _LOADED_MAX :] + [token]

    async def _open(self, reader: CardReader, target: Target) -> Held:
        """Let the card prove itself and read what a decision needs."""
        farebox = self._farebox
        version, holder = None, self._holder
        self._holder = None  # it proves a key once
        if farebox.membership.transit_versions() is not None:
            version = await converse(reader, read_key_version(layout.KEY_DEBIT))
        if version is not None or holder is None:
            holder = farebox.membership.transit_key(layout.KEY_DEBIT, version, target.uid)
        opening = open_transit_card(farebox.board.aes, holder, farebox.counts_rides)
        card: TransitCard = await converse(reader, opening)
        keys, environment = farebox.keys, card.environment
        token = medium_token(keys.token_key, LABEL_TRANSIT, environment.card_number)
        facts = MediumFacts(
            MEDIUM_TRANSPORT_CARD, environment.category, token, card.balance_minor, environment.expires_s
        )
        facts.concession_until_s = environment.concession_until_s or None
        facts.passes = environment.passes
        facts.rides = [Ride(each.at_s, each.fare_minor(), each.product) for each in card.events if each.product]
        return Held(reader, card, facts, version, lambda: mask_uid(keys.token_key, token, target.uid))

    async def _ride(self, held: Held, decision: Decision) -> bool:
        """Let the rider ride: intent and debit, event, commit, outcome, and only then the light.

        Return whether the ride is done and the card is still there.
        """
        farebox, card = self._farebox, held.card
        means = Means(card, decision)
        if not card.events and not means.amount:
            farebox.accept(held.facts, decision, counter=card.counter, balance_minor=card.balance_minor)
            return True
        held.is_clean = False
        begun = Begun(farebox, held, decision, means)
        try:
            if means.amount:
                await converse(held.reader, debit(card.session, means.file, means.amount), begun.record)
            else:
                begun.record()
        except (MediumGone, ReaderFault, CardError) as fault:
            begun.end_in_vain()
            if not isinstance(fault, CardError):
                raise
            farebox.refuse(_reason(fault), held.facts)
            return False
        intent, event = begun.intent, begun.event
        if intent is None:
            farebox.journal_is_full()
            return False
        ended = await self.commit(held, intent, event, means.balance_minor)
        if ended != DECISION_COMMITTED:
            farebox.feedback.refused(DECISION_TORN if ended == DECISION_NOT_COMMITTED else ended)
            return False
        farebox.recent.remember(intent, means.balance_minor)
        is_concession = intent.category not in {None, ADULT}
        farebox.feedback.accepted(
            intent.sequence, intent.fare_minor or 0, means.balance_minor, is_concession=is_concession
        )
        return True

    async def commit(self, held: Held, intent: Tap, event: layout.CardEvent | None, balance_minor: int) -> int:
        """Write the event and commit; return how that ended, as it is recorded.

        What happens before the commit is asked for has changed nothing, what happens after may have.
        """
        farebox, session = self._farebox, held.card.session
        outcome = DECISION_NOT_COMMITTED
        try:
            if event is not None:
                await converse(held.reader, write_event(session, event.encode()))
            outcome = DECISION_OUTCOME_UNKNOWN
            counter, mac = await converse(held.reader, commit(session))
        except (MediumGone, ReaderFault, CardError):
            if outcome == DECISION_OUTCOME_UNKNOWN:
                farebox.recent.note_unknown(intent)
            farebox.recorder.outcome(intent, outcome)
            return outcome
        outcome = _success(intent)
        evidence = encode_evidence(mac, held.masked_uid(), event)
        farebox.recorder.outcome(intent, outcome, counter, evidence, balance_minor)
        held.card.counter, held.card.balance_minor, held.is_clean = counter, balance_minor, True
        return outcome

    async def _resolve_unknown(self, held: Held) -> bool:
        """Find out how a debit ended that was cut off; return whether the rider has an answer by that."""
        farebox, card = self._farebox, held.card
        token = held.facts.token or b""
        intent = farebox.recent.unknown.get(token)
        if intent is None or intent.counter is None:
            return False
        decision = self._verdict(intent, card)
        if decision is None:
            return False
        evidence = None
        if decision == DECISION_COMMITTED and card.events:
            _, mac = await converse(held.reader, read_transaction_mac(card.session))
            evidence = encode_evidence(mac, held.masked_uid(), card.events[0])
        is_paid = decision == DECISION_COMMITTED
        try:
            balance_minor = card.balance_minor if is_paid else None
            ended = _success(intent) if is_paid else decision
            farebox.recorder.outcome(intent, ended, card.counter, evidence, balance_minor)
        except JournalFull:
            farebox.journal_is_full()
            return True
        del farebox.recent.unknown[token]
        if intent.kind == KIND_TOP_UP and is_paid:
            self._note_loaded(token)
            farebox.feedback.topped_up(intent.sequence, intent.fare_minor or 0, card.balance_minor)
        if intent.kind == KIND_TOP_UP or not is_paid or not self._is_same_ride(intent):
            return False
        farebox.recent.remember(intent, card.balance_minor)
        farebox.feedback.accepted(intent.sequence, intent.fare_minor or 0, card.balance_minor)
        return True

    def _verdict(self, intent: Tap, card: TransitCard) -> int | None:
        """Return how a debit ended, or None where the card does not prove it.

        One commit more than before is this debit if the card's event says so, and is another validator's if it does not. A card
        without events proves it only on the same ride. What is not proved here stays unknown: the clearing service, which has
        all records, finds it out.
        """
        if card.counter == intent.counter:
            return DECISION_NOT_COMMITTED
        if card.counter - 1 != intent.counter:
            return None
        if not card.events:
            return DECISION_COMMITTED if self._is_same_ride(intent) else None
        is_ours = is_event_of(card.events[0], intent, self._farebox.membership.enrolled.device)
        return DECISION_COMMITTED if is_ours else DECISION_NOT_COMMITTED

    def _is_same_ride(self, intent: Tap) -> bool:
        """Return whether this is still an intent's ride: by trip and sequence, a power cut may have taken the clock along."""
        recorder = self._farebox.recorder
        return intent.trip == recorder.place.trip and recorder.records_since(intent) <= _SAME_RIDE_RECORDS
