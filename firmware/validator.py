"""The validator's work with riders: a medium is noticed, read, decided on, recorded, and only then the rider is told.

Three tasks serve the card reader, the code scanner and the driver's console. Between two awaits a task has the journal to
itself, so they need no locks. Each medium has a module of its own; what they share once a medium is read is the farebox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.bank_cards import BankCards
from firmware.decision import ADULT, MediumFacts
from firmware.farebox import Farebox
from firmware.readers.reader import MediumGone, converse
from firmware.serving import wait_for_cards, wait_for_lines
from firmware.tickets import Tickets
from firmware.transit_cards import TransitCards
from protocol.cards.desfire import NotOurCard, select_transit_card
from protocol.decisions import (
    DECISION_MEDIUM_FAULT,
    DECISION_TORN,
    DECISION_TWO_MEDIA,
    DECISION_UNKNOWN_MEDIUM,
)
from protocol.errors import CardError
from protocol.tap import MEDIUM_CASH

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.boards.board import Board
    from firmware.feedback import Feedback
    from firmware.keys import Identity, Membership
    from firmware.loop import Loop
    from firmware.readers.reader import CardReader, Target
    from firmware.recent_taps import RecentTaps
    from firmware.recorder import Recorder
    from firmware.rules import Rules

_RECEIPT_PREFIX = "JQ3:"


class Validator:
    """What serves riders."""

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
        self._farebox = Farebox(board, membership, rules, recorder, recent, feedback, policy_when_full)
        self._transit_cards = TransitCards(self._farebox)
        self._bank_cards = BankCards(self._farebox)
        self._tickets = Tickets(self._farebox)
        self._serve_receipt: Callable[[str], None] | None = None

    def load_money_as(self, identity: Identity) -> None:
        """Load money that waits for a card, asked for by the device's own key."""
        self._transit_cards.load_money_as(self._loop, identity)

    # The three tasks.

    async def serve_cards(self, reader: CardReader) -> None:
        """Serve the card reader."""
        await wait_for_cards(self._board, self._loop, reader, self)

    async def serve_codes(self) -> None:
        """Serve the code scanner."""
        await wait_for_lines(self._loop, self._board.qr, self._take_code)

    async def serve_driver(self) -> None:
        """Serve the driver's console."""
        await wait_for_lines(self._loop, self._board.driver, self._take_console_line)

    async def show_codes(self, device: bytes) -> None:
        """Show the validator's own codes, and take the receipts of who has paid by them."""
        from firmware.screen import Screen  # noqa: PLC0415 - not every validator has a screen for codes

        screen = Screen(self._farebox, device)
        self._serve_receipt = screen.serve
        await screen.show(self._loop)

    def _take_code(self, text: str) -> None:
        if self._serve_receipt is not None and text.startswith(_RECEIPT_PREFIX):
            self._serve_receipt(text)
        else:
            self._tickets.serve(text)

    # Cards.

    async def serve_card(self, reader: CardReader, target: Target) -> None:
        if target.count > 1:
            self._farebox.feedback.refused(DECISION_TWO_MEDIA)
            return
        if not target.speaks_apdu:
            self._farebox.refuse(DECISION_UNKNOWN_MEDIUM, None)
            return

        def prepare() -> None:
            self._transit_cards.prepare(target)
            self._bank_cards.prepare()

        try:
            await converse(reader, select_transit_card(), prepare)
            await self._transit_cards.serve(reader, target)
        except NotOurCard:
            try:
                await self._bank_cards.serve(reader)
            except MediumGone:
                self._farebox.feedback.refused(DECISION_TORN)
        except CardError:
            self._farebox.refuse(DECISION_MEDIUM_FAULT, None)
        except MediumGone:
            self._farebox.feedback.refused(DECISION_TORN)

    def card_has_left(self) -> None:
        self._bank_cards.wipe()

    # Cash and the driver.

    def _take_console_line(self, line: str) -> None:
        if line == "cash":
            self._farebox.serve_account(MediumFacts(MEDIUM_CASH, ADULT))
        elif self._farebox.recorder.place.take(line.split()):
            # Now and not at the next tap: another door's riders of the run that ends here are on their ride, too.
            self._farebox.recent.ride_on(self._farebox.recorder.place.trip)
        else:
            self._board.log("console: a line that is not understood")
