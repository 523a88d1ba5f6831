"""Riders: what they hold, when and where they board, and what goes wrong in their hands.

A rider is a plan made from a seed; the bus carries it out. The shares of media and categories are those of a city on its
way to cashless payment; they are assumptions of the simulation and no statistics of any place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from simulator.city import STOPS_PER_LINE

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

_Choice = TypeVar("_Choice")

ADULT, PUPIL, STUDENT, PENSIONER, FREE = 1, 2, 3, 4, 5

_MEDIA = {"transport_card": 48, "bank_card": 24, "qr": 11, "sms": 4, "cash": 13}
_CATEGORIES = {ADULT: 60, PUPIL: 15, STUDENT: 10, PENSIONER: 10, FREE: 5}
_MISHAPS = {
    "transport_card": {"": 925, "torn": 40, "two_cards": 10, "empty_purse": 10, "denied": 10, "foreign": 5},
    "bank_card": {"": 960, "torn": 25, "denied": 15},
    "qr": {"": 960, "screenshot": 25, "unknown": 15},
    "sms": {"": 1},
    "cash": {"": 1},
}
# Boardings by hour of local time, in parts: two peaks and a quiet middle.
_HOURS = {
    6: 4,
    7: 14,
    8: 16,
    9: 8,
    10: 5,
    11: 4,
    12: 5,
    13: 5,
    14: 5,
    15: 6,
    16: 8,
    17: 14,
    18: 15,
    19: 9,
    20: 5,
    21: 3,
}


@dataclass(frozen=True)
class Boarding:
    """A rider waits at a stop for the next bus of a line.

    Attributes:
        minute: of the day, local time.
        stop: number of the stop.
        mishap: what goes wrong at the first try, or nothing.
    """

    minute: int
    line: int
    stop: int
    mishap: str


@dataclass(frozen=True)
class Rider:
    """Somebody with one medium and a day's boardings.

    Attributes:
        number: from 1; everything the rider holds is derived from it.
        medium: `transport_card`, `bank_card`, `qr`, `sms` or `cash`.
        category: who the rider is to the tariff.
        trouble: `denied`, `foreign`, `empty_purse`, `unknown` or nothing: what is wrong with the medium all day.
    """

    number: int
    medium: str
    category: int
    trouble: str
    boardings: tuple[Boarding, ...]


def draw_riders(chance: random.Random, count: int, lines: Sequence[int], hours: tuple[int, int]) -> list[Rider]:
    """Return the riders of a day whose boardings lie between two hours of local time."""
    return [_draw_rider(chance, number, lines, hours) for number in range(1, count + 1)]


def _draw_rider(chance: random.Random, number: int, lines: Sequence[int], hours: tuple[int, int]) -> Rider:
    medium = _pick(chance, _MEDIA)
    mishap = _pick(chance, _MISHAPS[medium])
    trouble = mishap if mishap in {"denied", "foreign", "empty_purse", "unknown"} else ""
    category = _pick(chance, _CATEGORIES) if medium == "transport_card" else ADULT
    minutes = sorted(_draw_minute(chance, hours) for _ in range(chance.choice((1, 2, 2, 2, 3))))
    boardings = tuple(
        _draw_boarding(chance, minute, lines, mishap if index == 0 and not trouble else "")
        for index, minute in enumerate(minutes)
    )
    return Rider(number, medium, category, trouble, boardings)


def _draw_boarding(chance: random.Random, minute: int, lines: Sequence[int], mishap: str) -> Boarding:
    line = chance.choice(lines)
    return Boarding(minute, line, line * 100 + chance.randrange(STOPS_PER_LINE), mishap)


def _draw_minute(chance: random.Random, hours: tuple[int, int]) -> int:
    open_hours = {hour: parts for hour, parts in _HOURS.items() if hours[0] <= hour < hours[1]}
    return _pick(chance, open_hours) * 60 + chance.randrange(60)


def _pick(chance: random.Random, parts: dict[_Choice, int]) -> _Choice:
    return chance.choices(list(parts), list(parts.values()))[0]
