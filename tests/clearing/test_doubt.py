"""Where a validator was not sure of the time, the rider gets the cheaper of what is possible, the same each time."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from clearing.pricing.facts import doubt_of
from clearing.pricing.orders import ORDERS_MAX, cheapest_order
from protocol.tap import CLOCK_HOLDOVER, CLOCK_INFORMATIVE, CLOCK_SYNCHRONISED, CLOCK_UNKNOWN
from tests.builders import DAY
from tests.clearing.tariff_day import BANK, CARD, PRICES, PUPIL, TRANSFER, charged, price, ride, tariff

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEAR, _CHEAP = PRICES, {key: fare // 2 for key, fare in PRICES.items()}
_YESTERDAY = "2024-05-14"


@pytest.mark.parametrize(
    ("quality", "is_usable", "is_rebased", "doubt"),
    [
        (CLOCK_SYNCHRONISED, True, False, (0, 0)),
        (CLOCK_INFORMATIVE, True, False, (30, 30)),
        (CLOCK_HOLDOVER, True, False, (300, 300)),
        (CLOCK_HOLDOVER, True, True, (0, 0)),
        (CLOCK_UNKNOWN, False, False, (86_400, 0)),
        (CLOCK_SYNCHRONISED, False, False, (86_400, 0)),
        (CLOCK_UNKNOWN, False, True, (0, 0)),
    ],
)
def test_a_clock_is_believed_as_far_as_it_can_be(
    quality: int, is_usable: bool, is_rebased: bool, doubt: tuple[int, int]
) -> None:
    assert doubt_of(quality, is_usable, is_rebased) == doubt


@pytest.mark.parametrize(("minute", "reason"), [(34, "transfer"), (36, "tariff")])
def test_a_window_is_measured_in_the_riders_favour(minute: int, reason: str) -> None:
    told = price([ride(0), ride(minute, before_s=300, after_s=300)], tariff(**TRANSFER))
    assert told[1].rule == reason


def test_of_two_days_the_cheaper_tariff_counts() -> None:
    rides = [ride(2, before_s=300, after_s=300), ride(10, before_s=300, after_s=300)]
    told = price(rides, tariff(_YESTERDAY, _CHEAP), tariff(DAY, _DEAR))
    assert [(each.charged_minor, each.terms.day) for each in told] == [(5_000, _YESTERDAY), (10_000, DAY)]
    dearer = price(rides, tariff(_YESTERDAY, _DEAR), tariff(DAY, _CHEAP))
    assert [(each.charged_minor, each.terms.day) for each in dearer] == [(5_000, DAY)] * 2
    free = price(rides, tariff(_YESTERDAY, free_days=[_YESTERDAY]), tariff(DAY))
    assert charged(free) == [(0, "free_day"), (10_000, "tariff")]


def test_of_the_orders_that_are_possible_the_rider_gets_the_cheapest() -> None:
    """The dear ride first makes the cheap one its transfer; by the clocks it would be the other way round."""
    cheap = ride(10, 5_000, category=PUPIL, before_s=300, after_s=300)
    dear = ride(12, before_s=300, after_s=300)
    told = price([cheap, dear], tariff(**TRANSFER))
    assert sum(each.charged_minor for each in told) == 5_000
    other_way = price([cheap._replace(at_s=dear.at_s), dear._replace(at_s=cheap.at_s)], tariff(**TRANSFER))
    assert sum(each.charged_minor for each in other_way) == 5_000
    certain = price([dear._replace(at_s=cheap.at_s - 60, before_s=0, after_s=0), cheap], tariff(**TRANSFER))
    assert sum(each.charged_minor for each in certain) == 5_000


def test_one_validators_sequence_is_never_turned_round() -> None:
    place: dict[str, Any] = {"device_id": b"d" * 16, "before_s": 300, "after_s": 300}
    first = ride(10, 10_000, sequence=7, **place)
    second = ride(12, 5_000, sequence=8, category=PUPIL, **place)
    told = price([first, second], tariff(**TRANSFER))
    assert charged(told) == [(10_000, "tariff"), (0, "transfer")]


def test_who_was_certainly_earlier_stays_so() -> None:
    rides = [ride(10, medium=CARD, before_s=300, after_s=300), ride(30, 5_000, category=PUPIL)]
    assert charged(price(rides, tariff(**TRANSFER))) == [(10_000, "tariff"), (0, "transfer")]


def test_equal_rides_have_the_same_fares_in_whatever_order_they_are_given() -> None:
    rides = [ride(minute, medium=BANK, before_s=3600, after_s=3600) for minute in (1, 2, 3, 4)]
    rules = tariff(cap=[{"period": "day", "amount_minor": 15_000}], **TRANSFER)
    once = price(rides, rules)
    for order in permutations(rides):
        assert price(order, rules) == once


def test_a_great_many_doubtful_rides_are_no_burden() -> None:
    """A stolen card on a broken validator: the number of orders that are tried is bounded."""
    tried: list[Sequence[_Placed]] = []
    rides = [ride(minute, before_s=86_400) for minute in range(300)]
    price(rides, tariff(**TRANSFER))
    placed = [_Placed(number) for number in range(9)]

    def total_minor(order: Sequence[_Placed]) -> int:
        tried.append(order)
        return 0

    assert cheapest_order(placed, total_minor) == placed
    assert len(tried) == ORDERS_MAX
    assert tried[0] == placed


class _Placed:
    """Something that may have been at any time of the day."""

    day = 1
    from_s = 0
    to_s = 86_400
    validator = None

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
