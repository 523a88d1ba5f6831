"""What a package changes: for any two sets of tariffs, the changes are exactly the days and media whose price differs."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clearing.network.difference import CityState, changes, state_of
from clearing.network.package import Price, package_folder, read_package

_FIRST = date(2024, 2, 25)
_DAYS = 12
_PACKAGE = read_package(package_folder("almaty"))


def _day(number: int) -> str:
    return (_FIRST + timedelta(number)).isoformat()


@st.composite
def _tariffs(draw: st.DrawFn) -> tuple[Price, ...]:
    """Tariffs one after the other, some with a gap between them, the last one perhaps without an end."""
    cuts = sorted(draw(st.sets(st.integers(0, _DAYS), min_size=2, max_size=6)))
    prices = []
    for first, end in pairwise(cuts):
        if draw(st.booleans()) or end == cuts[-1]:
            last = None if end == cuts[-1] and draw(st.booleans()) else _day(end - 1)
            fares = draw(st.dictionaries(st.sampled_from(["qr", "cash"]), st.integers(1, 2), min_size=1))
            prices += [Price(_day(first), last, medium, 1, fare, "x") for medium, fare in fares.items()]
    return tuple(prices)


def _on(prices: tuple[Price, ...], day: str) -> dict[str, int]:
    return {each.medium: each.fare_minor for each in prices if each.valid_from <= day <= (each.valid_until or day)}


def _state(prices: tuple[Price, ...]) -> CityState:
    return dataclasses.replace(state_of(_PACKAGE), prices=prices)


@given(_tariffs(), _tariffs())
def test_changes_of_prices_are_the_days_on_which_a_price_differs(
    before: tuple[Price, ...], after: tuple[Price, ...]
) -> None:
    found = changes(_state(before), _state(after))
    assert all(change.about == "tariff" and change.is_money for change in found)
    for number in range(-1, _DAYS + 2):
        day = _day(number)
        old, new = _on(before, day), _on(after, day)
        for medium in ("qr", "cash"):
            said = [
                (change.before_minor, change.after_minor)
                for change in found
                if medium in change.text and (change.since or day) <= day <= (change.until or day)
            ]
            differs = old.get(medium) != new.get(medium)
            assert said == ([(old.get(medium), new.get(medium))] if differs else [])


@given(_tariffs(), _tariffs())
def test_to_go_back_is_the_same_changes_turned_round(before: tuple[Price, ...], after: tuple[Price, ...]) -> None:
    there = {
        (each.since, each.until, each.before_minor, each.after_minor) for each in changes(_state(before), _state(after))
    }
    back = {
        (each.since, each.until, each.after_minor, each.before_minor) for each in changes(_state(after), _state(before))
    }
    assert there == back
