"""The rules of a dated tariff are read whole or refused with every fault, and buses are told what they can apply."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

import clearing.network.tariff_rules as module
from clearing.fleet.documents import issue_fare_tables
from clearing.network.dated_rules import rules_on, store_tariff_rules
from clearing.network.ride_rules import read_rules
from clearing.network.tariff_rules import Ages, TariffRules, Transfer, offline_rules, read_tariff_rules, with_ride_rules
from protocol.cose import parse
from protocol.fare_table import decode_fare_table
from tests.builders import CITY, NOW_MS

if TYPE_CHECKING:
    from tests.builders import Office


def _documented() -> dict[str, Any]:
    """The example in the module's docstring."""
    text = (module.__doc__ or "").split("\n\n", 1)[1].split("\nA transfer may be narrowed")[0]
    read: dict[str, Any] = tomllib.loads(text.replace("[tariff.", "[").replace("[rules]", "").replace("rules.", ""))
    return read


def test_the_documented_example_is_read() -> None:
    rules = read_tariff_rules(_documented())
    assert rules.transfer == Transfer(1800, 1, 0)
    assert rules.quotas == {3: 2}
    assert rules.free_days == {"2025-03-22"}
    assert rules.same_vehicle_s == 60
    assert rules.group is not None
    assert (rules.group.riders_max, rules.ages, rules.agreed_minor) == (5, {2: Ages(7, 17)}, {5: 9000})
    assert [(cap.period, cap.amount_minor, list(cap.whom.media)) for cap in rules.caps] == [
        ("day", 36_000, ["bank_card"])
    ]
    assert rules.pass_for(100, "transport_card", 1) is rules.passes[100]
    assert rules.pass_for(100, "bank_card", 1) is None
    assert rules.zones is not None
    assert [rules.zones.fare_minor(1, start, end) for start, end in ("AA", "BA", "CB", "AC", "CA")] == [
        11_000,
        15_000,
        15_000,
        18_000,
        18_000,
    ]
    assert rules.zones.fare_minor(2, "A", "B") is None
    assert rules.tap_off is not None
    assert rules.tap_off.within_s == 7200
    assert read_tariff_rules({}) == TariffRules()


@pytest.mark.parametrize(
    ("category", "age", "may"), [(2, 6, False), (2, 7, True), (2, 17, True), (2, 18, False), (1, 3, True)]
)
def test_a_category_is_held_at_its_ages(category: int, age: int, may: bool) -> None:
    assert read_tariff_rules({"ages": {"2": {"from": 7, "until": 17}}}).may_hold(category, age) == may
    assert read_tariff_rules({"ages": {"4": {"from": 63}}}).may_hold(4, 99)


_ZONES = {"order": ["A", "B"], "stops": {"A": [1]}, "fares_minor": {"1": [1, 2]}}


@pytest.mark.parametrize(
    ("table", "faults"),
    [
        ({"transfers": 1}, ["transfers: no such word"]),
        ({"transfer": {"within_s": 0, "rides": 1}}, ["within_s is a whole number from 1", "fare_minor is missing"]),
        ({"transfer": {"within_s": 9, "rides": True, "fare_minor": 0}}, ["rides is a whole number"]),
        ({"transfer": 5}, ["transfer: is no table", "within_s is missing"]),
        ({"quotas": {"x": 1}}, ["quotas gives rider categories whole numbers"]),
        ({"quotas": {"3": 0}}, ["quotas"]),
        ({"free_days": ["9 May"]}, ["free_days is a list of days"]),
        ({"free_days": 5}, ["free_days"]),
        ({"same_vehicle_s": "60"}, ["same_vehicle_s"]),
        ({"group": {"riders_max": 1}}, ["riders_max"]),
        ({"ages": {"2": {"from": 18, "until": 7}}}, ["ends before it begins"]),
        ({"agreed_minor": {"5": -1}}, ["agreed_minor"]),
        ({"cap": [{"period": "year", "amount_minor": 0}]}, ["period is day or week or month", "amount_minor"]),
        ({"cap": [{"period": "day", "amount_minor": 5}] * 2}, ["two caps of one period"]),
        ({"cap": [{"period": "day", "amount_minor": 5, "media": "all"}]}, ["media is a list of names"]),
        ({"cap": [5] * 17}, ["cap is a list of at most 16 tables"]),
        ({"pass": [{"product": 99, "period": "month", "price_minor": 1}]}, ["product", "names is said in kk, ru, en"]),
        (
            {"zones": {"order": ["A", "A"], "stops": {}, "fares_minor": {}}},
            ["names each zone once", "fares_minor is missing"],
        ),
        ({"zones": _ZONES | {"stops": {"A": [1], "B": [1], "C": [2]}}}, ["stop 1 is in zones A and B", "no zone C"]),
        ({"zones": _ZONES | {"fares_minor": {"1": [1]}}}, ["a fare for each number of zones up to 2"]),
        ({"zones": _ZONES | {"pairs": [{"zones": ["A", "X"], "fares_minor": {}}]}}, ["zones are two of the order"]),
        ({"tap_off": {"media": ["bank_card"], "within_s": 1}}, ["within_s"]),
    ],
)
def test_every_fault_is_named(table: dict[str, Any], faults: list[str]) -> None:
    with pytest.raises(ValueError, match=r"tariff\.rules") as caught:
        read_tariff_rules(table)
    for fault in faults:
        assert fault in str(caught.value)
    assert len(str(caught.value).split("; ")) >= len(faults)


