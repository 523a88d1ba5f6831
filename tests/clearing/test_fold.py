"""The rules that need the rides before: transfers, caps, quotas, passes, groups, zones."""

from __future__ import annotations

from typing import Any

import pytest

from clearing.pricing.walk import Before
from protocol.tap import PRODUCT_FREE_DAY, PRODUCT_GROUP, PRODUCT_QUOTA, PRODUCT_TRANSFER
from tests.builders import DAY, make_token
from tests.clearing.tariff_day import (
    BANK,
    CARD,
    CASH,
    FREE,
    PRICES,
    PUPIL,
    SMS,
    START_S,
    STUDENT,
    TRANSFER,
    charged,
    price,
    ride,
    tariff,
)

_CAP = {"period": "day", "amount_minor": 25_000}
_NEXT_DAY = "2024-05-16"


def test_the_window_of_a_transfer_begins_at_the_last_paid_ride() -> None:
    """The ride before is near enough each time; what counts is the one that was paid. LAG gives the third ride away."""
    rides = [ride(minute, 0, medium=BANK, product=PRODUCT_TRANSFER) for minute in (0, 20, 40, 60, 80)]
    told = price(rides, tariff(transfer={"within_s": 1800, "rides": 9, "fare_minor": 0}))
    assert charged(told) == [
        (10_000, "tariff"),
        (0, "transfer"),
        (10_000, "tariff"),
        (0, "transfer"),
        (10_000, "tariff"),
    ]
    assert [each.earlier_key for each in told] == [None, "tap/00000001", None, "tap/00002401", None]
    assert [each.journey_key for each in told] == [f"tap/{key:08d}" for key in (1, 1, 2401, 2401, 4801)]


def test_so_many_rides_and_no_more_are_transfers() -> None:
    rides = [ride(minute) for minute in (0, 5, 10, 15, 20)]
    told = price(rides, tariff(transfer={"within_s": 1800, "rides": 2, "fare_minor": 3_000}))
    full, half = (10_000, "tariff"), (3_000, "transfer")
    assert charged(told) == [full, half, half, full, half]
    assert [each.correction_minor for each in told] == [0, 7_000, 7_000, 0, 7_000]
    assert [each.number for each in told] == [0, 1, 2, 0, 1]


@pytest.mark.parametrize(("minute", "reason"), [(30, "transfer"), (30 + 1 / 60, "tariff")])
def test_a_transfer_ends_with_its_window(minute: float, reason: str) -> None:
    assert price([ride(0), ride(minute)], tariff(**TRANSFER))[1].rule == reason


def test_a_free_ride_between_neither_opens_a_window_nor_ends_one() -> None:
    rides = [ride(0, 0, category=FREE), ride(5), ride(10, 0, category=FREE), ride(20)]
    told = price(rides, tariff(**TRANSFER))
    assert charged(told) == [(0, "tariff"), (10_000, "tariff"), (0, "tariff"), (0, "transfer")]


@pytest.mark.parametrize(
    ("bounds", "reasons"),
    [
        ({"same_carrier": True}, ["tariff", "tariff", "tariff"]),
        ({"other_line": True}, ["tariff", "transfer", "tariff"]),
        ({"media": [BANK]}, ["tariff", "tariff", "tariff"]),
        ({"categories": [PUPIL]}, ["tariff", "tariff", "tariff"]),
        ({"media": [CARD], "categories": [1]}, ["tariff", "transfer", "tariff"]),
    ],
)
def test_a_transfer_may_be_narrowed(bounds: dict[str, Any], reasons: list[str]) -> None:
    rides = [ride(0), ride(10, carrier="medeu", line=2), ride(50, line=2)]
    told = price(rides, tariff(transfer={"within_s": 1800, "rides": 1, "fare_minor": 0} | bounds))
    assert [each.rule for each in told] == reasons


