"""The riders at one validator: they stand in a queue, pay by card, by ticket in a phone or in cash, and try again when told to.

What a rider sees is the light; what a rider's card did is known to the card. Both are held against what is cleared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.cards.card_layout import Environment
from protocol.decisions import (
    DECISION_MEDIUM_FAULT,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_QR_STALE,
    DECISION_TORN,
    DECISION_TWO_MEDIA,
)
from protocol.tokens import LABEL_TRANSIT, medium_token
from simulator.desfire_card import DesfireCard
from simulator.phone import PhoneTicket

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from simulator.chaos.run import Run
    from simulator.chaos.unit import Unit

_NO_LIGHT_MS = 4_000
_TRY_AGAIN_MS = 1_800
_LET_GO_MS = 90
_TRIES_MAX = 5
_CARD_COMMANDS_MAX = 9
_TAKEN_AWAY_MS_MAX = 250
_TAP_BYTES_MAX = 900
_WAITS_MAX = 45
_TRIP_TURNS = 15
_PURSES_MINOR = (300_000, 300_000, 300_000, 25_000)
_CATEGORIES = (1, 1, 1, 2, 5)
_YEARS_5_S = 5 * 365 * 86_400
_WORTH_ANOTHER_TRY = frozenset(
    {DECISION_TORN, DECISION_TWO_MEDIA, DECISION_OUTCOME_UNKNOWN, DECISION_MEDIUM_FAULT, DECISION_QR_STALE}
)


@dataclass
class CardHolder:
    """A rider with a card.

    Attributes:
        token: by which the back office knows the card.
        is_riding: the card is before some validator just now.
    """

    card: DesfireCard
    token: bytes
    purse_minor: int
    is_riding: bool = False


def issue_cards(
    chance: random.Random, count: int, city: int, keys: Mapping[str, bytes], now_s: int
) -> list[CardHolder]:
    """Return new cards with money on most of them."""
    holders = []
    for index in range(count):
        digest = hashlib.sha256(f"card {index}".encode()).digest()
        number = b"JQ" + digest[:6]
        purse_minor = chance.choice(_PURSES_MINOR)
        environment = Environment(number, city, chance.choice(_CATEGORIES), now_s + _YEARS_5_S)
        card = DesfireCard.personalise(b"\x04" + digest[8:14], environment, purse_minor, keys)
        holders.append(CardHolder(card, medium_token(keys["token_key"], LABEL_TRANSIT, number), purse_minor))
    return holders


def issue_tickets(count: int, city: int, keys: Mapping[str, bytes], now_s: int) -> list[PhoneTicket]:
    return [
        PhoneTicket(
            hashlib.sha256(f"ticket {index}".encode()).digest()[:8], city, 1, now_s + _YEARS_5_S, keys["qr_master"]
        )
        for index in range(count)
    ]


@dataclass
class Turn:
    """One rider's turn.

    Attributes:
        attempt: tries so far.
        commits_before: how often the card had committed something when the turn began.
        is_over: the rider has an answer, or has given up.
    """

    holder: CardHolder | None = None
    ticket: PhoneTicket | None = None
    attempt: int = 0
    commits_before: int = 0
    is_over: bool = False

    @property
    def commits(self) -> int:
        """How often the card has committed a ride in this turn, paid or free."""
        return 0 if self.holder is None else self.holder.card.counter - self.commits_before


class Crowd:
    """The riders of one vehicle.

    Attributes:
        presented: media held before the validator, tries included.
        turns: riders that have begun.
        is_retired: nobody comes any more.
    """

    def __init__(
        self, run: Run, unit: Unit, holders: list[CardHolder], tickets: list[PhoneTicket], next_turn: Callable[[], bool]
    ) -> None:
        self._run = run
        self._unit = unit
        self._holders = holders
        self._tickets = tickets
        self._is_another_due = next_turn
        self._chance = run.world.chance(f"crowd {unit.name}")
        self._turn: Turn | None = None
        self._trip = 1
        self.is_retired = False
        self.presented = 0
        self.turns = 0
        unit.on_light = self._see
        unit.on_power_loss = self._lose_power
        unit.on_start = self._tell_place

    # The driver.

    def _tell_place(self) -> None:
        assert self._unit.board is not None
        self._unit.board.driver.deliver(f"line 1\ntrip {self._trip}\nstop {self._trip % 7}\n".encode())

    # A rider begins.

    def begin(self) -> None:
        """Let the next rider come, some time from now."""
        self._run.world.after(self._chance.randrange(300, self._run.schedule.gap_ms), self._next)

    def _next(self) -> None:
        if self._turn is None and not self.is_retired and self._is_another_due():
            self.turns += 1
            if self.turns % _TRIP_TURNS == 0:
                self._trip += 1
                if self._unit.is_on:
                    self._tell_place()
            self.serve(self._draw_turn())

    def _draw_turn(self) -> Turn:
        medium = self._chance.choice(self._run.schedule.media)
        holder, ticket = self._chance.choice(self._holders), self._chance.choice(self._tickets)
        if medium == "card" and not holder.is_riding:
            return Turn(holder=holder)
        return Turn(ticket=ticket if medium == "ticket" else None)

    def serve(self, turn: Turn) -> None:
        """Let a rider with a medium begin."""
        if turn.holder is not None:
            turn.commits_before = turn.holder.card.counter
            turn.holder.is_riding = True
        self._turn = turn
        self._present(turn)

    @property
    def is_idle(self) -> bool:
        return self._turn is None

    def _present(self, turn: Turn) -> None:
        unit = self._unit
        if turn.is_over:
            return
        if unit.board is None:
            self._try_again(turn)
            return
        turn.attempt += 1
        self.presented += 1
        attempt = turn.attempt
        self._arm_faults()
        self._run.world.after(_NO_LIGHT_MS, lambda: self._give_up(turn, attempt))
        if turn.holder is not None:
            self._hold(turn.holder.card)
        elif turn.ticket is not None:
            unit.board.qr.deliver(turn.ticket.text(self._run.world.now_ms // 1000).encode() + b"\r\n")
            unit.wake()
        else:
            unit.board.driver.deliver(b"cash\n")
            unit.wake()

    def _arm_faults(self) -> None:
        strike = self._run.faults.strike
        if chance := strike("cut_at_byte"):
            self._unit.nor.cut_after_bytes = chance.randrange(_TAP_BYTES_MAX)
        if chance := strike("cut_in_tap"):
            self._unit.waits_to_cut = chance.randrange(_WAITS_MAX)
        if strike("garbled_frame"):
            self._unit.chip.garble_next = True

    def _hold(self, card: DesfireCard) -> None:
        strike, world = self._run.faults.strike, self._run.world
        if chance := strike("torn"):
            card.tear_at(chance.randrange(1, _CARD_COMMANDS_MAX), carried_out=chance.random() < 0.5)
        if chance := strike("taken_away"):
            world.after(chance.randrange(1, _TAKEN_AWAY_MS_MAX), self._take_away)
        self._unit.hold(card)

    def _take_away(self) -> None:
        self._unit.take_away()
        self._unit.wake()

    # What a rider sees.

    def _see(self, colour: str, shown: list[str]) -> None:
        turn = self._turn
        if turn is None or turn.is_over:
            return
        if colour == "red" and int(shown[1]) in _WORTH_ANOTHER_TRY and turn.attempt < _TRIES_MAX:
            self._run.world.after(_LET_GO_MS, self._take_away)
            self._try_again(turn)
        else:
            self._end(turn)

    def _end(self, turn: Turn) -> None:
        if turn.commits > 1 and not self._unit.flash.rotten:
            self._run.report("a rider pays once", [f"{self._unit.name}: {turn.commits} rides in one turn"])
        turn.is_over = True
        self._run.world.after(_LET_GO_MS, lambda: self._leave(turn))

    def _leave(self, turn: Turn) -> None:
        self._turn = None
        self._take_away()
        if turn.holder is not None:
            turn.holder.is_riding = False
        self.begin()

    def _try_again(self, turn: Turn) -> None:
        """Come back in a moment, unless the rider has done so before."""
        if self._run.faults.strike("walks_away"):
            self._end(turn)
            return
        attempt = turn.attempt
        self._run.world.after(_TRY_AGAIN_MS, lambda: self._present(turn) if turn.attempt == attempt else None)

    def _give_up(self, turn: Turn, attempt: int) -> None:
        if turn.is_over or turn.attempt != attempt or not self._unit.is_on:
            return
        self._take_away()
        if turn.attempt < _TRIES_MAX:
            self._try_again(turn)
        else:
            self._end(turn)

    def _lose_power(self) -> None:
        self._unit.take_away()
        turn = self._turn
        if turn is None or turn.is_over:
            return
        if turn.attempt < _TRIES_MAX:
            self._try_again(turn)
        else:
            self._end(turn)
