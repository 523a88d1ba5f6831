"""What cards tell an inspector: a transport card who it is and its last rides, a bank card the token of its number.

Transport cards are read under the read key, with which nothing on them can be changed. Bank cards prove that they are genuine, as
before a validator: a copied number would ride on somebody's payment. What an acquirer would need is dropped where it is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.clock import packed_date, read_clock
from firmware.keys import KeyVersionUnknown
from firmware.readers.reader import converse
from protocol.cards import card_layout as layout
from protocol.cards.desfire import AuthenticationFailed, ForgedAnswer, read_key_version
from protocol.cards.desfire_inspect import inspect_card
from protocol.cards.emv import read_bank_card, select_application
from protocol.cards.emv_keys import NotGenuine
from protocol.cards.emv_oda import OfflineAuthentication
from protocol.cards.emv_terminal import Terminal
from protocol.compat import const
from protocol.decisions import (
    DECISION_BAD_AUTHENTICATION,
    DECISION_CARD_ANSWER_FORGED,
    DECISION_CARD_AUTHORITY_UNKNOWN,
    DECISION_CARD_KEYS_UNKNOWN,
    DECISION_CARD_LAYOUT_UNKNOWN,
    DECISION_MEDIUM_FAULT,
    DECISION_NO_BANK_CARDS_HERE,
)
from protocol.errors import CardError
from protocol.tap import CLOCK_UNKNOWN
from protocol.tokens import LABEL_BANK, LABEL_TRANSIT, medium_token

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.card_authorities import StoredAuthorities
    from firmware.keys import Membership
    from firmware.readers.reader import CardReader, Target
    from firmware.rules import Rules
    from protocol.cards.card_layout import CardEvent, Environment

_PROFILE_SECURE_ELEMENT = const(1)


class InspectedCards:
    """Reads cards."""

    def __init__(self, board: Board, membership: Membership, rules: Rules) -> None:
        self._board = board
        self._membership = membership
        self._rules = rules

    async def read_transit(self, reader: CardReader, target: Target) -> tuple[Environment, bytes, list[CardEvent]]:
        """Read a selected transport card: who it is, its token, its events, newest first.

        Raises:
            CardError: `reason` says why it cannot be read.
        """
        membership, version = self._membership, None
        if membership.transit_versions() is not None:
            version = await converse(reader, read_key_version(layout.KEY_READ))
        holder = membership.transit_key(layout.KEY_READ, version, target.uid)
        environment, events = await converse(reader, inspect_card(self._board.aes, holder))
        return environment, medium_token(membership.bundle.token_key, LABEL_TRANSIT, environment.card_number), events

    async def read_bank(self, reader: CardReader) -> bytes:
        """Read a bank card and return the token of its number.

        Raises:
            CardError: `reason` says why it cannot be read, or is not genuine.
        """
        unix_s, quality = read_clock(self._board)
        terminal = Terminal(0, packed_date(unix_s), self._board.random_bytes(4), quality != CLOCK_UNKNOWN)
        if reader.certified is not None:
            return (await reader.certified.read_bank_card(terminal)).token
        authorities = self._rules.card_authorities
        if authorities is None or self._board.profile != _PROFILE_SECURE_ELEMENT:
            await converse(reader, select_application())
            is_secure = self._board.profile == _PROFILE_SECURE_ELEMENT
            code = DECISION_CARD_AUTHORITY_UNKNOWN if is_secure else DECISION_NO_BANK_CARDS_HERE
            raise NotGenuine(code, "no bank cards are looked at here")
        return await self._read_bank(reader, terminal, authorities)

    async def _read_bank(self, reader: CardReader, terminal: Terminal, authorities: StoredAuthorities) -> bytes:
        read = await converse(reader, read_bank_card(self, terminal, OfflineAuthentication(authorities)))
        token: bytes = read.token
        return token

    # The vault: a token is made, and nothing is kept for an acquirer.

    def tokenise(self, number: bytearray) -> bytes:
        return medium_token(self._membership.bundle.token_key, LABEL_BANK, bytes(number))

    def seal(self, objects: bytearray) -> bytes:
        del objects
        return b""


def reason(error: CardError) -> int:
    """Return the decision that says why a card cannot be read."""
    if isinstance(error, NotGenuine):
        return error.decision
    # The first that fits is the reason: a forged answer is a failed authentication, too.
    for kind, code in (
        (ForgedAnswer, DECISION_CARD_ANSWER_FORGED),
        (AuthenticationFailed, DECISION_BAD_AUTHENTICATION),
        (KeyVersionUnknown, DECISION_CARD_KEYS_UNKNOWN),
        (layout.LayoutUnknown, DECISION_CARD_LAYOUT_UNKNOWN),
    ):
        if isinstance(error, kind):
            return code
    return DECISION_MEDIUM_FAULT
