"""What serves whoever comes: waits for a medium or a line of text, and hands it over. What is made of it is another's work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.readers.qr_scanner import LineDecoder
from firmware.readers.reader import ReaderFault
from protocol.compat import collect_garbage, const

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from firmware.boards.board import Board, Port
    from firmware.loop import Loop
    from firmware.readers.reader import CardReader, Target

    class ServesCards(Protocol):
        """Who looks at the cards that come."""

        async def serve_card(self, reader: CardReader, target: Target) -> None:
            """Hold the conversation with a card in the field, and tell what came of it."""

        def card_has_left(self) -> None:
            """The field is empty again."""


_READER_RETRY_MS = const(500)
_READER_RETRY_MS_MAX = const(30_000)


async def wait_for_cards(board: Board, loop: Loop, reader: CardReader, who: ServesCards) -> None:
    """Serve the card reader, and start it again when it fails."""
    retry_ms = _READER_RETRY_MS
    while True:
        try:
            await reader.start()
            while True:
                target = await reader.wait_for_card()
                await who.serve_card(reader, target)
                await reader.release()
                who.card_has_left()
                collect_garbage()
                retry_ms = _READER_RETRY_MS
        except ReaderFault as fault:
            board.log("reader: " + str(fault))
            await loop.sleep_ms(retry_ms)
            retry_ms = min(retry_ms * 2, _READER_RETRY_MS_MAX)


async def wait_for_lines(loop: Loop, port: Port, take: Callable[[str], None]) -> None:
    """Hand over each line of text that a scanner or a console sends."""
    decoder = LineDecoder()
    while True:
        await loop.port_ready(port)
        decoder.receive(port.read())
        line = decoder.next_line()
        while line is not None:
            take(line)
            collect_garbage()
            line = decoder.next_line()
