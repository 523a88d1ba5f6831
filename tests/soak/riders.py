"""Riders at one validator, in real time: one after another holds a card, shows a code, or pays the driver.

A rider waits for a light, and when the power fails instead, holds the medium again as soon as the validator is back. What is
noted is what a person standing beside could note: lights, and the numbers on the display.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.bus import DriverTerminal
from simulator.desfire_card import DesfireCard
from simulator.pn532_chip import Pn532Chip

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from simulator.phone import PhoneTicket
    from tests.soak.wall_clock import WallClock

_CASH_A_TRIP = 6
_TICKETS_A_TRIP = 2
_NO_LIGHT_MS = 15_000
_ASK_AGAIN_MS = 400
_NEXT_RIDER_MS = (10, 80)
_TRIES_MAX = 12
# What the console does not understand, it says: so we know that it has taken everything before.
_QUESTION = "are you there"
_YES = "log console: a line that is not understood"


@dataclass
class Doubt:
    """Somebody paid the driver, and the power failed before a light: nobody can say whether it was recorded.

    Attributes:
        after, before: the numbers that were seen last before it, and first after it; the latter None until then.
    """

    after: int
    before: int | None = None

    def explains(self, sequence: int) -> bool:
        return self.after < sequence and (self.before is None or sequence < self.before)


@dataclass
class Rider:
    """Who is at the validator now.

    Attributes:
        medium: None is cash.
        tries: so far.
        until_ms: until when a light is waited for; None when the medium must be held (again).
    """

    medium: DesfireCard | PhoneTicket | None
    tries: int = 0
    until_ms: int | None = None


class Riders:
    """The queue.

    Attributes:
        chip, scanner, driver: what is plugged into the validator.
        seen: number of every ride that was answered by a light.
        refused: red lights, by decision.
        unsettled: riders who gave up.
        doubts: payments of which nobody knows.
        is_resting: no further rider comes, but one who pays the driver. A light shows the number of a debit's intent, and its
            outcome has the next one: once the service has the last rider, it has everything.
    """

    def __init__(
        self,
        line: int,
        cards: Sequence[DesfireCard],
        issue_ticket: Callable[[int], PhoneTicket],
        clock: WallClock,
        chance: random.Random,
    ) -> None:
        self._line = line
        self._cards = cards
        self._issue_ticket = issue_ticket
        self._tickets = 0
        self._clock = clock
        self._chance = chance
        self._trip = 0
        self._deck: list[DesfireCard | PhoneTicket | None] = []
        self._rider: Rider | None = None
        self._next_ms = 0
        self._shown: list[str] = []
        self.seen: set[int] = set()
        self.refused: Counter[int] = Counter()
        self.unsettled = 0
        self.presented = 0
        self.doubts: list[Doubt] = []
        self.is_resting = False
        self._is_last_gone = False
        self.plug_in()

    @property
    def is_idle(self) -> bool:
        """Whether nobody is at the validator, nor comes any more."""
        return self._is_last_gone and self._rider is None

    # Power.

    def plug_in(self) -> None:
        """The validator is switched on: the devices at its UARTs start, too."""
        self.chip, self.scanner, self.driver = Pn532Chip(), DriverTerminal(), DriverTerminal()
        self._is_ready = False
        self._ask_ms = 0
        self._shown = []

    def lose_power(self) -> None:
        rider = self._rider
        if rider is None or rider.until_ms is None:
            return
        if rider.medium is None:
            self._doubt()
        self._take_away(rider)
        rider.until_ms = None

    def _doubt(self) -> None:
        self.doubts.append(Doubt(max(self.seen, default=0)))

    # Riders act on the validator.

    def step(self, now_ms: int) -> None:
        """Do what is to be done at this moment (of a clock that only counts)."""
        if not self._is_ready:
            self._ask(now_ms)
        elif self._rider is None:
            if now_ms >= self._next_ms and not self._is_last_gone:
                self._is_last_gone = self.is_resting
                self._rider = Rider(None if self.is_resting else self._draw())
        elif self._rider.until_ms is None:
            if now_ms >= self._next_ms:
                self._present(self._rider, now_ms)
        elif now_ms >= self._rider.until_ms:
            self._see_no_light(self._rider)

    def _ask(self, now_ms: int) -> None:
        """Tell the console where we are until it answers; a terminal forgets what came before it was opened."""
        if now_ms >= self._ask_ms:
            self._ask_ms = now_ms + _ASK_AGAIN_MS
            for line in (f"line {self._line}", f"trip {self._trip}", _QUESTION):
                self.driver.say(line)

    def _draw(self) -> DesfireCard | PhoneTicket | None:
        """Return the next medium; a card is held once on a trip, for nobody is charged twice on the same one."""
        if not self._deck:
            self._trip += 1
            # A code passes once, so everybody who shows one has a ticket of his own.
            self._tickets += _TICKETS_A_TRIP
            tickets = [self._issue_ticket(self._tickets - number) for number in range(_TICKETS_A_TRIP)]
            self._deck = [*self._cards, *tickets, *[None] * _CASH_A_TRIP]
            self._chance.shuffle(self._deck)
            self._is_ready = False
            self._ask_ms = 0
        return self._deck.pop()

    def _present(self, rider: Rider, now_ms: int) -> None:
        if isinstance(rider.medium, DesfireCard):
            if not self.chip._listing:
                return  # it still looks whether the last card is gone
            self.chip.present(rider.medium, now_ms)
        elif rider.medium is None:
            self.driver.say("cash")
        else:
            self.scanner.say(rider.medium.text(self._clock.now_ms() // 1000))
        rider.tries += 1
        rider.until_ms = now_ms + _NO_LIGHT_MS
        self.presented += 1

    def _see_no_light(self, rider: Rider) -> None:
        self._take_away(rider)
        self.unsettled += 1
        self._doubt()
        self._rider = None

    def _take_away(self, rider: Rider) -> None:
        if isinstance(rider.medium, DesfireCard):
            self.chip.remove(rider.medium)

    # The validator acts on riders.

    def hear(self, line: str, now_ms: int) -> None:
        """Take a line that the validator showed, lit or said."""
        if line == _YES:
            self._is_ready = True
        elif line.startswith("show "):
            self._shown = line.split()[1:]
        elif line.startswith("light ") and self._shown:
            shown, self._shown = self._shown, []
            self._see_light(shown, now_ms)

    def _see_light(self, shown: list[str], now_ms: int) -> None:
        rider = self._rider
        if rider is not None:
            self._take_away(rider)
        self._next_ms = now_ms + self._chance.randrange(*_NEXT_RIDER_MS)
        if shown[0] == "refused":
            self.refused[int(shown[1])] += 1
            self._try_again(rider)
            return
        sequence = int(shown[1])
        for doubt in self.doubts:
            if doubt.before is None and sequence > doubt.after:
                doubt.before = sequence
        self.seen.add(sequence)
        self._rider = None

    def _try_again(self, rider: Rider | None) -> None:
        if rider is None:
            return
        rider.until_ms = None
        if rider.tries >= _TRIES_MAX:
            self.unsettled += 1
            self._rider = None