def test_a_cap_lets_a_rider_pay_no_more_than_what_is_left_of_it() -> None:
    told = price([ride(60 * hour) for hour in range(5)], tariff(cap=[_CAP]))
    assert charged(told) == [(10_000, "tariff")] * 2 + [(5_000, "cap"), (0, "cap"), (0, "cap")]
    assert [each.correction_minor for each in told] == [0, 0, 5_000, 10_000, 10_000]


def test_a_ride_that_the_cap_made_free_opens_no_window_and_transfers_do_not_fill_the_cap() -> None:
    """Two rules at once: min(S, cap) - min(S-1, cap) over the fares by the tariff would charge the fourth ride nothing."""
    rides = [ride(minute) for minute in (0, 10, 60, 70, 120, 130, 180)]
    told = price(rides, tariff(cap=[_CAP], **TRANSFER))
    free = (0, "transfer")
    assert charged(told) == [(10_000, "tariff"), free, (10_000, "tariff"), free, (5_000, "cap"), free, (0, "cap")]


def test_caps_of_media_and_categories_are_counted_apart() -> None:
    caps = [_CAP | {"media": [BANK]}, {"period": "day", "amount_minor": 8_000, "categories": [PUPIL]}]
    bank = price([ride(60 * hour, medium=BANK) for hour in range(3)], tariff(cap=caps))
    assert charged(bank) == [(10_000, "tariff")] * 2 + [(5_000, "cap")]
    assert [each.correction_minor for each in bank] == [0, 0, 5_000]
    pupil = price([ride(60 * hour, 5_000, category=PUPIL) for hour in range(3)], tariff(cap=caps))
    assert charged(pupil) == [(5_000, "tariff"), (3_000, "cap"), (0, "cap")]


@pytest.mark.parametrize(
    ("period", "day", "left_minor"),
    [
        ("week", "2024-05-13", 4_000),
        ("week", "2024-05-12", 10_000),
        ("month", "2024-05-01", 4_000),
        ("month", "2024-04-30", 10_000),
    ],
)
def test_a_cap_of_a_week_or_month_counts_what_its_days_have_cost(period: str, day: str, left_minor: int) -> None:
    before = [Before(make_token(1), day, CARD, 1, "", "", None, 0, 21_000, "tariff")]
    (told,) = price([ride(0)], tariff(cap=[{"period": period, "amount_minor": 25_000}]), before=before)
    assert told.charged_minor == left_minor


def test_a_transfer_goes_on_over_the_end_of_a_service_day() -> None:
    before = Before(make_token(1), "2024-05-14", CARD, 1, "alatau", "A-1", 1, START_S - 600, 10_000, "tariff", "tap/1")
    rides = [ride(5), ride(25)]
    assert charged(price(rides, tariff(**TRANSFER), before=[before])) == [(0, "transfer"), (10_000, "tariff")]
    went_on = before._replace(rule="transfer", charged_minor=0, at_s=START_S - 60, key="tap/2", journey_key="tap/1")
    told = price(rides, tariff(**TRANSFER), before=[went_on, before])
    assert charged(told) == [(10_000, "tariff"), (0, "transfer")], "its one transfer was used up before"
    free = price([ride(5)], tariff(transfer={"within_s": 1800, "rides": 2, "fare_minor": 0}), before=[went_on, before])
    assert (free[0].rule, free[0].journey_key, free[0].number) == ("transfer", "tap/1", 2)


def test_two_free_rides_a_day_and_then_the_fare() -> None:
    """As in Atyrau. The bus knows its own rides only; by account the student pays from the third on, whatever buses believed."""
    rides = [ride(60 * hour, 0, medium=BANK, category=STUDENT, product=PRODUCT_QUOTA) for hour in range(4)]
    told = price(
        [*rides, ride(24 * 60 + 1, 0, medium=BANK, category=STUDENT)],
        tariff(quotas={"3": 2}),
        tariff(_NEXT_DAY, quotas={"3": 2}),
    )
    assert charged(told) == [(0, "quota"), (0, "quota"), (5_000, "tariff"), (5_000, "tariff"), (0, "quota")]
    assert [each.number for each in told] == [1, 2, 0, 0, 1]


