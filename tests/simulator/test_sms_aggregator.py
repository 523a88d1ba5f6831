from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from simulator.counterparties.sms_aggregator import Habits, SmsAggregator
from simulator.world import World
from tests.builders import NOW_MS

if TYPE_CHECKING:
    from tests.simulator.street import Office

_seeds = itertools.count(100)
_DAY_MS = 86_400_000
PUNCTUAL = Habits((0, 1), 0, 0)


def _play(office: Office, habits: Habits, texts: list[str], at_ms: int) -> SmsAggregator:
    world = World(next(_seeds), at_ms)
    aggregator = SmsAggregator(world, office.service, habits)
    for number, text in enumerate(texts):
        aggregator.send(f"+7000{at_ms // _DAY_MS:05d}{number:02d}", text)
        world.now_ms += 60_000
    while (next_ms := world.next_event_ms()) is not None:
        office.clock.set(next_ms)
        world.run_next()
    return aggregator


def test_a_message_with_a_vehicles_code_is_paid(office: Office) -> None:
    aggregator = _play(office, PUNCTUAL, ["A-101", "a 102"], NOW_MS)
    assert (aggregator.sent, aggregator.posts) == (2, 2)
    assert list(aggregator.paid.values()) == [10_000, 10_000]


def test_what_names_no_vehicle_is_not_paid(office: Office) -> None:
    aggregator = _play(office, PUNCTUAL, ["сәлем"], NOW_MS + _DAY_MS)
    assert aggregator.posts == 1
    assert aggregator.paid == {}


def test_a_message_that_is_posted_again_and_again_is_paid_once(office: Office) -> None:
    at_ms = NOW_MS + 2 * _DAY_MS
    habits = Habits((0, 90_000), send_twice=0.4, lose_answer=0.4)
    aggregator = _play(office, habits, [f"A-1{number:02d}" for number in range(1, 9)], at_ms)
    assert aggregator.posts > aggregator.sent == 8
    assert len(aggregator.paid) == 8
