"""The rules of a tariff at work in the service, on both databases: what came when means nothing, and every fare says why."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select

from clearing.ingest.settling import clean, dirty_days
from clearing.network.dated_rules import store_tariff_rules
from clearing.network.models import Tariff
from clearing.pricing.dirt import forget_fares, last_reached
from clearing.pricing.gathering import PART_ROWS, Tap, _pieces, _runs
from clearing.pricing.models import Fare
from clearing.pricing.service import preview_totals, price_day
from clearing.pricing.subsidies import Subsidy, subsidies_of
from protocol.ack import STATUS_OK
from protocol.decisions import DECISION_COMMITTED
from protocol.tap import KIND_OFF, KIND_ON, KIND_SINGLE, MEDIUM_BANK_CARD, MEDIUM_TRANSPORT_CARD
from tests.builders import CITY, DAY, NOW_S, Device, make_token
from tests.clearing.small_day import close, debit, send

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.builders import Office

_DAYS = ("2024-05-15", "2024-05-16", "2024-05-17")
_TRANSFER = {"transfer": {"within_s": 1800, "rides": 1, "fare_minor": 0}}
_WEEK = {"cap": [{"period": "week", "amount_minor": 35_000}], **_TRANSFER}
_BANK: dict[str, Any] = {"kind": KIND_SINGLE, "medium": MEDIUM_BANK_CARD, "token_key_version": 1, "fare_minor": 10_000}


def _rule(office: Office, rules: dict[str, Any]) -> None:
    with office.database.writing() as session:
        store_tariff_rules(session, CITY, [("2023-08-21", "2024-08-02", rules)])


def _price(office: Office, *days: str) -> None:
    """Price days, and what that makes dirty, until nothing is."""
    with office.database.writing() as session:
        for day in days:
            price_day(session, CITY, day)
        _price_what_is_dirty(session)


def _price_what_is_dirty(session: Session) -> list[str]:
    done = []
    while marks := dirty_days(session, CITY):
        day = min(marks)
        clean(session, CITY, day, marks[day])
        price_day(session, CITY, day)
        done.append(day)
    return done


def _fares(office: Office) -> list[dict[str, Any]]:
    with office.database.reading() as session:
        rows = session.scalars(select(Fare).order_by(Fare.source, Fare.source_key))
        return [
            {name: value for name, value in vars(row).items() if name not in {"id", "_sa_instance_state"}}
            for row in rows
        ]


def _said(office: Office) -> list[tuple[int, int, str]]:
    rides = sorted(_fares(office), key=lambda fare: (fare["ridden_at_s"], fare["source_key"]))
    return [(fare["charged_minor"], fare["correction_minor"], fare["rule"]) for fare in rides]


def _bank(device: Device, at_s: int, card: int = 1, **changes: Any) -> bytes:  # noqa: ANN401
    return device.record(**_BANK | {"token": make_token(card), "tapped_at_s": at_s} | changes)


def test_a_transfer_between_buses_is_given_back_to_the_purse_and_explained(office: Office) -> None:
    _rule(office, _TRANSFER)
    one, two = (office.enrol(Device(seed=n), f"A-10{n}") for n in (1, 4))
    office.clock.at_ms += 3_600_000
    send(office, two, debit(two, 1, 6, at_s=NOW_S + 600, ended=DECISION_COMMITTED))
    send(office, one, debit(one, 1, 5, at_s=NOW_S, ended=DECISION_COMMITTED))
    _price(office, DAY)
    assert _said(office) == [(10_000, 0, "tariff"), (0, 10_000, "transfer")]
    first, second = (f"tap/{device.id.hex()}/1/1" for device in (one, two))
    page = office.client.get("/v1/fares", params={"city": CITY, "day": DAY}).json()["fares"]
    transfer = next(fare for fare in page if fare["journey_key"])
    assert transfer["journey_key"] == first
    assert transfer["explanation"] == {
        "reason": "transfer",
        "day": DAY,
        "taken_minor": 10_000,
        "steps": [
            {"step": "transfer", "of": first, "after_s": 600, "within_s": 1800, "number": 1},
            {"step": "refund", "taken_minor": 10_000, "correction_minor": 10_000},
        ],
    }
    said = {language: _why(office, second, language) for language in ("kk", "ru", "en")}
    assert said["en"]["sentences"] == [
        f"Tariff of {DAY}: transport_card, category 1: 100.00 ₸",
        f"600 s after the paid ride {first} (at most 1800 s): transfer 1",
        "100.00 ₸ were taken on the bus: 100.00 ₸ are owed back",
        "Transfer: charged 0.00 ₸, tariff 100.00 ₸",
    ]
    assert len({tuple(each["sentences"]) for each in said.values()}) == 3
    assert [(ride["key"], ride["is_asked"]) for ride in said["en"]["journey"]] == [(first, False), (second, True)]
    assert _why(office, first, "en")["sentences"] == [f"Tariff of {DAY}: transport_card, category 1: 100.00 ₸"]
    assert [ride["key"] for ride in _why(office, first, "en")["journey"]] == [first, second]


def _why(office: Office, key: str, language: str) -> dict[str, Any]:
    answer = office.client.get("/v1/fares/why", params={"key": key, "language": language})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_fare_that_is_not_there_cannot_be_explained(office: Office) -> None:
    answer = office.client.get("/v1/fares/why", params={"key": "tap/00/1/1"})
    assert answer.status_code == 404
    assert "tap/DEVICE/EPOCH/SEQUENCE" in answer.json()["error"]["remedy"]
    assert office.client.get("/v1/fares/why", params={"key": "tap/00/1/1", "language": "de"}).status_code == 422


def test_a_late_tap_reaches_the_days_to_the_end_of_its_week_and_no_others(office: Office) -> None:
    _rule(office, _WEEK)
    one, two = (office.enrol(Device(seed=n), f"A-10{n}") for n in (1, 4))
    office.clock.at_ms += 6 * 86_400_000
    moments = [NOW_S + day * 86_400 + part * 7200 for day in (0, 1, 2, 5) for part in (0, 1)]
    send(office, one, [_bank(one, at_s) for at_s in moments])
    send(office, two, [_bank(two, NOW_S + 3600 + day * 86_400, 2) for day in range(3)])
    _price(office, *_DAYS, "2024-05-20")
    assert _paid_by(office, 1) == [10_000, 10_000, 10_000, 5_000, 0, 0, 10_000, 10_000]
    send(office, two, [_bank(two, NOW_S - 7200)])
    with office.database.writing() as session:
        assert last_reached(session, CITY, DAY) == "2024-05-19"
        price_day(session, CITY, DAY)
        assert set(dirty_days(session, CITY)) == {"2024-05-16", "2024-05-17"}
        assert _price_what_is_dirty(session) == ["2024-05-16", "2024-05-17"]
    assert _paid_by(office, 1) == [10_000, 10_000, 10_000, 5_000, 0, 0, 0, 10_000, 10_000]
    assert _paid_by(office, 2) == [10_000, 10_000, 10_000]


def _paid_by(office: Office, card: int) -> list[int]:
    rides = sorted(_fares(office), key=lambda fare: fare["ridden_at_s"])
    return [fare["charged_minor"] for fare in rides if fare["token"] == make_token(card)]


def test_a_day_whose_fares_did_not_change_makes_no_other_dirty(office: Office) -> None:
    _rule(office, _WEEK)
    device = office.enrol(Device(seed=1), "A-101")
    office.clock.at_ms += 5 * 86_400_000
    send(office, device, [_bank(device, NOW_S + day * 86_400) for day in range(2)])
    _price(office, *_DAYS)
    with office.database.writing() as session:
        price_day(session, CITY, DAY)
        price_day(session, CITY, "2024-05-16")
        assert dirty_days(session, CITY) == {}
        forget_fares(session, CITY, [DAY])
        assert dirty_days(session, CITY) == {"2024-05-16": 1}, "whatever vanished may have made it cheaper"
        assert session.scalars(select(Fare.service_day)).all() == ["2024-05-16"]


def test_without_rules_no_day_reaches_another(office: Office) -> None:
    with office.database.reading() as session:
        assert last_reached(session, CITY, DAY) == DAY
    _rule(office, _TRANSFER)
    with office.database.reading() as session:
        assert last_reached(session, CITY, DAY) == "2024-05-16"
        assert last_reached(session, CITY, "2024-08-02") == "2024-08-02", "the tariff of the day after has none"
    _rule(office, {"cap": [{"period": "month", "amount_minor": 1}]})
    with office.database.reading() as session:
        assert last_reached(session, CITY, DAY) == "2024-05-31"


@pytest.mark.parametrize("seed", [1, 2])
def test_taps_in_any_order_and_in_any_number_of_runs_give_the_same_fares(office: Office, seed: int) -> None:
    """Three days of three cards over four buses; after each delivery some days are priced, in the end all that is dirty."""
    chance = random.Random(seed)
    _rule(office, {**_WEEK, "quotas": {"1": 1}})
    devices = [office.enrol(Device(seed=n), f"A-1{n:02d}") for n in range(1, 5)]
    office.clock.at_ms += 5 * 86_400_000
    moments = sorted(chance.sample(range(0, 3 * 86_400, 300), 40))
    taps = [(NOW_S - 4 * 3600 + moment_s, chance.choice(devices), chance.randint(1, 3)) for moment_s in moments]
    batches = [
        (device, [_bank(device, at_s, card) for at_s, whose, card in taps if whose is device]) for device in devices
    ]
    chance.shuffle(batches)
    for device, records in batches:
        half = len(records) // 2
        for start, some in ((0, records[:half]), (half, records[half:])):
            _deliver(office, device, some, device.next_sequence - len(records) + start)
            _price(office, *chance.sample(_days_of(office), 2))
    _price(office, *_days_of(office))
    in_runs = _fares(office)
    with office.database.writing() as session:
        forget_fares(session, CITY, _days_of(office))
        for day, marks in dirty_days(session, CITY).items():
            clean(session, CITY, day, marks)
    _price(office, *_days_of(office))
    assert _fares(office) == in_runs
    assert len(in_runs) == 40
    assert {fare["rule"] for fare in in_runs} >= {"quota", "transfer", "cap", "tariff"}


def _days_of(_office: Office) -> list[str]:
    return ["2024-05-14", *_DAYS, "2024-05-18"]


def _deliver(office: Office, device: Device, records: list[bytes], first: int) -> None:
    """Send a part of records that were all made before."""
    if not records:
        return
    device.now_s = office.clock.now_ms() // 1000
    batch = device.batch(records, first, device.head)
    device.head = batch.head_after
    assert office.send(device, device.sign(batch)).status == STATUS_OK


def test_boarding_and_alighting_make_one_ride_by_zones(office: Office) -> None:
    zones = {"order": ["A", "B"], "stops": {"A": [1], "B": [2]}, "fares_minor": {"1": [11_000, 15_000]}}
    _rule(office, {"zones": zones, "tap_off": {"media": ["bank_card"], "within_s": 7200}})
    device = office.enrol(Device(seed=1), "A-101")
    office.clock.at_ms += 3_600_000
    records = [
        _bank(device, NOW_S, kind=KIND_ON, stop=1),
        _bank(device, NOW_S + 600, kind=KIND_OFF, stop=1, fare_minor=None),
        _bank(device, NOW_S + 700, kind=KIND_ON, stop=1),
        _bank(device, NOW_S + 800, kind=KIND_ON, stop=2, card=2),
        _bank(device, NOW_S + 900, kind=KIND_OFF, stop=1, fare_minor=None, card=2),
        _bank(device, NOW_S + 950, kind=KIND_OFF, stop=2, fare_minor=None, card=3),
    ]
    send(office, device, records)
    _price(office, DAY)
    assert _said(office) == [(11_000, 0, "tariff"), (15_000, 0, "tariff"), (15_000, 0, "tariff")]
    said = [_why(office, f"tap/{device.id.hex()}/1/{sequence}", "en")["sentences"][-2:] for sequence in (1, 3)]
    assert said[0][0] == "The fare by zones: A to A"
    assert said[1][0] == "Nobody knows where the rider got off: the highest fare from zone A"


def test_payers_of_concessions_owe_what_riders_did_not_pay(office: Office) -> None:
    _rule(office, {"agreed_minor": {"5": 9_000}, **_TRANSFER})
    device = office.enrol(Device(seed=1), "A-101")
    card: dict[str, Any] = {"medium": MEDIUM_TRANSPORT_CARD, "kind": KIND_SINGLE, "token_key_version": 1}
    rides = [(1, 1, 10_000, 0), (2, 4, 5_000, 10), (2, 4, 0, 20), (3, 5, 0, 30), (4, 5, 0, 40)]
    send(
        office,
        device,
        [
            device.record(
                **card, token=make_token(number), category=category, fare_minor=taken_minor, tapped_at_s=NOW_S + second
            )
            for number, category, taken_minor, second in rides
        ],
    )
    _price(office, DAY)
    with office.database.reading() as session:
        assert subsidies_of(session, CITY, DAY) == [Subsidy("alatau", 4, 1, 5_000), Subsidy("alatau", 5, 2, 18_000)]
        assert preview_totals(session, CITY, DAY)[0].fares_minor == 15_000


def test_the_tariff_of_the_cheaper_day_counts_where_the_bus_did_not_know_the_time(office: Office) -> None:
    both = {"city": CITY, "medium": "bank_card", "category": 1, "source": "test"}
    with office.database.writing() as session:
        session.execute(delete(Tariff).where(Tariff.city == CITY))
        session.add(Tariff(**both, valid_from="2024-01-01", valid_until="2024-05-14", fare_minor=10_000))
        session.add(Tariff(**both, valid_from=DAY, fare_minor=12_000))
    one, two = (office.enrol(Device(seed=n), f"A-10{n}") for n in (1, 4))
    send(office, one, [_bank(one, NOW_S, clock_quality=0, fare_minor=12_000)])
    send(office, two, [_bank(two, NOW_S - 900, fare_minor=12_000)])
    _price(office, DAY)
    assert sorted(_said(office)) == [(10_000, 2_000, "charged_more"), (12_000, 0, "tariff")]
    doubted = next(fare for fare in _fares(office) if fare["charged_minor"] == 10_000)
    assert json.loads(doubted["explanation_json"])["day"] == "2024-05-14"


def _read(number: int, token: bytes | None) -> Tap:
    nothing: list[Any] = [None] * (len(Tap._fields) - 6)
    return Tap(b"d", 1, number, KIND_SINGLE, None, token, *nothing)


def test_no_medium_is_torn_apart_between_parts_of_a_day() -> None:
    rows = [_read(number, (number // 7).to_bytes(16, "big")) for number in range(3 * PART_ROWS)]
    parts = list(_runs(rows))
    assert [row for part in parts for row in part] == rows
    assert len(parts) == 3
    assert all(one[-1].token != other[0].token for one, other in pairwise(parts))
    pieces = list(_pieces(iter(rows)))
    assert [row for piece in pieces for row in piece] == rows
    assert {len(piece) for piece in pieces} == {PART_ROWS}


def test_closing_a_day_again_closes_the_later_days_that_it_has_changed(office: Office) -> None:
    _rule(office, _WEEK)
    one, two = (office.enrol(Device(seed=n), f"A-10{n}") for n in (1, 4))
    office.clock.at_ms += 5 * 86_400_000
    send(office, one, [_bank(one, NOW_S + day * 86_400 + part * 7200) for day in range(3) for part in (0, 1)])
    send(office, two, [_bank(two, NOW_S + 3600 + day * 86_400, 2) for day in range(3)])
    assert [close(office, day)["version"] for day in _DAYS] == [1, 1, 1]
    send(office, two, [_bank(two, NOW_S - 7200)])
    assert close(office, DAY)["fares_minor"] == 40_000
    closes = [office.client.get(f"/v1/closes/{CITY}/{day}").json() for day in _DAYS]
    assert [each["version"] for each in closes] == [2, 2, 1]
    assert [each["fares_minor"] for each in closes] == [40_000, 15_000, 10_000]
    with office.database.reading() as session:
        assert dirty_days(session, CITY) == {}
