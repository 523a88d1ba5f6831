"""The decision on a tap: each reason, and which of two reasons counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.decision import MediumFacts, Ride, decide
from protocol.cards.card_layout import SCOPE_LINE, SCOPE_ZONES, Pass
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_DENIED,
    DECISION_EXPIRED,
    DECISION_FARE_TABLE_TOO_OLD,
    DECISION_INSUFFICIENT_FUNDS,
    DECISION_NOT_ALLOWED,
    DECISION_NOT_IN_FARE_TABLE,
)
from protocol.fare_rules import FREE_WHEN_TABLE_EXPIRED, USE_ACCOUNT_ONLY, USE_PASS_FIRST, USE_PURSE_FIRST
from protocol.fare_table import FareTable
from protocol.medium_list import LIST_ALLOW, LIST_DENY, make_list
from protocol.tap import (
    CLOCK_HOLDOVER,
    CLOCK_SYNCHRONISED,
    CLOCK_UNKNOWN,
    MEDIUM_CASH,
    MEDIUM_QR_TICKET,
    MEDIUM_TRANSPORT_CARD,
    PRODUCT_FAULT,
    PRODUCT_FREE_DAY,
    PRODUCT_QUOTA,
    PRODUCT_SINGLE,
    PRODUCT_TRANSFER,
)

if TYPE_CHECKING:
    from typing import Any

NOW_S = 1_715_742_000
TOKEN = b"t" * 16
TABLE = FareTable(1, NOW_S - 100, NOW_S + 100, 1, {MEDIUM_TRANSPORT_CARD: {1: 12_000, 2: 0}, MEDIUM_CASH: {1: 20_000}})
DENIED = make_list(LIST_DENY, 1, NOW_S + 100, [TOKEN])


def card(category: int = 1, balance_minor: int = 50_000, expires_s: int = NOW_S + 1) -> MediumFacts:
    return MediumFacts(MEDIUM_TRANSPORT_CARD, category, TOKEN, balance_minor, expires_s)


def code(facts: MediumFacts, now_s: int = NOW_S, quality: int = CLOCK_SYNCHRONISED) -> int:
    return decide(facts, TABLE, None, now_s, quality).code


def test_the_fare_is_what_the_table_says_for_medium_and_category() -> None:
    for facts, fare_minor in ((card(), 12_000), (card(2, 0), 0), (MediumFacts(MEDIUM_CASH, 1), 20_000)):
        decision = decide(facts, TABLE, None, NOW_S, CLOCK_SYNCHRONISED)
        assert (decision.code, decision.fare_minor) == (DECISION_ACCEPTED, fare_minor)


def test_a_purse_must_hold_the_fare_to_the_last_tiyn() -> None:
    assert code(card(balance_minor=12_000)) == DECISION_ACCEPTED
    short = decide(card(balance_minor=11_999), TABLE, None, NOW_S, CLOCK_SYNCHRONISED)
    assert (short.code, short.fare_minor) == (DECISION_INSUFFICIENT_FUNDS, 12_000)


def test_a_medium_or_category_that_is_not_sold_to() -> None:
    assert code(card(category=3)) == DECISION_NOT_IN_FARE_TABLE
    assert code(MediumFacts(MEDIUM_QR_TICKET, 1, TOKEN)) == DECISION_NOT_IN_FARE_TABLE


def test_a_medium_expires_at_its_second() -> None:
    assert code(card(expires_s=NOW_S + 1)) == DECISION_ACCEPTED
    assert code(card(expires_s=NOW_S)) == DECISION_EXPIRED


def test_the_fare_table_has_a_first_and_a_last_second() -> None:
    for now_s, expected in (
        (NOW_S - 101, DECISION_FARE_TABLE_TOO_OLD),
        (NOW_S - 100, DECISION_ACCEPTED),
        (NOW_S + 99, DECISION_ACCEPTED),
        (NOW_S + 100, DECISION_FARE_TABLE_TOO_OLD),
    ):
        assert code(card(expires_s=NOW_S + 1000), now_s) == expected, now_s


def test_without_a_fare_table_nothing_is_sold() -> None:
    for quality in (CLOCK_UNKNOWN, CLOCK_SYNCHRONISED):
        assert decide(card(), None, None, NOW_S, quality).code == DECISION_FARE_TABLE_TOO_OLD


def test_who_is_denied_is_denied_whatever_else_is_wrong() -> None:
    for facts in (card(), card(balance_minor=0), card(expires_s=0), card(category=3)):
        for table in (TABLE, None):
            assert decide(facts, table, DENIED, NOW_S, CLOCK_UNKNOWN).code == DECISION_DENIED
    other = MediumFacts(MEDIUM_TRANSPORT_CARD, 1, b"u" * 16, 50_000, NOW_S + 1)
    assert decide(other, TABLE, DENIED, NOW_S, CLOCK_SYNCHRONISED).code == DECISION_ACCEPTED
    assert decide(MediumFacts(MEDIUM_CASH, 1), TABLE, DENIED, NOW_S, CLOCK_SYNCHRONISED).code == DECISION_ACCEPTED


def test_a_dead_clock_expires_nothing() -> None:
    assert code(card(expires_s=1), 5, CLOCK_UNKNOWN) == DECISION_ACCEPTED
    assert code(card(expires_s=1), 5, CLOCK_HOLDOVER) == DECISION_EXPIRED


# The rules of a city.

DAY_S = 86_400
MIDDAY_S = 19_858 * DAY_S + 43_200


def ruled(**rules: Any) -> FareTable:  # noqa: ANN401 - the rules by their names
    fares = {MEDIUM_TRANSPORT_CARD: {1: 12_000, 2: 6_000, 5: 0}, MEDIUM_QR_TICKET: {1: 12_000}}
    table = FareTable(1, 0, 2 * MIDDAY_S, 1, fares)
    for name, value in rules.items():
        setattr(table.rules, name, value)
    return table


def held(category: int = 1, balance_minor: int | None = 50_000, **facts: Any) -> MediumFacts:  # noqa: ANN401
    medium = MediumFacts(MEDIUM_TRANSPORT_CARD, category, TOKEN, balance_minor)
    for name, value in facts.items():
        setattr(medium, name, value)
    return medium


def decided(facts: MediumFacts, table: FareTable, now_s: int = MIDDAY_S, line: int = 7) -> tuple[int, int, bool]:
    decision = decide(facts, table, None, now_s, CLOCK_SYNCHRONISED, line)
    assert decision.code == DECISION_ACCEPTED, decision.code
    return decision.fare_minor, decision.product, decision.takes_purse


def paid(before_s: int, product: int = PRODUCT_SINGLE, fare_minor: int = 12_000) -> Ride:
    return Ride(MIDDAY_S - before_s, fare_minor, product)


def test_a_concession_ends_and_its_holder_is_an_adult() -> None:
    for until_s, fare_minor, category in ((MIDDAY_S + 1, 6_000, 2), (MIDDAY_S, 12_000, 1), (None, 6_000, 2)):
        decision = decide(held(2, concession_until_s=until_s), ruled(), None, MIDDAY_S, CLOCK_SYNCHRONISED)
        assert (decision.fare_minor, decision.category) == (fare_minor, category)
    decision = decide(held(2, concession_until_s=1), ruled(), None, MIDDAY_S, CLOCK_UNKNOWN)
    assert decision.category == 2, "a dead clock ends nothing"


def test_on_a_free_day_all_ride_and_the_day_is_the_citys() -> None:
    table = ruled(free_days=[19_858], utc_offset_s=18_000, day_starts_s=10_800)
    starts_s = 19_858 * DAY_S - 18_000 + 10_800
    for now_s, free in (
        (starts_s - 1, False),
        (starts_s, True),
        (starts_s + DAY_S - 1, True),
        (starts_s + DAY_S, False),
    ):
        assert decided(held(), table, now_s) == (
            (0, PRODUCT_FREE_DAY, False) if free else (12_000, PRODUCT_SINGLE, True)
        )


def test_a_daily_quota_counts_the_rides_that_the_card_tells() -> None:
    table = ruled(quotas={2: 2})
    yesterday = Ride(MIDDAY_S - DAY_S, 6_000, PRODUCT_SINGLE)
    first = Ride(MIDDAY_S - 9_000, 0, PRODUCT_QUOTA)
    second = Ride(MIDDAY_S - 5_000, 0, PRODUCT_QUOTA)
    assert decided(held(2, rides=[yesterday]), table) == (0, PRODUCT_QUOTA, False)
    assert decided(held(2, rides=[first, yesterday]), table) == (0, PRODUCT_QUOTA, False)
    assert decided(held(2, rides=[second, first, yesterday]), table) == (6_000, PRODUCT_SINGLE, True)
    assert decided(held(1), table) == (12_000, PRODUCT_SINGLE, True), "another category has none"


def test_the_window_of_transfers_is_that_of_the_last_paid_ride() -> None:
    table = ruled(transfer_s=1800, transfers_max=2)
    transfer, single = (0, PRODUCT_TRANSFER, False), (12_000, PRODUCT_SINGLE, True)
    moved = [paid(600, PRODUCT_TRANSFER, 0), paid(1200, PRODUCT_TRANSFER, 0)]
    for rides, expected in (
        ([], single),
        ([paid(1800)], transfer),
        ([paid(1801)], single),
        ([moved[0], paid(1700)], transfer),
        ([moved[0], paid(1801)], single),
        (moved + [paid(1700)], single),  # noqa: RUF005 - MicroPython cannot unpack into a list
        ([paid(10, PRODUCT_FREE_DAY, 0), paid(20)], single),
        ([paid(-5)], single),
    ):
        assert decided(held(rides=rides), table) == expected, [ride.at_s for ride in rides]


def test_a_transfer_may_cost_something_but_never_more_than_a_ride() -> None:
    assert decided(held(rides=[paid(10)]), ruled(transfer_s=60, transfers_max=1, transfer_fare_minor=5_000))[0] == 5_000
    assert decided(held(2, rides=[paid(10)]), ruled(transfer_s=60, transfers_max=1, transfer_fare_minor=9_000)) == (
        6_000,
        PRODUCT_SINGLE,
        True,
    )


def test_a_city_says_which_of_a_cards_means_pays() -> None:
    month = Pass(100, MIDDAY_S - 1, MIDDAY_S + 1)
    for use, balance_minor, expected in (
        (USE_PURSE_FIRST, 50_000, (12_000, PRODUCT_SINGLE, True)),
        (USE_PURSE_FIRST, 11_999, (0, 100, False)),
        (USE_PASS_FIRST, 50_000, (0, 100, False)),
        (USE_PASS_FIRST, 0, (0, 100, False)),
        (USE_ACCOUNT_ONLY, 0, (12_000, PRODUCT_SINGLE, False)),
    ):
        assert decided(held(balance_minor=balance_minor, passes=[month]), ruled(use=use)) == expected, (
            use,
            balance_minor,
        )


def test_a_pass_has_a_time_a_line_and_trips_and_the_one_that_ends_first_pays() -> None:
    table = ruled(use=USE_PASS_FIRST)
    used_up, one_left = [Pass(100, MIDDAY_S, MIDDAY_S + 1, is_counted=True) for _ in range(2)]
    used_up.trips_left, one_left.trips_left = 0, 1
    for each, is_good in (
        (Pass(100, MIDDAY_S, MIDDAY_S + 1), True),
        (Pass(100, MIDDAY_S + 1, MIDDAY_S + 2), False),
        (Pass(100, MIDDAY_S - 9, MIDDAY_S), False),
        (Pass(100, MIDDAY_S, MIDDAY_S + 1, SCOPE_LINE, 7), True),
        (Pass(100, MIDDAY_S, MIDDAY_S + 1, SCOPE_LINE, 8), False),
        (one_left, True),
        (used_up, False),
    ):
        assert (decided(held(passes=[each]), table)[1] == 100) is is_good
    two = [Pass(100, MIDDAY_S, MIDDAY_S + 100), Pass(101, MIDDAY_S, MIDDAY_S + 50)]
    decision = decide(held(passes=two), table, None, MIDDAY_S, CLOCK_SYNCHRONISED, 7)
    assert (decision.product, decision.pass_index) == (101, 1)


def test_a_pass_for_zones_is_good_at_stops_of_its_zones() -> None:
    table = ruled(use=USE_PASS_FIRST, zones=[[1, 40, 1], [41, 60, 2], [61, 99, 3]])
    of_two_zones = held(passes=[Pass(103, 0, MIDDAY_S + 1, SCOPE_ZONES, 0b110)])
    for stop, product in ((40, PRODUCT_SINGLE), (41, 103), (99, 103), (100, PRODUCT_SINGLE), (None, PRODUCT_SINGLE)):
        decision = decide(of_two_zones, table, None, MIDDAY_S, CLOCK_SYNCHRONISED, 7, None, stop)
        assert decision.product == product, stop
    untold = ruled(use=USE_PASS_FIRST)
    decision = decide(of_two_zones, untold, None, MIDDAY_S, CLOCK_SYNCHRONISED, 7, None, 41)
    assert decision.product == PRODUCT_SINGLE, "a city that says nothing of zones has none"


def test_a_free_ride_spends_no_pass() -> None:
    counted = Pass(100, 0, MIDDAY_S + 1, is_counted=True)
    counted.trips_left = 3
    decision = decide(held(5, passes=[counted]), ruled(use=USE_PASS_FIRST), None, MIDDAY_S, CLOCK_SYNCHRONISED, 7)
    assert (decision.fare_minor, decision.product, decision.pass_index) == (0, PRODUCT_SINGLE, None)


def test_a_dead_clock_gives_nothing_free_by_the_day_or_the_hour() -> None:
    table = ruled(free_days=[0, 19_858], quotas={1: 9}, transfer_s=9_999, transfers_max=9, use=USE_PASS_FIRST)
    facts = held(rides=[paid(1)], passes=[Pass(100, 0, 2 * MIDDAY_S)])
    decision = decide(facts, table, None, MIDDAY_S, CLOCK_UNKNOWN, 7)
    assert (decision.fare_minor, decision.product, decision.takes_purse) == (12_000, PRODUCT_SINGLE, True)


def test_with_an_allow_list_only_those_on_it_ride() -> None:
    table = ruled(allow_listed=[MEDIUM_TRANSPORT_CARD])
    allowed = make_list(LIST_ALLOW, 1, NOW_S, [TOKEN])
    others = make_list(LIST_ALLOW, 1, NOW_S, [b"u" * 16])
    for allow_list, expected in (
        (allowed, DECISION_ACCEPTED),
        (others, DECISION_NOT_ALLOWED),
        (None, DECISION_NOT_ALLOWED),
    ):
        decision = decide(held(), table, None, MIDDAY_S, CLOCK_SYNCHRONISED, 7, allow_list)
        assert decision.code == expected
    ticket = MediumFacts(MEDIUM_QR_TICKET, 1, TOKEN)
    assert decide(ticket, table, None, MIDDAY_S, CLOCK_SYNCHRONISED).code == DECISION_ACCEPTED


def test_a_ride_is_free_when_the_table_is_too_old_and_the_city_says_so() -> None:
    table = ruled(free_when=FREE_WHEN_TABLE_EXPIRED)
    decision = decide(held(), table, None, table.expires_s, CLOCK_SYNCHRONISED)
    assert (decision.code, decision.fare_minor, decision.product) == (DECISION_ACCEPTED, 0, PRODUCT_FAULT)
    assert decide(held(), table, DENIED, table.expires_s, CLOCK_SYNCHRONISED).code == DECISION_DENIED
    table.valid_from_s = MIDDAY_S + 1
    assert decide(held(), table, None, MIDDAY_S, CLOCK_SYNCHRONISED).code == DECISION_FARE_TABLE_TOO_OLD
