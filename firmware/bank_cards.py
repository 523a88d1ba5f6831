"""A rider holds a bank card or a phone: it proves that it is genuine, and only token and blob leave the conversation.

Taken in revenue service where the key of the tokens is held in a secure element (profile 1), or where a certified reader makes
token and blob itself. Other devices say that they take none; with a file `test-mode` they do, and record test taps, which
nobody is charged for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.acquirer_keys import AcquirerKeys
from firmware.clock import packed_date, read_clock
from firmware.decision import ADULT, MediumFacts
from firmware.journal import JournalFull
from firmware.readers.reader import converse
from protocol.cards.emv import NoPaymentApplication, read_bank_card, select_application
from protocol.cards.emv_keys import NotGenuine, is_past
from protocol.cards.emv_oda import OfflineAuthentication
from protocol.cards.emv_terminal import Terminal
from protocol.compat import const, wipe_free_memory
from protocol.decisions import (
    DECISION_CARD_AUTHORITY_UNKNOWN,
    DECISION_EXPIRED,
    DECISION_MEDIUM_FAULT,
    DECISION_NO_BANK_CARDS_HERE,
    DECISION_UNKNOWN_MEDIUM,
)
from protocol.errors import CardError, LocalProtocolError
from protocol.tap import CLOCK_UNKNOWN, MEDIUM_BANK_CARD
from protocol.tokens import LABEL_BANK, medium_token

if TYPE_CHECKING:
    from firmware.farebox import Farebox
    from firmware.readers.reader import CardReader
    from protocol.cards.emv import BankCardRead

_PROFILE_SECURE_ELEMENT = const(1)
_TEST_MODE = "test-mode"
# The fare is known only when the day is over, so this is what the card signs (protocol/SPEC.md, "Acquirer's blob").
_AMOUNT_MINOR = const(0)


class BankCards:
    """Serves bank cards; it is the vault into which the conversation puts the number.

    Attributes:
        has_served: a card was read since the memory was last wiped.
    """

    def __init__(self, farebox: Farebox) -> None:
        self._farebox = farebox
        self._acquirer_keys = AcquirerKeys(farebox.board)
        self._authentication: OfflineAuthentication | None = None
        self._terminal: Terminal | None = None
        self._reason = 0
        self.has_served = False

    def prepare(self) -> None:
        """Do what needs no card, while the one in the field says whether it is a bank card at all."""
        board = self._farebox.board
        unix_s, quality = read_clock(board)
        terminal = Terminal(_AMOUNT_MINOR, packed_date(unix_s), board.random_bytes(4), quality != CLOCK_UNKNOWN)
        self._terminal, self._reason = terminal, self._reason_against(terminal, unix_s)

    async def serve(self, reader: CardReader) -> None:
        """Serve the card for which all is prepared."""
        self.has_served = True
        board, terminal = self._farebox.board, self._terminal
        assert terminal is not None
        self._terminal = None  # its random number is for one card
        try:
            read = await self._read(reader, terminal)
        except NoPaymentApplication:
            self._farebox.refuse(DECISION_UNKNOWN_MEDIUM, None)
        except NotGenuine as finding:
            self._farebox.refuse(finding.decision, None)
        except CardError:
            self._farebox.refuse(DECISION_MEDIUM_FAULT, None)
        except LocalProtocolError as error:
            board.log("bank cards: " + str(error))
            self._farebox.refuse(DECISION_NO_BANK_CARDS_HERE, None)
        else:
            self._settle(read, terminal)

    def wipe(self) -> None:
        """The card has left the field: overwrite what may be left of its number in memory that nobody holds any more."""
        if self.has_served:
            self.has_served = False
            wipe_free_memory()

    async def _read(self, reader: CardReader, terminal: Terminal) -> BankCardRead:
        if reader.certified is not None:
            return await reader.certified.read_bank_card(terminal)
        if self._reason:
            await converse(reader, select_application())
            raise NotGenuine(self._reason, "no bank cards are taken here")
        authorities = self._farebox.card_authorities
        assert authorities is not None
        if self._authentication is None:
            self._authentication = OfflineAuthentication(authorities)
        elif self._authentication.authorities is not authorities:
            self._authentication.use(authorities)
        conversation = read_bank_card(self, terminal, self._authentication)
        return await converse(reader, conversation, self._authentication.look_ahead)  # type: ignore[no-any-return]

    def _reason_against(self, terminal: Terminal, unix_s: int) -> int:
        """Return the decision why no bank card is taken now, or 0."""
        if not self._acquirer_keys.are_there() or (not self._is_secure and not self._is_test):
            return DECISION_NO_BANK_CARDS_HERE
        authorities = self._farebox.card_authorities
        if authorities is None or (terminal.today is not None and unix_s >= authorities.expires_s):
            return DECISION_CARD_AUTHORITY_UNKNOWN
        return 0

    @property
    def _is_secure(self) -> bool:
        return self._farebox.board.profile == _PROFILE_SECURE_ELEMENT

    @property
    def _is_test(self) -> bool:
        return self._farebox.board.store.size(_TEST_MODE) is not None

    def _settle(self, read: BankCardRead, terminal: Terminal) -> None:
        farebox = self._farebox
        facts = MediumFacts(MEDIUM_BANK_CARD, ADULT, read.token)
        if is_past(read.expires_yymm, terminal.today):
            farebox.refuse(DECISION_EXPIRED, facts)
            return
        paid = farebox.paid_before(read.token)
        if paid is None:
            farebox.charge_account(facts, read.counter, None, read.blob, True if self._is_test else None)
            return
        if not paid.seen:
            # The power failed before the light, and perhaps before the blob: this one does as well.
            try:
                farebox.recorder.blob(paid.sequence, read.blob)
            except JournalFull:
                farebox.journal_is_full()
                return
        farebox.has_paid(facts)

    # The vault.

    def tokenise(self, number: bytearray) -> bytes:
        return medium_token(self._farebox.keys.token_key, LABEL_BANK, bytes(number))

    def seal(self, objects: bytearray) -> bytes:
        return self._acquirer_keys.seal(objects)
