"""What the rider sees and hears."""

from __future__ import annotations

from firmware.feedback import Feedback
from tests.firmware.bench_board import BenchBoard


def told(action: str, *arguments: object) -> list[str]:
    board = BenchBoard()
    getattr(Feedback(board), action)(*arguments)
    return board.told


def test_a_paid_ride_is_green_with_number_fare_and_balance() -> None:
    assert told("accepted", 7, 12_000, 88_000) == ["show ok 7 12000 88000", "light green", "beep ok"]
    assert told("accepted", 7, 0, None) == ["show ok 7 0 -", "light green", "beep ok"]
    assert told("accepted", 7, 12_000, 0) == ["show ok 7 12000 0", "light green", "beep ok"]


def test_a_ride_that_was_paid_a_moment_ago_is_amber() -> None:
    assert told("again", 7, 12_000, 88_000) == ["show again 7 12000 88000", "light amber", "beep ok"]


def test_a_free_ride_is_green() -> None:
    assert told("free") == ["show free", "light green", "beep ok"]


def test_a_refusal_is_red_with_its_reason() -> None:
    assert told("refused", 3) == ["show refused 3", "light red", "beep refused"]
