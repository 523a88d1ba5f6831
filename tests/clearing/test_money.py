from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.money import format_minor, parse_minor, percent, split_minor


@pytest.mark.parametrize(
    ("amount_minor", "text"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (12_000, "120.00"), (-12_345, "-123.45")]
)
def test_an_amount_is_written_in_tenge(amount_minor: int, text: str) -> None:
    assert format_minor(amount_minor) == text


@pytest.mark.parametrize(("text", "amount_minor"), [("120", 12_000), ("120.5", 12_050), ("-0,05", -5), (" 7 ", 700)])
def test_an_amount_is_read_as_people_write_it(text: str, amount_minor: int) -> None:
    assert parse_minor(text) == amount_minor


@pytest.mark.parametrize("text", ["", "1.234", "1e3", "one", "--1", "1 000", "٣"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        parse_minor(text)


@given(st.integers(-(10**15), 10**15))
def test_every_amount_survives_being_written_and_read(amount_minor: int) -> None:
    assert parse_minor(format_minor(amount_minor)) == amount_minor


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 10**6), min_size=1).filter(any))
def test_a_split_loses_nothing_and_is_fair_to_a_tiyn(amount_minor: int, weights: list[int]) -> None:
    parts = split_minor(amount_minor, weights)
    assert sum(parts) == amount_minor
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - amount_minor * weight) < sum(weights)


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1, 3]])
def test_a_split_without_a_share_is_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        split_minor(100, weights)


def test_left_over_tiyn_go_to_the_largest_remainders() -> None:
    assert split_minor(100, [1, 1, 1]) == [34, 33, 33]
    assert split_minor(-100, [1, 1, 1]) == [-34, -33, -33]
    assert split_minor(10, [1, 5]) == [2, 8]


def test_per_cent_has_two_decimals_and_none_without_a_whole() -> None:
    assert percent(87, 100) == Decimal("87.00")
    assert percent(1, 3) == Decimal("33.33")
    assert percent(1, 0) is None
