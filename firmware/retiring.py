"""How a device leaves (SPEC.md "Retirement"): its last word, and what is erased when that was answered. Loaded when it does.

That it is retired is noted first and durably, so that an erase which was cut short is brought to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.rotation import Retirement, encode_retirement

if TYPE_CHECKING:
    from firmware.boards.board import Board
    from firmware.journal import Journal
    from firmware.keys import Identity, Membership

_MARK = "retired"
_FILES = ("identity", "keys", "enrolled", "key-set", "rotation", "rotated", "fare-table", "boot")
_LIST_FILES = ("deny-list", "deny-list.next", "deny-list.message")
_SECTORS = const(4)
_ERASE = const(6)


def last_word(board: Board, identity: Identity, membership: Membership, journal: Journal) -> tuple[Retirement, bytes]:
    """Return what the device says last, and its encoding; nothing may be recorded after it."""
    retirement = Retirement(
        identity.device, membership.enrolled.epoch, journal.next_sequence - 1, journal.head, board.random_bytes(8)
    )
    return retirement, encode_retirement(retirement)


def is_retired(board: Board) -> bool:
    """Return whether the device has left, and has not enrolled since."""
    return bool(board.store.read(_MARK))


def erase_everything(board: Board) -> None:
    """Erase flash, keys and documents: only after the service has said that it has everything."""
    board.store.write(_MARK, b"\x01")
    for sector in range(board.flash.ioctl(_SECTORS, 0)):
        board.flash.ioctl(_ERASE, sector)
    for name in _FILES + _LIST_FILES:
        board.store.remove(name)


def begin_anew(board: Board) -> None:
    """Let a device that was retired be one again: its new enrolment is durable."""
    board.store.remove(_MARK)
