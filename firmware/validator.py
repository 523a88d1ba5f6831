"""The validator's work with riders: a medium is noticed, read, decided on, recorded, and only then the rider is told.

Three tasks serve the card reader, the code scanner and the driver's console. Between two awaits a task has the journal to
itself, so they need no locks. Each medium has a module of its own; what they share once a medium is read is the farebox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.bank_cards import BankCards
from firmware.decision import ADULT, MediumFacts
from firmware.farebox import Farebox
from firmware.readers.qr_scanner import LineDecoder
from firmware.readers.reader import MediumGone, ReaderFault, converse
from firmware.tickets import Tickets
from firmware.transit_cards import TransitCards
from protocol.cards.desfire import NotOurCard, select_transit_card
from protocol.compat import collect_garbage, const
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

_READER_RETRY_MS = const(500)
_READER_RETRY_MS_MAX = const(30_000)
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
        """Serve the card reader, and start it again when it fails."""
        retry_ms = _READER_RETRY_MS
        while True:
            try:
                await reader.start()
                while True:
                    target = await reader.wait_for_card()
                    await self._serve_card(reader, target)
                    collect_garbage()
                    await reader.release()
                    self._bank_cards.wipe()
                    retry_ms = _READER_RETRY_MS
            except ReaderFault as fault:
                self._board.log("reader: " + str(fault))
                await self._loop.sleep_ms(retry_ms)
                retry_ms = min(retry_ms * 2, _READER_RETRY_MS_MAX)

    async def serve_codes(self) -> None:
        """Serve the code scanner."""
        await self._serve_lines(self._board.qr, self._take_code)

    async def show_codes(self, device: bytes) -> None:
        """Show the validator's own codes, and take the receipts of who has paid by them."""
        from firmware.screen import Screen  # noqa: PLC0415 - not every validator has a screen for codes

        screen = Screen(self._farebox, device)
        self._serve_receipt = screen.serve
        await screen.show(self._loop)

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
                collect_garbage()
                line = decoder.next_line()

    def _take_code(self, text: str) -> None:
        if self._serve_receipt is not None and text.startswith(_RECEIPT_PREFIX):
            self._serve_receipt(text)
        else:
            self._tickets.serve(text)

    # Cards.

    async def _serve_card(self, reader: CardReader, target: Target) -> None:
        if target.count > 1:
            self._farebox.feedback.refused(DECISION_TWO_MEDIA)
            return
        if not target.speaks_apdu:
            self._farebox.refuse(DECISION_UNKNOWN_MEDIUM, None)
            return
        try:
            await converse(reader, select_transit_card())
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

    # Cash and the driver.

    def _take_console_line(self, line: str) -> None:
        if line == "cash":
            self._farebox.serve_account(MediumFacts(MEDIUM_CASH, ADULT))
        elif self._farebox.recorder.place.take(line.split()):
            # Now and not at the next tap: another door's riders of the run that ends here are on their ride, too.
            self._farebox.recent.ride_on(self._farebox.recorder.place.trip)
        else:
            self._board.log("console: a line that is not understood")
