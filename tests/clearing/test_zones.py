"""The zones of a tariff as the buses are told them: ranges of stop numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clearing.fleet.documents import issue_fare_tables
from clearing.network.dated_rules import store_tariff_rules
from clearing.network.ride_rules import RideRules
from clearing.network.service import tariff_periods
from clearing.network.tariff_rules import offline_rules, read_tariff_rules
from firmware.decision import MediumFacts, decide
from protocol.cards.card_layout import SCOPE_ZONES, Pass
from protocol.cose import parse
from protocol.decisions import DECISION_ACCEPTED, DECISION_INSUFFICIENT_FUNDS
from protocol.fare_rules import decode_fare_rules
from protocol.fare_table import decode_fare_table
from protocol.tap import CLOCK_SYNCHRONISED, MEDIUM_TRANSPORT_CARD
from tests.builders import CITY, DAY, NOW_S, make_token

if TYPE_CHECKING:
    from tests.builders import Office


def _zones(order: list[str], **stops: list[int]) -> dict[str, Any]:
    fares = [10_000 + 1_000 * number for number in range(len(order))]
    return {"zones": {"order": order, "stops": stops, "fares_minor": {"1": fares}}}


def _told(order: list[str], **stops: list[int]) -> list[list[int]]:
    return offline_rules(read_tariff_rules(_zones(order, **stops)), RideRules()).rules.zones


def test_stops_that_follow_each_other_are_one_range_and_zones_are_numbered_by_their_order() -> None:
    assert _told(["city", "near", "far"], city=[1, 2, 3, 7], near=[4, 5], far=[9]) == [
        [1, 3, 1],
        [4, 5, 2],
        [7, 7, 1],
        [9, 9, 3],
    ]
    assert offline_rules(read_tariff_rules({}), RideRules()).rules.zones == []


def test_what_is_told_is_what_a_validator_takes_and_finds_again() -> None:
    stops = {"city": [10, 11, 12, 40], "near": [20, 21]}
    rules = offline_rules(read_tariff_rules(_zones(["city", "near"], **stops)), RideRules()).rules
    taken = decode_fare_rules(rules.encode())
    assert {stop: taken.zone_of(stop) for stop in (10, 12, 13, 20, 21, 40)} == {
        10: 1,
        12: 1,
        13: None,
        20: 2,
        21: 2,
        40: 1,
    }


def test_scattered_stops_are_told_with_those_between_them_when_there_is_no_room_for_each() -> None:
    assert _told(["city", "near"], city=list(range(0, 200, 2)), near=[201, 300]) == [[0, 198, 1], [201, 300, 2]]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            _zones(["a", "b"], a=list(range(0, 200, 2)), b=list(range(1, 200, 2))),
            "number the stops of a zone one after",
        ),
        (_zones([f"z{number}" for number in range(17)]), "a pass can tell 16 zones apart"),
    ],
)
def test_zones_that_cannot_be_told_are_refused_with_what_to_do(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_tariff_rules(table)


def test_the_zones_of_a_tariff_reach_the_bus_and_a_zone_pass_pays_there(office: Office) -> None:
    table = _zones(["city", "near"], city=[1, 2, 3], near=[4, 5])
    with office.database.writing() as session:
        period = next(
            each for each in tariff_periods(session, CITY) if each.valid_from <= DAY <= (each.valid_until or DAY)
        )
        store_tariff_rules(session, CITY, [(period.valid_from, period.valid_until, table)])
        numbers = issue_fare_tables(session, office.keys, CITY, office.clock.now_ms())
    told = [decode_fare_table(parse(office.client.get(f"/v1/fare-tables/{each}").content).payload) for each in numbers]
    in_force = next(each for each in told if each.is_valid_at(NOW_S))
    assert in_force.rules.zones == [[1, 3, 1], [4, 5, 2]]
    facts = MediumFacts(MEDIUM_TRANSPORT_CARD, 1, make_token(1), 0)
    facts.passes = [Pass(103, 0, NOW_S + 1, SCOPE_ZONES, 0b10)]
    codes = [decide(facts, in_force, None, NOW_S, CLOCK_SYNCHRONISED, 1, None, stop).code for stop in (3, 4, 5, None)]
    assert codes == [
        DECISION_INSUFFICIENT_FUNDS,
        DECISION_ACCEPTED,
        DECISION_ACCEPTED,
        DECISION_INSUFFICIENT_FUNDS,
    ]
