"""A rider holds a bank card or a phone: only a token of its number leaves the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import packed_date, read_clock
from firmware.decision import MediumFacts
from firmware.farebox import ADULT
from firmware.readers.reader import converse
from protocol.cards.emv import NoPaymentApplication, Terminal, read_bank_card
from protocol.decisions import DECISION_MEDIUM_FAULT, DECISION_UNKNOWN_MEDIUM
from protocol.errors import CardError
from protocol.tap import MEDIUM_BANK_CARD
from protocol.tokens import LABEL_BANK, medium_token

if TYPE_CHECKING:
    from firmware.farebox import Farebox
    from firmware.readers.reader import CardReader


class BankCards:
    """Serves bank cards."""

    def __init__(self, farebox: Farebox) -> None:
        self._farebox = farebox

    async def serve(self, reader: CardReader) -> None:
        unix_s, _ = read_clock(self._farebox.board)
        terminal = Terminal(0, packed_date(unix_s), self._farebox.board.random_bytes(4))
        try:
            read = await converse(reader, read_bank_card(self._tokenise_bank_card, terminal))
        except NoPaymentApplication:
            self._farebox.refuse(DECISION_UNKNOWN_MEDIUM, None)
            return
        except CardError:
            self._farebox.refuse(DECISION_MEDIUM_FAULT, None)
            return
        facts = MediumFacts(MEDIUM_BANK_CARD, ADULT, read.token)
        self._farebox.serve_account(facts)

    def _tokenise_bank_card(self, number: bytearray) -> bytes:
        return medium_token(self._farebox.keys.token_key, LABEL_BANK, bytes(number))
