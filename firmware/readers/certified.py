"""A certified reader module: it reads bank cards by itself, and tells no more of them than token and acquirer's blob.

For all other cards it does what a PN532 does, in the same frames; one command is added. Such modules differ by maker, and each
needs a driver of its own: this one stands for what they have in common. The keys of tokens and blobs are in the module, and so
are the authorities of card schemes; the file `certified-reader` says that a validator has one.

`6A ‖ amount (6, packed digits) ‖ date (3) ‖ 4 random bytes` is answered by a decision (`protocol.decisions`), and when that is
0 by token (16), expiry (2), the card's counter (2) and the blob.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.readers.pn532 import Pn532
from firmware.readers.reader import MediumGone, ReaderFault
from protocol.cards.emv import BankCardRead, NoPaymentApplication
from protocol.cards.emv_keys import NotGenuine
from protocol.compat import const
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_MEDIUM_FAULT,
    DECISION_TORN,
    DECISION_UNKNOWN_MEDIUM,
)
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Generator

    from firmware.boards.board import Uart
    from firmware.loop import Loop
    from protocol.cards.emv_terminal import Terminal

READ_BANK_CARD = const(0x6A)
_HEAD_BYTES = const(21)
_BLOB_BYTES_MAX = const(400)
_READ_MS = const(3000)


def read_bank_card(terminal: Terminal) -> Generator[bytes, bytes, BankCardRead]:
    """Have the card in the field read.

    Raises:
        NoPaymentApplication, NotGenuine, CardError: as `protocol.cards.emv.read_bank_card`.
        MediumGone: the card has left the field.
        ReaderFault: the module's answer makes no sense.
    """
    values = terminal.values
    answer = yield bytes((READ_BANK_CARD,)) + values[0x9F02] + values[0x9A] + values[0x9F37]
    decision = answer[0] if answer else DECISION_MEDIUM_FAULT
    if decision == DECISION_UNKNOWN_MEDIUM:
        raise NoPaymentApplication("no payment application that is accepted here")
    if decision == DECISION_TORN:
        raise MediumGone("the card does not answer")
    if decision == DECISION_MEDIUM_FAULT:
        raise CardError("the reader module cannot read the card")
    if decision != DECISION_ACCEPTED:
        raise NotGenuine(decision, "the reader module refuses the card")
    if not _HEAD_BYTES < len(answer) <= _HEAD_BYTES + _BLOB_BYTES_MAX:
        raise ReaderFault("the reader module tells too little or too much of a card")
    counter = int.from_bytes(answer[19:_HEAD_BYTES], "big")
    return BankCardRead(answer[1:17], answer[_HEAD_BYTES:], answer[17:19], counter)


class CertifiedReader(Pn532):
    """The driver."""

    def __init__(self, port: Uart, loop: Loop) -> None:
        super().__init__(port, loop)
        self.certified = self

    async def read_bank_card(self, terminal: Terminal) -> BankCardRead:
        return await self._run(read_bank_card(terminal), _READ_MS)  # type: ignore[no-any-return]
