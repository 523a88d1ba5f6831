from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.money import as_number
from clearing.pricing.shares import MediumTotal, share_of

_MEDIA = ("bank_card", "cash", "qr", "sms", "transport_card")
_totals = st.lists(
    st.builds(MediumTotal, st.sampled_from(_MEDIA), st.integers(0, 10**6), st.integers(0, 10**12)), max_size=8
)


@pytest.mark.parametrize(
    ("trips_percent", "revenue_percent", "published"), [(87, "76.99", "77.0"), (34, "20.48", "20.5")]
)
def test_the_published_example_of_trips_and_revenue(trips_percent: int, revenue_percent: str, published: str) -> None:
    """At 100 tenge cashless and 200 in cash."""
    cash = 100 - trips_percent
    share = share_of(
        [MediumTotal("transport_card", trips_percent, trips_percent * 10_000), MediumTotal("cash", cash, cash * 20_000)]
    )
    assert share.trips_percent == Decimal(trips_percent)
    assert share.revenue_percent == Decimal(revenue_percent)
    assert f"{share.revenue_percent:.1f}" == published


def test_without_rides_there_is_no_share() -> None:
    share = share_of([])
    assert (share.trips, share.trips_percent, share.revenue_percent) == (0, None, None)
    assert as_number(share.trips_percent) is None


def test_free_rides_are_trips_and_no_revenue() -> None:
    share = share_of([MediumTotal("transport_card", 3, 0), MediumTotal("cash", 1, 20_000)])
    assert (share.trips_percent, share.revenue_percent) == (Decimal(75), Decimal(0))
    free = share_of([MediumTotal("transport_card", 3, 0)])
    assert (free.trips_percent, free.revenue_percent) == (Decimal(100), None)


def test_every_medium_but_cash_is_cashless() -> None:
    share = share_of([MediumTotal(medium, 1, 100) for medium in (*_MEDIA, "other")])
    assert (share.trips, share.trips_cashless) == (6, 5)
    assert as_number(share.trips_percent) == 83.33


@given(_totals)
def test_shares_are_between_nothing_and_all(totals: list[MediumTotal]) -> None:
    share = share_of(totals)
    for part, whole, percent in (
        (share.trips_cashless, share.trips, share.trips_percent),
        (share.revenue_cashless_minor, share.revenue_minor, share.revenue_percent),
    ):
        assert part <= whole
        if percent is None:
            assert whole == 0
        else:
            assert 0 <= percent <= 100
            assert abs(percent * whole - part * 100) <= Decimal("0.005") * whole


@given(_totals, st.data())
def test_a_share_depends_on_neither_order_nor_grouping(totals: list[MediumTotal], data: st.DataObject) -> None:
    halves = [
        MediumTotal(row.medium, part, 0) for row in totals for part in (row.trips // 2, row.trips - row.trips // 2)
    ] + [MediumTotal(row.medium, 0, row.fares_minor) for row in totals]
    assert share_of(data.draw(st.permutations(halves))) == share_of(totals)


@given(_totals, st.integers(1, 1000))
def test_one_more_cash_ride_never_raises_the_share(totals: list[MediumTotal], fare_minor: int) -> None:
    before, after = share_of(totals), share_of([*totals, MediumTotal("cash", 1, fare_minor)])
    assert after.trips_percent is not None
    assert after.revenue_percent is not None
    assert before.trips_percent is None or after.trips_percent <= before.trips_percent
    assert before.revenue_percent is None or after.revenue_percent <= before.revenue_percent
