"""What the validator expects of a reader of cards, whatever chip is behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from protocol.cards.emv import BankCardRead
    from protocol.cards.emv_terminal import Terminal

    class CardReader(Protocol):
        """A reader of contactless cards.

        Attributes:
            certified: itself, where it reads bank cards on its own; None for all others.
        """

        certified: ReadsBankCards | None

        async def start(self) -> None:
            """Wake and configure the chip; ReaderFault when it does not answer."""

        async def wait_for_card(self) -> Target:
            """Wait until a card is in the field."""

        async def exchange(self, command: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
            """Send a command APDU and return the response; MediumGone when the card does not answer.

            What there is to do `meanwhile` is done once, as soon as the command is on its way. It raises nothing.
            """

        async def release(self) -> None:
            """End the conversation and wait until the card has left the field."""

    class ReadsBankCards(Protocol):
        """A certified reader: it reads bank cards by itself, and tells no more than token and blob."""

        async def read_bank_card(self, terminal: Terminal) -> BankCardRead:
            """Have a bank card read; as `protocol.cards.emv.read_bank_card` with any other reader."""


class ReaderFault(Exception):  # noqa: N818 - named for what happened
    """The chip does not answer, or answers what it must not."""


class MediumGone(Exception):  # noqa: N818 - named for what happened
    """The medium left the field in mid-conversation."""


class Target:
    """A card in the field.

    Attributes:
        uid: as told in anticollision; 4, 7 or 10 bytes. Never logged.
        count: how many cards are in the field.
        speaks_apdu: the card has announced ISO/IEC 14443-4.
        ats: its answer to select, with its length byte; empty where there are more cards than one.
    """

    __slots__ = ("ats", "count", "speaks_apdu", "uid")

    def __init__(self, uid: bytes, count: int, speaks_apdu: bool, ats: bytes = b"") -> None:
        self.ats = ats
        self.uid = uid
        self.count = count
        self.speaks_apdu = speaks_apdu


async def converse(reader: CardReader, conversation, meanwhile: Callable[[], None] | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - MicroPython knows no generics
    """Hold a conversation with a card and return its result; at each command, do what there is to do `meanwhile`."""
    response = None
    try:
        while True:
            response = await reader.exchange(conversation.send(response), meanwhile)
    except StopIteration as end:
        return end.value
    finally:
        conversation.close()