def test_what_the_city_says_of_all_tariffs_completes_one_that_says_nothing() -> None:
    city = read_rules(
        {"transfer": {"within_s": 900, "rides": 2, "fare_minor": 0}, "quotas": {"4": 2}, "free_days": ["2025-05-09"]}
    )
    completed = with_ride_rules(TariffRules(), city)
    assert (completed.transfer, completed.quotas) == (Transfer(900, 2, 0), {4: 2})
    assert completed.free_days == {"2025-05-09"}
    own = read_tariff_rules({"transfer": {"within_s": 60, "rides": 1, "fare_minor": 5}, "quotas": {"2": 1}})
    assert with_ride_rules(own, city).transfer == Transfer(60, 1, 5)
    assert with_ride_rules(own, city).quotas == {2: 1}


def test_buses_are_told_what_they_can_apply_offline() -> None:
    city = read_rules(
        {"transfer": {"within_s": 900, "rides": 2, "fare_minor": 0}, "same_trip_s": 90, "allow_listed": ["qr"]}
    )
    told = offline_rules(read_tariff_rules({"transfer": {"within_s": 60, "rides": 1, "fare_minor": 5}}), city)
    assert (told.rules.transfer_s, told.rules.transfers_max, told.rules.transfer_fare_minor) == (60, 1, 5)
    assert (told.rules.same_trip_s, told.allow_listed) == (90, ("qr",))
    narrow = {
        "transfer": {"within_s": 60, "rides": 1, "fare_minor": 5, "same_carrier": True},
        "free_days": ["1970-01-03"],
    }
    told = offline_rules(read_tariff_rules(narrow), city)
    assert (told.rules.transfer_s, told.rules.free_days) == (0, [2])


def test_the_rules_of_a_day_are_those_of_its_tariff_and_reach_the_fare_table(office: Office) -> None:
    old, new = ({"transfer": {"within_s": seconds, "rides": 1, "fare_minor": 0}} for seconds in (600, 1200))
    with office.database.writing() as session:
        store_tariff_rules(session, CITY, [("2023-08-21", "2024-08-02", old), ("2024-08-03", None, new)])
        store_tariff_rules(session, CITY, [("2023-08-21", "2024-08-02", old), ("2024-08-03", None, new)])
        assert rules_on(session, CITY, "2023-08-20").transfer is None
        assert rules_on(session, CITY, "2024-05-15").transfer == Transfer(600, 1, 0)
        assert rules_on(session, CITY, "2024-08-03").transfer == Transfer(1200, 1, 0)
        numbers = issue_fare_tables(session, office.keys, CITY, NOW_MS)
    bodies = [office.client.get(f"/v1/fare-tables/{number}").content for number in numbers]
    assert [decode_fare_table(parse(body).payload).rules.transfer_s for body in bodies] == [600, 1200]
