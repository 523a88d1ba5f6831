from __future__ import annotations

import random
from collections import Counter

from simulator.city import STOPS_PER_LINE
from simulator.riders import ADULT, FREE, PENSIONER, PUPIL, STUDENT, draw_riders

_LINES = (1, 2, 3)
_COUNT = 6000


def _riders(seed: int = 1, count: int = _COUNT, hours: tuple[int, int] = (6, 22)):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return draw_riders(random.Random(seed), count, _LINES, hours)


def test_the_same_seed_draws_the_same_riders() -> None:
    assert _riders(5, 200) == _riders(5, 200)
    assert _riders(5, 200) != _riders(6, 200)


def test_media_are_shared_out_as_declared() -> None:
    counted = Counter(rider.medium for rider in _riders())
    for medium, percent in {"transport_card": 48, "bank_card": 24, "qr": 11, "sms": 4, "cash": 13}.items():
        assert abs(100 * counted[medium] / _COUNT - percent) < 2, medium
    assert sum(counted.values()) == _COUNT


def test_only_a_transport_card_says_who_its_holder_is() -> None:
    riders = _riders()
    holders = [rider for rider in riders if rider.medium == "transport_card"]
    counted = Counter(rider.category for rider in holders)
    for category, percent in {ADULT: 60, PUPIL: 15, STUDENT: 10, PENSIONER: 10, FREE: 5}.items():
        assert abs(100 * counted[category] / len(holders) - percent) < 3, category
    assert {rider.category for rider in riders if rider.medium != "transport_card"} == {ADULT}


def test_riders_board_within_hours_at_stops_of_their_line_and_mostly_at_the_peaks() -> None:
    boardings = [boarding for rider in _riders() for boarding in rider.boardings]
    assert all(6 * 60 <= boarding.minute < 22 * 60 for boarding in boardings)
    assert all(boarding.line in _LINES for boarding in boardings)
    assert {boarding.stop - boarding.line * 100 for boarding in boardings} == set(range(STOPS_PER_LINE))
    hours = Counter(boarding.minute // 60 for boarding in boardings)
    assert {hour for hour, _ in hours.most_common(4)} == {7, 8, 17, 18}


def test_a_short_day_has_its_boardings_within_its_hours() -> None:
    boardings = [boarding for rider in _riders(hours=(7, 9), count=300) for boarding in rider.boardings]
    assert {boarding.minute // 60 for boarding in boardings} == {7, 8}


def test_riders_come_one_to_three_times_in_the_order_of_the_day() -> None:
    riders = _riders()
    assert {len(rider.boardings) for rider in riders} == {1, 2, 3}
    assert all(list(rider.boardings) == sorted(rider.boardings, key=lambda each: each.minute) for rider in riders)


def test_what_goes_wrong_is_either_the_medium_all_day_or_a_mishap_at_the_first_boarding() -> None:
    riders = _riders()
    assert {rider.trouble for rider in riders} == {"", "denied", "foreign", "empty_purse", "unknown"}
    mishaps = Counter(rider.boardings[0].mishap for rider in riders)
    assert set(mishaps) == {"", "torn", "two_cards", "screenshot"}
    assert all(not boarding.mishap for rider in riders for boarding in rider.boardings[1:])
    assert not any(rider.trouble and rider.boardings[0].mishap for rider in riders)
    cards = [rider for rider in riders if rider.medium == "transport_card"]
    assert abs(100 * sum(rider.boardings[0].mishap == "torn" for rider in cards) / len(cards) - 4) < 1.5