def test_what_a_purse_did_not_pay_on_the_bus_is_never_taken_later() -> None:
    rides = [ride(60 * hour, 0, category=STUDENT, product=PRODUCT_QUOTA) for hour in range(3)]
    told = price(rides, tariff(quotas={"3": 2}))
    assert charged(told) == [(0, "quota")] * 3
    assert [each.due_minor for each in told] == [0, 0, 5_000]


def test_what_a_purse_paid_too_much_is_given_back() -> None:
    told = price([ride(60 * hour, 5_000, category=STUDENT) for hour in range(3)], tariff(quotas={"3": 2}))
    assert [(each.charged_minor, each.correction_minor) for each in told] == [(0, 5_000), (0, 5_000), (5_000, 0)]


def test_a_bus_is_believed_where_clearing_has_no_rule_of_its_own() -> None:
    for product, reason in ((PRODUCT_TRANSFER, "transfer"), (PRODUCT_QUOTA, "quota"), (PRODUCT_FREE_DAY, "free_day")):
        (told,) = price([ride(0, 0, medium=BANK, product=product)], tariff())
        assert (told.charged_minor, told.rule) == (0, reason)


def test_an_older_fare_table_stays_in_the_riders_favour_by_account_as_well() -> None:
    assert charged(price([ride(0, 8_000, medium=BANK)], tariff(**TRANSFER))) == [(8_000, "charged_less")]


def test_every_ride_is_free_on_a_free_day() -> None:
    told = price(
        [
            ride(0),
            ride(60, 0, medium=BANK, product=PRODUCT_FREE_DAY),
            ride(70, card=None, medium=CASH, taken_minor=20_000),
        ],
        tariff(free_days=[DAY]),
    )
    assert charged(told) == [(0, "free_day")] * 3
    assert [each.correction_minor for each in told] == [10_000, 0, 20_000]


def test_a_pass_rides_on_its_media_only() -> None:
    names = {"kk": "Ай", "ru": "Месяц", "en": "Month"}
    passes: dict[str, Any] = {
        "pass": [{"product": 100, "names": names, "period": "month", "price_minor": 990_000, "media": [CARD]}]
    }
    told = price([ride(0, 0, product=100), ride(1, 10_000, medium=BANK, product=100)], tariff(**passes))
    assert charged(told) == [(0, "pass"), (10_000, "tariff")]


def test_a_second_charge_on_the_same_vehicle_is_the_first_one_again() -> None:
    rides = [ride(minute, vehicle="A-1") for minute in (0, 0.5, 0.9, 2)]
    told = price(rides, tariff(same_vehicle_s=60))
    assert charged(told) == [(10_000, "tariff"), (0, "same_vehicle"), (0, "same_vehicle"), (10_000, "tariff")]
    assert [each.journey_key for each in told[:3]] == ["tap/00000001"] * 3
    assert charged(price([ride(0), ride(0.5)], tariff(same_vehicle_s=60))) == [(10_000, "tariff")] * 2


def test_one_medium_pays_for_a_group_which_transfers_together() -> None:
    rules = {"group": {"riders_max": 4}, **TRANSFER}
    rides = [ride(0, 30_000, product=PRODUCT_GROUP + 3), ride(10, 40_000, product=PRODUCT_GROUP + 4)]
    told = price(rides, tariff(**rules))
    assert [(each.charged_minor, each.rule, each.riders) for each in told] == [
        (30_000, "tariff", 3),
        (10_000, "transfer", 4),
    ]
    assert told[1].correction_minor == 30_000
    many = price([ride(0, 90_000, product=PRODUCT_GROUP + 9)], tariff(**rules))
    assert (many[0].charged_minor, many[0].riders, many[0].correction_minor) == (40_000, 4, 50_000)
    assert price([ride(0, 30_000, product=PRODUCT_GROUP + 3)], tariff())[0].charged_minor == 10_000


