"""Matching loses nothing, counts nothing twice, and does not depend on the order in which it is told."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from clearing.reconciliation.causes import CAUSES
from clearing.reconciliation.matching import (
    ASKED,
    CATEGORIES,
    GIVEN_BACK,
    PAID,
    REFUSED,
    Item,
    Policy,
    StoredLine,
    match,
)

_DAYS = st.sampled_from(["2024-05-14", "2024-05-15", "2024-05-16"])
_REFERENCES = st.sampled_from(["", "A", "B", "C", "D"])
_ITEMS = st.lists(
    st.builds(
        Item,
        _REFERENCES.filter(bool),
        st.sampled_from([0, 100, 200]),
        _DAYS,
        st.sampled_from([PAID, REFUSED, GIVEN_BACK, ASKED]),
        _DAYS,
    ),
    max_size=5,
    unique_by=lambda item: item.reference,
)
_LINES = st.lists(
    st.tuples(
        _REFERENCES,
        st.sampled_from(["settled", "declined", "refunded", "unknown"]),
        st.sampled_from([0, 100, 200]),
        _DAYS,
        st.sampled_from(["", "R", "S"]),
    ),
    max_size=8,
)


@given(_ITEMS, _LINES, st.integers(0, 1000))
def test_every_item_is_there_once_and_the_order_does_not_matter(
    items: list[Item], told: list[tuple[str, str, int, str, str]], seed: int
) -> None:
    lines = [
        StoredLine((1, number), reference, state, amount, day, "", own)
        for number, (reference, state, amount, day, own) in enumerate(told, 1)
    ]
    policy = Policy("2024-05-16", frozenset({"2024-05-14"}))
    outcomes = match(items, lines, policy)
    assert sorted(each.item.reference for each in outcomes if each.item) == sorted(item.reference for item in items)
    places = [each.line.place for each in outcomes if each.line]
    assert len(places) == len(set(places))
    assert all(each.category in CATEGORIES and (not each.cause or each.cause in CAUSES) for each in outcomes)
    shuffled = random.Random(seed)
    assert match(shuffled.sample(items, len(items)), shuffled.sample(lines, len(lines)), policy) == outcomes
