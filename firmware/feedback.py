"""What the rider sees and hears. Called only after what it tells is durable.

Who cannot see the light hears the difference, and who cannot hear sees it. A concession sounds different from a full fare: driver
and inspector notice a pupil's card in the hand of an adult.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_ALREADY_TAPPED,
    DECISION_ASK_SERVICE,
    DECISION_FREE_RIDE_JOURNAL_FULL,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_PAID_ELSEWHERE,
    DECISION_PAID_HERE,
    DECISION_TOP_UP_COMING,
    DECISION_TOP_UP_LATER,
    DECISION_TOPPED_UP,
    DECISION_TORN,
    DECISION_TWO_MEDIA,
)

if TYPE_CHECKING:
    from firmware.boards.board import Board

# Light: milliseconds on, then off; an odd count ends dark.
LIGHTS = {"green": (1500,), "amber": (400, 200, 400, 200, 400), "red": (1500,)}
# Sound: milliseconds on, then off, and Hertz.
SOUNDS = {
    "ok": ((120,), 2400),
    "concession": ((120, 80, 120), 2400),
    "hold again": ((80, 60, 80, 60, 80), 1200),
    "refused": ((600,), 400),
}
_HOLD_AGAIN = (DECISION_TORN, DECISION_TWO_MEDIA, DECISION_OUTCOME_UNKNOWN)
_CANNOT_TELL = (DECISION_PAID_ELSEWHERE, DECISION_ASK_SERVICE)


class Feedback:
    """The rider's side of a board: one line of text, one light, one sound for each answer; words where it shows words."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def accepted(
        self, sequence: int, fare_minor: int, balance_minor: int | None, *, is_concession: bool = False
    ) -> None:
        """The ride is paid; the number is the tap's own."""
        self._tell("ok", sequence, fare_minor, balance_minor)
        self._board.light("green")
        self._board.beep("concession" if is_concession else "ok")
        self._say(DECISION_ACCEPTED)

    def again(self, sequence: int, fare_minor: int, balance_minor: int | None) -> None:
        """The ride was paid a moment ago: nothing is charged a second time."""
        self._tell("again", sequence, fare_minor, balance_minor)
        self._board.light("amber")
        self._board.beep("ok")
        self._say(DECISION_ALREADY_TAPPED)

    def free(self) -> None:
        """The ride is free because the validator cannot record it."""
        self._board.show("free")
        self._board.light("green")
        self._board.beep("ok")
        self._say(DECISION_FREE_RIDE_JOURNAL_FULL)

    def hold_on(self) -> None:
        """Money comes onto the card while it is held on; the light stays what it is: it tells of the ride."""
        self._board.show("hold on")
        self._board.beep("hold again")
        self._say(DECISION_TOP_UP_COMING)

    def topped_up(self, sequence: int, amount_minor: int, balance_minor: int) -> None:
        """The money is on the card."""
        self._tell("loaded", sequence, amount_minor, balance_minor)
        self._board.light("green")
        self._board.beep("ok")
        self._say(DECISION_TOPPED_UP)

    def top_up_later(self) -> None:
        """Money waits and cannot be had now."""
        self._board.show("later")
        self._board.light("amber")
        self._board.beep("hold again")
        self._say(DECISION_TOP_UP_LATER)

    def refused(self, decision: int) -> None:
        self._board.show("refused " + str(decision))
        self._board.light("red")
        self._board.beep("hold again" if decision in _HOLD_AGAIN else "refused")
        self._say(decision)

    def inspected(
        self,
        decision: int,
        minutes_ago: int | None = None,
        category: int | None = None,
        product: int | None = None,
        *,
        is_concession: bool = False,
    ) -> None:
        """An inspector's look at a medium: whether it has paid here, how long ago, for whom, by what."""
        said = [decision, minutes_ago, category, product]
        self._board.show("inspected " + " ".join(["-" if each is None else str(each) for each in said]))
        if decision == DECISION_PAID_HERE:
            self._board.light("green")
            self._board.beep("concession" if is_concession else "ok")
        else:
            self._board.light("amber" if decision in _CANNOT_TELL else "red")
            self._board.beep("hold again" if decision in _HOLD_AGAIN or decision in _CANNOT_TELL else "refused")
        self._say(decision)

    def _tell(self, word: str, sequence: int, fare_minor: int, balance_minor: int | None) -> None:
        balance = "-" if balance_minor is None else str(balance_minor)
        self._board.show(word + " " + str(sequence) + " " + str(fare_minor) + " " + balance)

    def _say(self, decision: int) -> None:
        """Tell it in words, where rider and driver have displays for them."""
        for language in self._board.languages:
            from firmware.texts import texts  # noqa: PLC0415

            rider, driver = texts(language).get(decision, ("", ""))
            self._board.say(language, rider)
            if decision != DECISION_ACCEPTED:
                self._board.driver.write(driver.encode() + b"\n")
