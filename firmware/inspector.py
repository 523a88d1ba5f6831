"""An inspector holds a rider's medium before the device: has it paid for the ride on this vehicle, when, and by what?

A transport card tells it itself. Of a ticket or a bank card the device knows what it and the vehicle's other validators have
let in; what it has not heard of may have been told all the same, so that is never called unpaid unless the vehicle has no other
door. Nothing here decides on a fare, and nothing is charged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import read_clock
from firmware.inspected_cards import InspectedCards, reason
from firmware.readers.reader import MediumGone, converse
from firmware.serving import wait_for_cards, wait_for_lines
from protocol.cards import card_layout as layout
from protocol.cards.desfire import NotOurCard, select_transit_card
from protocol.cards.emv import NoPaymentApplication
from protocol.compat import const, wipe_free_memory
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_ASK_SERVICE,
    DECISION_CARD_BLOCKED,
    DECISION_NOT_PAID,
    DECISION_PAID_ELSEWHERE,
    DECISION_PAID_HERE,
    DECISION_QR_OTHER_CITY,
    DECISION_QR_OTHER_MINUTE,
    DECISION_QR_UNREADABLE,
    DECISION_TORN,
    DECISION_TWO_MEDIA,
    DECISION_UNKNOWN_MEDIUM,
)
from protocol.errors import CardError, QrError
from protocol.fare_rules import FareRules
from protocol.qr.nonce import MINUTE_S, RECEIPT_PREFIX, is_genuine_receipt, read_receipt, screen_key
from protocol.qr.ticket import check_ticket, read_ticket
from protocol.tap import (
    CLOCK_UNKNOWN,
    MEDIUM_BANK_CARD,
    MEDIUM_OTHER,
    MEDIUM_QR_SCREEN,
    MEDIUM_QR_TICKET,
    MEDIUM_TRANSPORT_CARD,
)
from protocol.tokens import LABEL_QR, LABEL_SCREEN, medium_token

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.feedback import Feedback
    from firmware.inspection import InspectionRecords
    from firmware.keys import Membership
    from firmware.loop import Loop
    from firmware.readers.reader import CardReader, Target
    from firmware.recent_taps import RecentTaps
    from firmware.rules import Rules
    from protocol.cards.card_layout import CardEvent
    from protocol.qr.nonce import Receipt

_ADULT = const(1)
# Numbers of runs come again the next day; no run takes longer.
_RUN_S_MAX = const(14_400)
_MINUTES_A_DAY = const(1440)
_SMS_CHARACTERS = const(8)
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Seen:
    """What was seen of a medium.

    Attributes:
        decision: what the inspector is told.
        medium, token, category: what it is; None where it did not say.
        paid_at_s, product: when it had paid, and by what; None where that is not known.
    """

    def __init__(
        self, decision: int, medium: int | None = None, token: bytes | None = None, category: int | None = None
    ) -> None:
        self.decision = decision
        self.medium = medium
        self.token = token
        self.category = category
        self.paid_at_s: int | None = None
        self.product: int | None = None


class Inspector:
    """Looks at media."""

    def __init__(
        self,
        board: Board,
        membership: Membership,
        rules: Rules,
        records: InspectionRecords,
        recent: RecentTaps,
        feedback: Feedback,
    ) -> None:
        self._board = board
        self._membership = membership
        self._rules = rules
        self._records = records
        self._recent = recent
        self._feedback = feedback
        self._cards = InspectedCards(board, membership, rules)

    # The three tasks.

    async def serve_cards(self, loop: Loop, reader: CardReader) -> None:
        """Look at cards."""
        await wait_for_cards(self._board, loop, reader, self)

    async def serve_codes(self, loop: Loop) -> None:
        """Look at codes."""
        await wait_for_lines(loop, self._board.qr, self._take_code)

    async def serve_console(self, loop: Loop) -> None:
        """Hear where the vehicle is, and which ticket codes of SMS payments riders show."""
        await wait_for_lines(loop, self._board.driver, self._take_console_line)

    # Cards.

    async def serve_card(self, reader: CardReader, target: Target) -> None:
        if target.count > 1:
            self._tell(Seen(DECISION_TWO_MEDIA))
            return
        try:
            self._tell(await self._look_at(reader, target))
        except NoPaymentApplication:
            self._tell(Seen(DECISION_UNKNOWN_MEDIUM))
        except CardError as error:
            self._tell(Seen(reason(error)))
        except MediumGone:
            self._tell(Seen(DECISION_TORN))

    def card_has_left(self) -> None:
        wipe_free_memory()

    async def _look_at(self, reader: CardReader, target: Target) -> Seen:
        if not target.speaks_apdu:
            return Seen(DECISION_UNKNOWN_MEDIUM)
        try:
            await converse(reader, select_transit_card())
        except NotOurCard:
            return self._by_token(Seen(DECISION_ASK_SERVICE, MEDIUM_BANK_CARD, await self._cards.read_bank(reader)))
        environment, token, events = await self._cards.read_transit(reader, target)
        seen = Seen(DECISION_NOT_PAID, MEDIUM_TRANSPORT_CARD, token, environment.category)
        if environment.city != self._membership.enrolled.city:
            seen.decision = DECISION_UNKNOWN_MEDIUM
        elif environment.status != layout.STATUS_IN_USE:
            seen.decision = DECISION_CARD_BLOCKED
        elif not events:
            self._by_token(seen)
        else:
            self._by_events(seen, events)
        return seen

    def _by_events(self, seen: Seen, events: list[CardEvent]) -> None:
        """Let a card's own events tell: the newest ride on this run, else one that is not long ago."""
        now_s, quality = read_clock(self._board)
        for event in events:
            age_s = 0 if quality == CLOCK_UNKNOWN else now_s - event.at_s
            if not event.product or age_s >= _RUN_S_MAX:
                continue
            decision = DECISION_PAID_ELSEWHERE
            if event.line == self._records.place.line:
                decision = self._on_this_line(event.trip, age_s)
            if decision == DECISION_PAID_HERE or seen.decision == DECISION_NOT_PAID:
                seen.decision, seen.paid_at_s, seen.product = decision, event.at_s, event.product

    def _on_this_line(self, run: int, age_s: int) -> int:
        """Return the decision on a ride of this line; where nobody says which run this is, it may be this one."""
        if self._is_this_run(run, age_s):
            return DECISION_PAID_HERE
        return DECISION_ASK_SERVICE if self._recent.trip is None else DECISION_PAID_ELSEWHERE

    def _by_token(self, seen: Seen) -> Seen:
        """Let the taps of the vehicle's validators tell."""
        paid = self._recent.paid.newest(seen.token or b"")
        now_s, _ = read_clock(self._board)
        if paid is not None:
            age_s = paid.age_s(now_s, self._records.boot, self._board.ticks_ms() // 1000)
            if age_s < _RUN_S_MAX and self._is_this_run(_run(paid.trip), age_s):
                seen.decision, seen.paid_at_s = DECISION_PAID_HERE, max(now_s - age_s, 0)
                return seen
        is_alone = self._board.neighbours is None and not self._recent.paid.has_forgotten(self._recent.trip)
        seen.decision = DECISION_NOT_PAID if is_alone else DECISION_ASK_SERVICE
        return seen

    def _is_this_run(self, run: int, age_s: int) -> bool:
        """Return whether a ride of that run is this one: the same, or the one before for as long as the city says."""
        table, before = self._rules.fare_table, self._recent.trip_before
        rules = FareRules() if table is None else table.rules
        if run == _run(self._recent.trip):
            return True
        return before is not None and run == _run(before) and bool(age_s < rules.next_trip_s)

    # Codes.

    def _take_code(self, text: str) -> None:
        try:
            self._tell(self._look_at_receipt(text) if text.startswith(RECEIPT_PREFIX) else self._look_at_ticket(text))
        except QrError:
            self._tell(Seen(DECISION_QR_UNREADABLE))

    def _look_at_ticket(self, text: str) -> Seen:
        ticket, bundle = read_ticket(text), self._membership.bundle
        token = medium_token(bundle.token_key, LABEL_QR, ticket.ticket_id)
        seen = Seen(DECISION_QR_OTHER_CITY, MEDIUM_QR_TICKET, token, ticket.category)
        if ticket.city == self._membership.enrolled.city:
            seen.decision = check_ticket(ticket, bundle.qr_day_keys, read_clock(self._board)[0])
        return self._by_token(seen) if seen.decision == DECISION_ACCEPTED else seen

    def _look_at_receipt(self, text: str) -> Seen:
        """Look at a receipt of any validator of this vehicle: it was paid for by what its code says."""
        receipt, bundle = read_receipt(text), self._membership.bundle
        token = medium_token(bundle.token_key, LABEL_SCREEN, receipt.payment)
        seen = Seen(self._receipt_decision(receipt), MEDIUM_QR_SCREEN, token, receipt.category)
        if seen.decision == DECISION_PAID_HERE:
            seen.paid_at_s = receipt.minute * MINUTE_S
        return seen

    def _receipt_decision(self, receipt: Receipt) -> int:
        bundle, now_s = self._membership.bundle, read_clock(self._board)[0]
        if receipt.city != self._membership.enrolled.city:
            return DECISION_QR_OTHER_CITY
        day_key = bundle.qr_day_keys.get(receipt.minute // _MINUTES_A_DAY)
        if day_key is None or not any(bundle.vehicle_secret):
            return DECISION_ASK_SERVICE
        if not is_genuine_receipt(receipt, screen_key(day_key, bundle.vehicle_secret, receipt.device)):
            return DECISION_NOT_PAID  # made up, or paid in another vehicle, whose key is not held here
        return DECISION_PAID_HERE if 0 <= now_s - receipt.minute * MINUTE_S < _RUN_S_MAX else DECISION_QR_OTHER_MINUTE

    # The console.

    def _take_console_line(self, line: str) -> None:
        words = line.split()
        if self._records.place.take(words):
            self._recent.ride_on(self._records.place.trip)
        elif len(words) == 2 and words[0] == "sms" and _is_ticket_code(words[1]):
            # The code is the service's own word for a payment; nothing of it can be checked here.
            self._tell(Seen(DECISION_ASK_SERVICE, MEDIUM_OTHER))
        else:
            self._board.log("console: a line that is not understood")

    # The verdict.

    def _tell(self, seen: Seen) -> None:
        """Record it, then tell it."""
        now_s, _ = read_clock(self._board)
        paid_at_s = seen.paid_at_s
        self._records.inspection(
            decision=seen.decision,
            medium=seen.medium,
            token=seen.token,
            token_key_version=None if seen.token is None else self._membership.bundle.token_key_version,
            category=seen.category,
            product=seen.product,
            extensions=None if paid_at_s is None else {0: paid_at_s},
        )
        minutes_ago = None if paid_at_s is None else max(now_s - paid_at_s, 0) // 60
        is_concession = seen.category not in {None, _ADULT}
        self._feedback.inspected(seen.decision, minutes_ago, seen.category, seen.product, is_concession=is_concession)


def _run(trip: int | None) -> int:
    """Return a run as cards write it down."""
    return layout.NOWHERE if trip is None else trip & 0xFFFF


def _is_ticket_code(text: str) -> bool:
    return len(text) == _SMS_CHARACTERS and not [each for each in text.upper() if each not in _BASE32]
