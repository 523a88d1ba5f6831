"""The validator's work with riders: a medium is noticed, read, decided on, recorded, and only then the rider is told.

Three tasks serve the card reader, the code scanner and the driver's console. Between two awaits a task has the journal to
itself, so they need no locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import packed_date, read_clock
from firmware.decision import Decision, MediumFacts, decide
from firmware.journal import JournalFull
from firmware.readers.qr_scanner import LineDecoder
from firmware.readers.reader import MediumGone, ReaderFault
from protocol.cards.desfire import (
    AuthenticationFailed,
    NotOurCard,
    commit,
    debit,
    open_transit_card,
    select_transit_card,
)
from protocol.cards.emv import NoPaymentApplication, Terminal, read_bank_card
from protocol.compat import const
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_ALREADY_TAPPED,
    DECISION_BAD_AUTHENTICATION,
    DECISION_COMMITTED,
    DECISION_FREE_RIDE_JOURNAL_FULL,
    DECISION_JOURNAL_FULL,
    DECISION_MEDIUM_FAULT,
    DECISION_NOT_COMMITTED,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_QR_ALREADY_USED,
    DECISION_QR_UNREADABLE,
    DECISION_TORN,
    DECISION_TWO_MEDIA,
    DECISION_UNKNOWN_MEDIUM,
)
from protocol.errors import CardError, QrError
from protocol.qr.ticket import check_ticket, read_ticket
from protocol.tap import (
    KIND_REFUSED,
    KIND_SINGLE,
    MEDIUM_BANK_CARD,
    MEDIUM_CASH,
    MEDIUM_QR_TICKET,
    MEDIUM_TRANSPORT_CARD,
)
from protocol.tokens import LABEL_BANK, LABEL_QR, LABEL_TRANSIT, medium_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firmware.boards.board import Board
    from firmware.feedback import Feedback
    from firmware.keys import Membership
    from firmware.loop import Loop
    from firmware.readers.reader import CardReader, Target
    from firmware.recent_taps import RecentTaps
    from firmware.recorder import Recorder
    from firmware.rules import Rules
    from protocol.cards.desfire import TransitCard
    from protocol.enrolment import KeyBundle
    from protocol.tap import Tap

_ADULT = const(1)
_SINGLE_RIDE = const(1)
_SAME_RIDE_RECORDS = const(256)
_READER_RETRY_MS = const(500)
_READER_RETRY_MS_MAX = const(30_000)
FULL_REFUSE = "refuse"
FULL_FREE = "free"


class Validator:
    """What serves riders.

    Attributes:
        policy_when_full: `refuse` riders when the journal is full, or let them ride `free`, counted.
    """

    def __init__(
        self,
        board: Board,
        loop: Loop,
        membership: Membership,
        rules: Rules,
        recorder: Recorder,
        recent: RecentTaps,
        feedback: Feedback,
        policy_when_full: str,
    ) -> None:
        self._board = board
        self._loop = loop
        self._membership = membership
        self._city = membership.enrolled.city
        self._rules = rules
        self._recorder = recorder
        self._recent = recent
        self._feedback = feedback
        self.policy_when_full = policy_when_full

    @property
    def _keys(self) -> KeyBundle:
        """The secret keys, which are renewed while it runs."""
        return self._membership.bundle

    # The three tasks.

    async def serve_cards(self, reader: CardReader) -> None:
        """Serve the card reader, and start it again when it fails."""
        retry_ms = _READER_RETRY_MS
        while True:
            try:
                await reader.start()
                while True:
                    target = await reader.wait_for_card()
                    await self._serve_card(reader, target)
                    await reader.release()
                    retry_ms = _READER_RETRY_MS
            except ReaderFault as fault:
                self._board.log("reader: " + str(fault))
                await self._loop.sleep_ms(retry_ms)
                retry_ms = min(retry_ms * 2, _READER_RETRY_MS_MAX)

    async def serve_codes(self) -> None:
        """Serve the code scanner."""
        await self._serve_lines(self._board.qr, self._take_code)

    async def serve_driver(self) -> None:
        """Serve the driver's console."""
        await self._serve_lines(self._board.driver, self._take_console_line)

    async def _serve_lines(self, port, take: Callable[[str], None]) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        decoder = LineDecoder()
        while True:
            await self._loop.port_ready(port)
            decoder.receive(port.read())
            line = decoder.next_line()
            while line is not None:
                take(line)
                line = decoder.next_line()

    # Cards.

    async def _serve_card(self, reader: CardReader, target: Target) -> None:
        if target.count > 1:
            self._feedback.refused(DECISION_TWO_MEDIA)
            return
        if not target.speaks_apdu:
            self._refuse(DECISION_UNKNOWN_MEDIUM, None)
            return
        try:
            await self._converse(reader, select_transit_card())
            await self._serve_transit_card(reader, target)
        except NotOurCard:
            try:
                await self._serve_bank_card(reader)
            except MediumGone:
                self._feedback.refused(DECISION_TORN)
        except CardError:
            self._refuse(DECISION_MEDIUM_FAULT, None)
        except MediumGone:
            self._feedback.refused(DECISION_TORN)

    async def _serve_transit_card(self, reader: CardReader, target: Target) -> None:
        opening = open_transit_card(self._board.aes, target.uid, self._keys.transit_debit, self._board.random_bytes(16))
        try:
            card = await self._converse(reader, opening)
        except AuthenticationFailed:
            self._refuse(DECISION_BAD_AUTHENTICATION, None)
            return
        except CardError:
            self._refuse(DECISION_MEDIUM_FAULT, None)
            return
        environment = card.environment
        token = medium_token(self._keys.token_key, LABEL_TRANSIT, environment.card_number)
        facts = MediumFacts(
            MEDIUM_TRANSPORT_CARD, environment.category, token, card.balance_minor, environment.expires_s
        )
        if environment.city != self._city:
            self._refuse(DECISION_UNKNOWN_MEDIUM, facts)
            return
        if self._resolve_unknown(token, card) or self._has_paid(facts):
            return
        decision = self._decide(facts)
        if decision.code != DECISION_ACCEPTED:
            self._refuse(decision.code, facts)
        elif decision.fare_minor == 0:
            self._accept(facts, 0, counter=card.counter, balance_minor=card.balance_minor)
        else:
            await self._debit(reader, card, facts, decision.fare_minor)

    async def _debit(self, reader: CardReader, card: TransitCard, facts: MediumFacts, fare_minor: int) -> None:
        """Take the fare from the purse: intent, commit, outcome, and only then the light."""
        try:
            await self._converse(reader, debit(card.session, fare_minor))
        except CardError:
            self._refuse(DECISION_MEDIUM_FAULT, facts)
            return
        try:
            intent = self._recorder.intent(
                **self._fields(facts, fare_minor), counter=card.counter, decision=DECISION_ACCEPTED
            )
        except JournalFull:
            self._journal_is_full()
            return
        balance_minor = card.balance_minor - fare_minor
        try:
            counter, evidence = await self._converse(reader, commit(card.session))
        except (MediumGone, ReaderFault, CardError):
            self._recent.note_unknown(intent)
            self._recorder.outcome(intent, DECISION_OUTCOME_UNKNOWN)
            self._feedback.refused(DECISION_OUTCOME_UNKNOWN)
            return
        self._recorder.outcome(intent, DECISION_COMMITTED, counter, evidence, balance_minor)
        self._recent.remember(intent, balance_minor)
        self._feedback.accepted(intent.sequence, fare_minor, balance_minor)

    def _resolve_unknown(self, token: bytes, card: TransitCard) -> bool:
        """Find out by the card's counter how a debit ended that was cut off; return whether the rider has an answer by that."""
        intent = self._recent.unknown.get(token)
        if intent is None or intent.counter is None:
            return False
        try:
            is_paid = self._record_resolution(intent, card)
        except JournalFull:
            self._journal_is_full()
            return True
        del self._recent.unknown[token]
        if is_paid:
            self._recent.remember(intent, card.balance_minor)
            self._feedback.accepted(intent.sequence, intent.fare_minor or 0, card.balance_minor)
        return is_paid

    def _record_resolution(self, intent: Tap, card: TransitCard) -> bool:
        """Record what the counter proves, and return whether this ride is paid.

        One more than before is this debit if it is still the same ride (by trip and sequence: a power cut may have taken the
        clock along); on another one it may be another validator's. What is not proved here stays unknown: the clearing
        service, which has all records, finds it out.
        """
        if card.counter == intent.counter:
            self._recorder.outcome(intent, DECISION_NOT_COMMITTED, card.counter)
            return False
        is_same_ride = (
            intent.trip == self._recorder.place.trip and self._recorder.records_since(intent) <= _SAME_RIDE_RECORDS
        )
        if not is_same_ride or card.counter - 1 != intent.counter:
            return False
        self._recorder.outcome(intent, DECISION_COMMITTED, card.counter, None, card.balance_minor)
        return True

    async def _serve_bank_card(self, reader: CardReader) -> None:
        unix_s, _ = read_clock(self._board)
        terminal = Terminal(0, packed_date(unix_s), self._board.random_bytes(4))
        try:
            read = await self._converse(reader, read_bank_card(self._tokenise_bank_card, terminal))
        except NoPaymentApplication:
            self._refuse(DECISION_UNKNOWN_MEDIUM, None)
            return
        except CardError:
            self._refuse(DECISION_MEDIUM_FAULT, None)
            return
        facts = MediumFacts(MEDIUM_BANK_CARD, _ADULT, read.token)
        self._serve_account(facts)

    def _tokenise_bank_card(self, number: bytearray) -> bytes:
        return medium_token(self._keys.token_key, LABEL_BANK, bytes(number))

    async def _converse(self, reader: CardReader, conversation):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        """Hold a conversation with a card and return its result."""
        response = None
        try:
            while True:
                response = await reader.exchange(conversation.send(response))
        except StopIteration as end:
            return end.value
        finally:
            conversation.close()

    # Codes and cash.

    def _take_code(self, text: str) -> None:
        try:
            ticket = read_ticket(text)
        except QrError:
            self._refuse(DECISION_QR_UNREADABLE, None)
            return
        now_s, _ = read_clock(self._board)
        token = medium_token(self._keys.token_key, LABEL_QR, ticket.ticket_id)
        facts = MediumFacts(MEDIUM_QR_TICKET, ticket.category, token, None, ticket.expires_s)
        code = check_ticket(ticket, self._keys.qr_day_keys, now_s)
        if code == DECISION_ACCEPTED and ticket.city != self._city:
            code = DECISION_UNKNOWN_MEDIUM
        if code != DECISION_ACCEPTED:
            self._refuse(code, facts)
            return
        paid = self._recent.paid(token, self._recorder.place.trip, now_s)
        # Who has paid and not seen the light is told so; anybody else shows a picture.
        if self._recent.has_passed(token, ticket.step) if paid is None else paid.seen:
            self._refuse(DECISION_QR_ALREADY_USED, facts)
            return
        self._serve_account(facts, counter=ticket.step, evidence=ticket.code)

    def _take_console_line(self, line: str) -> None:
        if line == "cash":
            self._serve_account(MediumFacts(MEDIUM_CASH, _ADULT))
        elif not self._recorder.place.take(line.split()):
            self._board.log("console: a line that is not understood")

    def _serve_account(self, facts: MediumFacts, counter: int | None = None, evidence: bytes | None = None) -> None:
        """Serve a medium that carries no purse."""
        if self._has_paid(facts):
            return
        decision = self._decide(facts)
        if decision.code == DECISION_ACCEPTED:
            self._accept(facts, decision.fare_minor, counter=counter, evidence=evidence)
        else:
            self._refuse(decision.code, facts)

    # What all media share.

    def _decide(self, facts: MediumFacts) -> Decision:
        unix_s, quality = read_clock(self._board)
        return decide(facts, self._rules.fare_table, self._rules.deny_list, unix_s, quality)

    def _has_paid(self, facts: MediumFacts) -> bool:
        """Tell a rider who has just paid so, and return whether it was one: nobody is charged twice for holding a card longer."""
        if facts.token is None:
            return False
        unix_s, _ = read_clock(self._board)
        paid = self._recent.paid(facts.token, self._recorder.place.trip, unix_s)
        if paid is None:
            return False
        paid.seen = True
        self._record_refusal(DECISION_ALREADY_TAPPED, facts)
        self._feedback.again(paid.sequence, paid.fare_minor, paid.balance_minor)
        return True

    def _fields(self, facts: MediumFacts, fare_minor: int) -> dict[str, Any]:
        return {
            "medium": facts.medium,
            "token_key_version": None if facts.token is None else self._keys.token_key_version,
            "token": facts.token,
            "product": _SINGLE_RIDE,
            "fare_minor": fare_minor,
            "category": facts.category,
        }

    def _accept(
        self,
        facts: MediumFacts,
        fare_minor: int,
        counter: int | None = None,
        evidence: bytes | None = None,
        balance_minor: int | None = None,
    ) -> None:
        try:
            tap = self._recorder.tap(
                KIND_SINGLE,
                **self._fields(facts, fare_minor),
                counter=counter,
                evidence=evidence,
                decision=DECISION_ACCEPTED,
                balance_minor=balance_minor,
            )
        except JournalFull:
            self._journal_is_full()
            return
        self._recent.remember(tap, balance_minor)
        self._feedback.accepted(tap.sequence, fare_minor, balance_minor)

    def _refuse(self, code: int, facts: MediumFacts | None) -> None:
        self._record_refusal(code, facts)
        self._feedback.refused(code)

    def _record_refusal(self, code: int, facts: MediumFacts | None) -> Tap | None:
        fields = self._fields(facts, 0) if facts is not None else {}
        try:
            return self._recorder.tap(KIND_REFUSED, **fields, decision=code)
        except JournalFull:
            return None  # a refusal is no money: the rider is told, and the uploader reports the full journal

    def _journal_is_full(self) -> None:
        if self.policy_when_full == FULL_FREE:
            self._recorder.free_rides += 1
            self._board.log("journal full: decision " + str(DECISION_FREE_RIDE_JOURNAL_FULL))
            self._feedback.free()
        else:
            self._feedback.refused(DECISION_JOURNAL_FULL)
