"""The keys under which the acquirer's blobs are encrypted (AES-DUKPT): no counter is used twice, whatever happens.

A key-injection facility leaves the initial key in the file `acquirer-keys` (initial key id, 8 bytes, and key, 16); it is
replaced by what derives from it before the first use. It stands where a secure element will.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.acquirer_blob import seal_blob
from protocol.cards.dukpt import KEY_BYTES, KEY_ID_BYTES, plant, take_block
from protocol.errors import LocalProtocolError

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from protocol.cards.dukpt import KeyBlock

FILE = "acquirer-keys"


class AcquirerKeys:
    """The terminal's half."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._block: KeyBlock | None = None

    def are_there(self) -> bool:
        """Return whether a key was ever put into this device."""
        return self._board.store.size(FILE) is not None

    def seal(self, objects: bytearray) -> bytes:
        """Return the acquirer's blob.

        Raises:
            LocalProtocolError: the keys are missing, damaged or used up.
        """
        if self._block is None or not self._block.has_more():
            self._block = self._take_block()
        return seal_blob(self._board.aes, self._block, objects)

    def _take_block(self) -> KeyBlock:
        """Take the next counters: what comes behind them is durable before the first of them is used."""
        store, aes = self._board.store, self._board.aes
        kept = store.read(FILE)
        if kept is None:
            raise LocalProtocolError("no key of an acquirer was ever put into this device")
        if len(kept) == KEY_ID_BYTES + KEY_BYTES:
            block, stored = plant(aes, kept[:KEY_ID_BYTES], kept[KEY_ID_BYTES:])
        else:
            block, stored = take_block(aes, kept)
        store.write(FILE, stored)
        return block
