"""Lines and items sorted into seven categories."""

from __future__ import annotations

from typing import Any

import pytest

from clearing.reconciliation.causes import CAUSES
from clearing.reconciliation.matching import (
    ASKED,
    DECLINED_ITEM,
    DUPLICATE,
    GIVEN_BACK,
    MATCHED,
    NOT_MATCHED,
    PAID,
    REFUSED,
    UNKNOWN,
    UNSETTLED,
    ZERO_VALUE,
    Item,
    Outcome,
    Policy,
    StoredLine,
    match,
)

DAY = "2024-05-15"
POLICY = Policy("2024-05-17", frozenset({DAY}))


def item(reference: str = "P-1", amount_minor: int = 100, state: str = PAID, day: str = DAY, **more: Any) -> Item:  # noqa: ANN401
    return Item(reference, amount_minor, day, state, "2024-06-15", **more)


def line(
    reference: str = "P-1",
    amount_minor: int = 100,
    state: str = "settled",
    number: int = 1,
    **more: Any,  # noqa: ANN401
) -> StoredLine:
    return StoredLine((1, number), reference, state, amount_minor, more.pop("day", DAY), **more)


def told(items: list[Item], lines: list[StoredLine], policy: Policy = POLICY) -> list[tuple[str, str, int]]:
    return [(each.category, each.cause, each.at_risk_minor) for each in match(items, lines, policy)]


@pytest.mark.parametrize(
    ("items", "lines", "expected"),
    [
        ([item()], [line()], [(MATCHED, "", 0)]),
        ([item()], [line(amount_minor=90)], [(NOT_MATCHED, "amount_differs", -10)]),
        ([item()], [line(state="declined")], [(DECLINED_ITEM, "declined_though_paid", 100)]),
        ([item()], [line(state="refunded")], [(NOT_MATCHED, "refund_not_told", -100)]),
        ([item()], [line(), line(state="refunded", number=2)], [(NOT_MATCHED, "refund_not_told", -100)]),
        ([item()], [line(state="unknown")], [(UNKNOWN, "state_unknown", 100)]),
        ([item()], [], [(UNSETTLED, "left_out", 100)]),
        ([item(state=REFUSED)], [line()], [(NOT_MATCHED, "settled_though_refused", 100)]),
        ([item(state=REFUSED)], [line(), line(state="refunded", number=2)], [(MATCHED, "", 0)]),
        ([item(state=REFUSED)], [line(state="declined")], [(DECLINED_ITEM, "", 0)]),
        ([item(state=REFUSED)], [], [(DECLINED_ITEM, "", 0)]),
        ([item(state=GIVEN_BACK)], [line(), line(state="refunded", number=2)], [(MATCHED, "", 0)]),
        ([item(state=GIVEN_BACK)], [line()], [(NOT_MATCHED, "refund_missing", 100)]),
        ([item(state=GIVEN_BACK)], [], [(DECLINED_ITEM, "", 0)]),
        ([item(state=ASKED)], [line()], [(NOT_MATCHED, "settled_though_unknown", 100)]),
        ([item(state=ASKED)], [], [(UNSETTLED, "", 0)]),
        ([item(amount_minor=0)], [], [(ZERO_VALUE, "", 0)]),
        ([item(amount_minor=0)], [line(amount_minor=0)], [(ZERO_VALUE, "", 0)]),
        ([item(amount_minor=0, state=REFUSED)], [line()], [(NOT_MATCHED, "settled_though_refused", 100)]),
        ([], [line()], [(NOT_MATCHED, "reference_unknown", 100)]),
        ([], [line(state="declined")], [(DECLINED_ITEM, "", 0)]),
        ([], [line(), line(state="refunded", number=2)], [(DECLINED_ITEM, "", 0)]),
        ([], [line(state="unknown")], [(UNKNOWN, "state_unknown", 100)]),
        ([], [line("")], [(UNKNOWN, "no_reference", 100)]),
        ([item()], [line("")], [(MATCHED, "", 0)]),
        ([item()], [line("", day="2024-05-18")], [(UNKNOWN, "no_reference", 100), (UNSETTLED, "left_out", 100)]),
        (
            [item(), item("P-2")],
            [line("")],
            [(UNKNOWN, "ambiguous", 100), (UNSETTLED, "left_out", 100), (UNSETTLED, "left_out", 100)],
        ),
        ([item()], [line(), line(number=2)], [(DUPLICATE, "settled_twice", 100), (MATCHED, "", 0)]),
        ([item()], [line(), line(number=2, amount_minor=7)], [(DUPLICATE, "reference_reused", 7), (MATCHED, "", 0)]),
        ([item()], [line(state="declined"), line(number=2)], [(DUPLICATE, "two_states", 0), (MATCHED, "", 0)]),
        ([item()], [line("P-9", 100)], [(UNSETTLED, "left_out", 100), (NOT_MATCHED, "reference_unknown", 100)]),
        (
            [item(), item("P-2")],
            [line(own_reference="R"), line("P-2", number=2, own_reference="R")],
            [(MATCHED, "", 0), (DUPLICATE, "reference_reused", 100)],
        ),
        (
            [item(kind="capture"), item(kind="refund", amount_minor=-100)],
            [line(kind="capture"), line(kind="refund", amount_minor=-100, number=2)],
            [(MATCHED, "", 0), (MATCHED, "", 0)],
        ),
        (
            [item()],
            [line(), line(state="refunded", amount_minor=60, number=2)],
            [(NOT_MATCHED, "refund_differs", 40)],
        ),
    ],
)
def test_each_item_and_each_line_has_one_category(
    items: list[Item], lines: list[StoredLine], expected: list[tuple[str, str, int]]
) -> None:
    assert sorted(told(items, lines)) == sorted(expected)


def test_what_was_not_told_of_is_no_break_before_it_is_overdue() -> None:
    assert told([item()], [], Policy(DAY, frozenset({DAY}))) == [(UNSETTLED, "", 0)]
    assert told([item()], [], Policy("2024-05-17", frozenset())) == [(UNSETTLED, "", 0)]
    assert told([item()], [], Policy("2024-06-16", frozenset())) == [(UNSETTLED, "overdue", 100)]


def test_every_cause_has_its_meaning_and_what_to_do() -> None:
    outcome = Outcome(MATCHED, "", None, None)
    assert not outcome.is_break
    assert all(len(meaning) > 20 and remedy for meaning, remedy in CAUSES.values())
