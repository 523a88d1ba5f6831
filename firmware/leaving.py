"""The uploader with what a device does once in years: it changes its key, or leaves. Loaded only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware import retiring, rotating
from firmware.links.http import HttpError
from firmware.outbox import Unanswered
from firmware.uploader import Uploader
from protocol import sync
from protocol.cose import TYP_RETIREMENT
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from typing import Any

    from firmware.boards.board import Board
    from firmware.keys import Identity
    from firmware.loop import Loop
    from protocol.ack import Ack


class LeavingUploader(Uploader):
    """An uploader that may also rotate and retire.

    Attributes:
        has_new_key: a new key waits to be registered.
        is_leaving: the device is taken out of service; it takes no taps any more.
    """

    def __init__(self, *parts: Any) -> None:  # noqa: ANN401 - those of an uploader
        super().__init__(*parts)
        self.has_new_key = rotating.load_rotation(self._board, self._membership) is not None
        self.is_leaving = False

    async def prepare_rotation(self) -> None:
        """Make a new key, which is registered next."""
        await rotating.prepare_rotation(self._board, self._loop, self._identity, self._membership)
        self.has_new_key = True

    def _due_ms(self) -> int:
        return self._not_before_ms if self.has_new_key or self.is_leaving else super()._due_ms()

    def what_is_due(self) -> int:
        event = super().what_is_due()
        if event != sync.EXPIRED and self.has_new_key:
            return sync.NEW_KEY
        is_all_sent = self._journal.acked == self._journal.next_sequence - 1
        return sync.LAST_WORD if event == sync.DUE and self.is_leaving and is_all_sent else event

    # The actions of the table.

    async def rotate(self) -> int:
        waiting = rotating.load_rotation(self._board, self._membership)
        if waiting is None:
            return sync.KEY_REFUSED
        rotation, message = waiting
        self._ack = None
        try:
            self._ack = await self._exchange("/v1/rotations", [message], rotation.nonce)
        except (HttpError, ProtocolError) as error:
            self._board.log("rotation: " + str(error))
            is_signed = isinstance(error, Unanswered) and error.is_signed
            return sync.KEY_REFUSED if is_signed else self._event_of(error)
        return sync.TAKEN if rotation.is_done_by(self._ack) else sync.KEY_REFUSED

    async def adopt_key(self) -> None:
        rotating.adopt_key(self._board, self._identity)
        self.has_new_key = False
        await self.go_on()

    async def drop_key(self) -> None:
        rotating.drop_key(self._board)
        self.has_new_key = False
        await self.back_off()

    async def call_for_help(self) -> None:
        if rotating.is_said_again(self._board):
            self.has_new_key = False  # that did not help: whatever does will know the key in use
        await super().call_for_help()

    async def say_last_word(self) -> int:
        retirement, payload = retiring.last_word(self._board, self._identity, self._membership, self._journal)
        event = await self._tried(self._send_last_word(payload, retirement.nonce))
        if event != sync.TAKEN or (self._ack is not None and retirement.may_erase_after(self._ack)):
            return event
        return sync.NOT_TAKEN

    async def _send_last_word(self, payload: bytes, nonce: bytes) -> tuple[Ack, int]:
        ack = await self._exchange("/v1/retirements", await self._sign([payload], TYP_RETIREMENT), nonce)
        self._take_ack(ack)
        return ack, 0

    async def erase(self) -> None:
        retiring.erase_everything(self._board)
        self._board.log("retired: everything is sent, flash and keys are erased")


async def rotate_and_tell(board: Board, loop: Loop, identity: Identity, uploader: LeavingUploader) -> None:
    """Change the device's key, say how it went, and end the program."""
    before = identity.kid
    await uploader.prepare_rotation()
    loop.spawn(uploader.run())
    while uploader.has_new_key:
        await loop.sleep_ms(500)
    if identity.kid == before:
        board.log("the service refused the new key: the old one stays")
        raise SystemExit(1)
    board.log("the new key counts")
    raise SystemExit(0)
