"""A pass for zones before a whole validator: it pays where the driver's terminal says that the vehicle is in one of them."""

from __future__ import annotations

from protocol.cards import card_layout as layout
from protocol.cose import TYP_FARE_TABLE, sign1
from protocol.fare_rules import USE_PASS_FIRST, FareRules
from protocol.fare_table import FareTable, encode_fare_table
from protocol.tap import KIND_INTENT, PRODUCT_SINGLE
from simulator.desfire_card import DesfireCard
from tests.firmware.bench_board import NOW_S
from tests.firmware.bench_service import AUDIENCE, CITY, DOCUMENT_KEY
from tests.simulator.validator_bench import BALANCE_MINOR, FARE_MINOR, FARES, MASTERS, BusBench

_ZONE_PASS = 103
_SECOND_ZONE = 0b10


def _bus() -> BusBench:
    rules = FareRules()
    rules.use, rules.zones = USE_PASS_FIRST, [[1, 40, 1], [41, 60, 2]]
    table = FareTable(1, NOW_S - 86_400, NOW_S + 86_400, CITY, FARES, rules)
    return BusBench(table=sign1(encode_fare_table(table), TYP_FARE_TABLE, AUDIENCE, DOCUMENT_KEY))


def _card() -> DesfireCard:
    sold = layout.Pass(_ZONE_PASS, NOW_S - 1, NOW_S + 86_400, layout.SCOPE_ZONES, _SECOND_ZONE)
    environment = layout.Environment(bytes(8), CITY, 1, NOW_S + 86_400, passes=[sold])
    return DesfireCard.personalise(b"\x04" + bytes(6), environment, BALANCE_MINOR, MASTERS)


def test_a_zone_pass_pays_in_its_zone_and_nowhere_else() -> None:
    for stops, product, fare_minor in (
        ((), PRODUCT_SINGLE, FARE_MINOR),
        (("stop 40",), PRODUCT_SINGLE, FARE_MINOR),
        (("stop 40", "stop 41"), _ZONE_PASS, 0),
        (("stop 41", "stop 61"), PRODUCT_SINGLE, FARE_MINOR),
    ):
        bus, card = _bus(), _card()
        for stop in stops:
            bus.say(stop)
        assert bus.hold(card) == f"ok 2 {fare_minor} {BALANCE_MINOR - fare_minor}, light green", stops
        intent = next(tap for tap in bus.taps().values() if tap.kind == KIND_INTENT)
        assert (intent.product, card.events[-1].product) == (product, product)
        assert card.events[-1].kind == (layout.EVENT_PASS if product == _ZONE_PASS else layout.EVENT_PURSE)
