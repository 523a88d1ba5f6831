"""The smaller rules of acquiring: windows, tries, references, and what flows in the books."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.acquiring.flows import Change, Position, entry_for, flows_of
from clearing.acquiring.reference import reference_of, token_instead
from clearing.acquiring.tries import MERCHANT, PAUSE_MS, TAP, is_over, may_try, planned_ms
from clearing.acquiring.windows import window_of
from clearing.network.parties import Acquirer, Debt, Names, Window
from clearing.network.service_day import day_end_s, day_start_s
from tests.builders import CITY, DAY, NOW_S, make_token

ZONE = "Asia/Almaty"
DAY_MS = 86_400_000
DEBT = Debt()


def terms(**window: Any) -> Acquirer:  # noqa: ANN401
    return Acquirer(code="bank", names=Names(kk="банк", ru="банк", en="bank"), window=Window(**window))


def test_by_default_a_window_is_the_service_day() -> None:
    window = window_of(terms(), ZONE, NOW_S)
    assert (window.start_s, window.end_s, window.day) == (day_start_s(ZONE, DAY), day_end_s(ZONE, DAY), DAY)
    assert window.due_s == window.end_s


def test_a_window_may_span_midnight_and_is_due_when_its_last_day_is_over() -> None:
    window = window_of(terms(begins="18:00", hours=12), ZONE, day_start_s(ZONE, "2024-05-16") - 60)
    assert (window.day, window.end_s - window.start_s) == (DAY, 12 * 3600)
    assert window.due_s == day_end_s(ZONE, "2024-05-16"), "it ends at six, in the next service day"


def test_the_money_is_asked_for_after_the_agreed_wait() -> None:
    agreed = terms().model_copy(update={"authorise_after_minutes": 90})
    assert window_of(agreed, ZONE, NOW_S).due_s == day_end_s(ZONE, DAY) + 5400


@given(
    st.integers(0, 4_102_444_800),
    st.sampled_from(["00:00", "03:00", "12:00", "17:45", "23:59"]),
    st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]),
)
def test_every_moment_is_in_exactly_one_window(at_s: int, begins: str, hours: int) -> None:
    agreed = terms(begins=begins, hours=hours)
    window = window_of(agreed, ZONE, at_s)
    assert window.start_s <= at_s < window.end_s
    assert window_of(agreed, ZONE, window.end_s).start_s >= window.end_s
    assert window.due_s >= window.end_s


def test_when_the_clocks_were_put_back_no_moment_fell_between_two_windows() -> None:
    """Almaty went from UTC+6 to UTC+5 at midnight of 1 March 2024; the hour before it came twice."""
    agreed = terms(begins="00:00", hours=1)
    midnight_s = 1_709_229_600
    starts = [window_of(agreed, ZONE, at_s).start_s for at_s in range(midnight_s - 7200, midnight_s + 10_800, 600)]
    assert starts == sorted(starts)
    assert max(after - before for before, after in pairwise(starts)) == 7200, "the hour that came twice is one window"


def test_six_tries_lie_within_fourteen_days_ever_farther_apart() -> None:
    planned = [planned_ms(DEBT, 0, tries) for tries in range(7)]
    times = [each for each in planned if each is not None]
    assert (len(times), planned[6]) == (6, None)
    gaps = [after - before for before, after in pairwise([0, *times])]
    assert gaps == sorted(gaps)
    assert times[-1] == 13 * DAY_MS


def test_a_try_is_planned_or_caused_by_a_tap_and_never_after_the_last_day() -> None:
    first = planned_ms(DEBT, 0, 0)
    assert first is not None
    assert may_try(DEBT, 0, 0, 0, first - 1, tapped=False) is None
    assert may_try(DEBT, 0, 0, 0, first, tapped=False) == MERCHANT
    assert may_try(DEBT, 0, 0, 0, PAUSE_MS, tapped=True) == TAP
    assert may_try(DEBT, 0, 0, 0, PAUSE_MS - 1, tapped=True) is None
    assert may_try(DEBT, 0, 5, 0, 14 * DAY_MS + 1, tapped=True) is None
    assert may_try(DEBT, 0, 6, 0, 10 * DAY_MS, tapped=True) is None
    assert not is_over(DEBT, 0, 5, 14 * DAY_MS)
    assert is_over(DEBT, 0, 5, 14 * DAY_MS + 1)
    assert planned_ms(Debt(tries=0), 0, 0) is None


def test_a_reference_follows_from_what_is_asked_and_from_nothing_else() -> None:
    asked = ("capture", CITY, make_token(1), DAY, NOW_S, 1)
    assert reference_of(*asked) == reference_of(*asked) == "C20240515-" + reference_of(*asked)[10:]
    others: list[tuple[str, str, bytes, str, int, int]] = [
        ("authorise", *asked[1:]),
        (asked[0], "shymkent", *asked[2:]),
        (*asked[:2], make_token(2), *asked[3:]),
        (*asked[:4], NOW_S + 1, 1),
        (*asked[:5], 2),
    ]
    assert len({reference_of(*each) for each in [asked, *others]}) == 6
    assert make_token(1).hex()[:8] not in reference_of(*asked).lower()
    assert token_instead("a/1/1") != token_instead("a/1/2")


BEARER = {"expense:losses:almaty": 100}


@pytest.mark.parametrize(
    ("before", "after", "flows"),
    [
        (Position(), Position(owed_minor=100), {"declined": ("asset:debt:almaty", 100)}),
        (Position(owed_minor=100), Position(), {"recovered": ("asset:debt:almaty", -100)}),
        (
            Position(owed_minor=100),
            Position(owed_minor=100, borne=BEARER),
            {"written-off": ("expense:losses:almaty", 100)},
        ),
        (
            Position(owed_minor=100, borne=BEARER),
            Position(),
            {"recovered": ("asset:debt:almaty", -100), "written-off-undone": ("expense:losses:almaty", -100)},
        ),
        (Position(), Position(let_off_minor=100), {"refunded": ("expense:losses:almaty", 100)}),
        (Position(), Position(disputed_minor=100), {"charged-back": ("asset:chargeback:almaty:bank", 100)}),
        (Position(disputed_minor=100), Position(), {"chargeback-won": ("asset:chargeback:almaty:bank", -100)}),
        (
            Position(disputed_minor=100),
            Position(disputed_minor=100, lost_minor=100),
            {"lost": ("expense:losses:almaty", 100)},
        ),
        (Position(), Position(settled_minor=100, fee_minor=2), {"settled": ("asset:bank:almaty", 98)}),
    ],
)
def test_each_change_of_a_charge_flows_under_its_name(
    before: Position, after: Position, flows: dict[str, tuple[str, int]]
) -> None:
    found = flows_of(CITY, lambda _: "bank", [Change(DAY, before, after)])
    assert {name for _, name in found} == set(flows)
    for name, (account, minor) in flows.items():
        assert found[DAY, name][account] == minor
        entry = entry_for(CITY, DAY, name, 1, found[DAY, name])
        assert entry is not None, "it has two legs at least, and they balance"
        assert entry.entry_key == f"acquiring/{CITY}/{DAY}/{name}/1"


AMOUNTS = st.integers(0, 10**9)


@given(st.lists(st.builds(Position, AMOUNTS, st.just({}), AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS), min_size=2))
def test_all_steps_together_book_what_the_last_one_says(steps: list[Position]) -> None:
    def total(changes: list[Change]) -> dict[str, int]:
        sums: dict[str, int] = {}
        for change in changes:
            for legs in flows_of(CITY, lambda _: "", [change]).values():
                for account, minor in legs.items():
                    sums[account] = sums.get(account, 0) + minor
        return {account: minor for account, minor in sums.items() if minor}

    walked = total([Change(DAY, before, after) for before, after in pairwise(steps)])
    assert walked == total([Change(DAY, steps[0], steps[-1])])