def test_a_group_has_no_part_in_the_caps_of_its_holder() -> None:
    rides = [ride(0, 30_000, product=PRODUCT_GROUP + 3), ride(60), ride(120), ride(180)]
    told = price(rides, tariff(group={"riders_max": 4}, cap=[_CAP]))
    assert [each.charged_minor for each in told] == [30_000, 10_000, 10_000, 5_000]


_ZONES = {
    "order": ["A", "B", "C"],
    "stops": {"A": [1, 2], "B": [3], "C": [4]},
    "lines": [301],
    "fares_minor": {"1": [11_000, 15_000, 20_000], "2": [5_000, 7_000, 10_000]},
    "pairs": [{"zones": ["C", "A"], "fares_minor": {"1": 18_000}}],
}


@pytest.mark.parametrize(
    ("category", "stop", "off_stop", "fare_minor"),
    [
        (1, 1, 2, 11_000),
        (1, 1, 3, 15_000),
        (1, 4, 2, 18_000),
        (2, 1, 4, 10_000),
        (1, 2, None, 18_000),
        (1, 99, 3, 18_000),
    ],
)
def test_a_fare_by_zones_is_that_of_the_way(category: int, stop: int, off_stop: int | None, fare_minor: int) -> None:
    rules = tariff(zones=_ZONES, tap_off={"media": [BANK], "within_s": 7200}, prices=PRICES | {(BANK, PUPIL): 5_000})
    way = ride(0, 20_000, medium=BANK, category=category, line=301, stop=stop, off_stop=off_stop)
    assert price([way], rules)[0].charged_minor == fare_minor


def test_zones_count_on_their_lines_only() -> None:
    assert price([ride(0, stop=1, off_stop=4)], tariff(zones=_ZONES))[0].charged_minor == 10_000


@pytest.mark.parametrize(
    ("taken_minor", "fare_minor"), [(11_000, 11_000), (15_000, 15_000), (12_000, 12_000), (99_000, 18_000)]
)
def test_without_a_second_tap_what_was_sold_says_how_far(taken_minor: int, fare_minor: int) -> None:
    told = price([ride(0, taken_minor, line=301, stop=1)], tariff(zones=_ZONES))
    assert told[0].charged_minor == fare_minor
    assert told[0].terms.scheduled_minor in {11_000, 15_000, 18_000}


def test_an_amount_that_cannot_be_is_priced_by_the_rules_and_owes_nothing_back() -> None:
    told = price([ride(0), ride(10, 2**62), ride(60, -1)], tariff(**TRANSFER))
    assert charged(told) == [(10_000, "tariff"), (0, "transfer"), (10_000, "implausible")]
    assert [each.correction_minor for each in told] == [0, 0, 0]


def test_media_that_nobody_knows_again_ride_by_themselves() -> None:
    rides = [ride(minute, 20_000, None, medium=CASH) for minute in (0, 1, 2)]
    cap = _CAP | {"amount_minor": 5_000}
    assert charged(price(rides, tariff(cap=[cap], quotas={"1": 1}, **TRANSFER))) == [(20_000, "tariff")] * 3


def test_a_payment_by_a_channel_is_corrected_by_a_refund_only() -> None:
    paid: dict[str, Any] = {
        "source": "sms",
        "device_id": None,
        "epoch": None,
        "sequence": None,
        "medium": SMS,
        "product": None,
    }
    told = price([ride(0, 9_000, **paid), ride(10, 10_000, **paid)], tariff(**TRANSFER))
    assert [(each.charged_minor, each.correction_minor, each.rule) for each in told] == [
        (9_000, 0, "charged_less"),
        (0, 10_000, "transfer"),
    ]


def test_each_day_has_rules_of_its_own() -> None:
    night = [ride(24 * 60 - 10), ride(24 * 60 - 5), ride(24 * 60 + 5)]
    before, after = tariff(**TRANSFER), tariff(_NEXT_DAY)
    assert [each.rule for each in price(night, before, after)] == ["tariff", "transfer", "tariff"]
    assert [each.rule for each in price(night, tariff(), tariff(_NEXT_DAY, **TRANSFER))] == [
        "tariff",
        "tariff",
        "transfer",
    ]
