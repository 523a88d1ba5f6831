"""What the rider sees and hears. Called only after what it tells is durable."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware.boards.board import Board


class Feedback:
    """The rider's side of a board: one line of text, one light, one sound for each answer."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def accepted(self, sequence: int, fare_minor: int, balance_minor: int | None) -> None:
        """The ride is paid; the number is the tap's own."""
        self._tell("ok", sequence, fare_minor, balance_minor)
        self._board.light("green")
        self._board.beep("ok")

    def again(self, sequence: int, fare_minor: int, balance_minor: int | None) -> None:
        """The ride was paid a moment ago: nothing is charged a second time."""
        self._tell("again", sequence, fare_minor, balance_minor)
        self._board.light("amber")
        self._board.beep("ok")

    def free(self) -> None:
        """The ride is free because the validator cannot record it."""
        self._board.show("free")
        self._board.light("green")
        self._board.beep("ok")

    def refused(self, decision: int) -> None:
        self._board.show("refused " + str(decision))
        self._board.light("red")
        self._board.beep("refused")

    def _tell(self, word: str, sequence: int, fare_minor: int, balance_minor: int | None) -> None:
        balance = "-" if balance_minor is None else str(balance_minor)
        self._board.show(word + " " + str(sequence) + " " + str(fare_minor) + " " + balance)
