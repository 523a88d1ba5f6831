"""How long to wait before another try: longer each time, and never in step with other buses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const

if TYPE_CHECKING:
    from firmware.boards.board import Board

_FIRST_MS = const(10_000)
_LONGEST_MS = const(600_000)


def back_off_ms(board: Board, failures: int) -> int:
    """Return milliseconds to wait after so many failures in a row."""
    return between_half_and_all(board, min(_FIRST_MS << min(failures - 1, 10), _LONGEST_MS))


def between_half_and_all(board: Board, longest_ms: int) -> int:
    """Return a random time."""
    jitter = int.from_bytes(board.random_bytes(2), "big")
    return longest_ms // 2 + longest_ms * jitter // 0x20000
