from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from clearing.network.package import FARE_MINOR_MAX
from clearing.pricing.models import Fare
from clearing.pricing.service import PricedDay, preview_totals, price_day
from clearing.pricing.shares import MediumTotal
from protocol.decisions import (
    DECISION_ACCEPTED,
    DECISION_COMMITTED,
    DECISION_NOT_COMMITTED,
    DECISION_NOT_PAID,
    DECISION_OUTCOME_UNKNOWN,
    DECISION_PAID_HERE,
)
from protocol.tap import (
    KIND_INSPECTION,
    KIND_OUTCOME,
    MEDIUM_BANK_CARD,
    MEDIUM_CASH,
    MEDIUM_OTHER,
    MEDIUM_TRANSPORT_CARD,
)
from tests.builders import CITY, DAY, NOW_S, Device, Office, make_token
from tests.clearing import small_day
from tests.clearing.small_day import debit, send, tap

if TYPE_CHECKING:
    from collections.abc import Callable


def _moment_s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _price(office: Office, day: str = DAY) -> PricedDay:
    with office.database.writing() as session:
        return price_day(session, CITY, day)


def _fares(office: Office) -> dict[str, dict[str, Any]]:
    """All fares by source key, without their row numbers."""
    with office.database.reading() as session:
        rows = [dict(vars(fare)) for fare in session.scalars(select(Fare))]
    return {
        row["source_key"]: {name: value for name, value in row.items() if name not in {"id", "_sa_instance_state"}}
        for row in rows
    }


def _charged(office: Office, day: str) -> list[tuple[str, int, int, str]]:
    """Medium, charged, correction and reason of a day's fares, in the order of the rides."""
    _price(office, day)
    with office.database.reading() as session:
        fares = session.scalars(select(Fare).where(Fare.service_day == day).order_by(Fare.ridden_at_s, Fare.sequence))
        return [
            (fare.medium, fare.charged_minor, fare.correction_minor, json.loads(fare.explanation_json)["reason"])
            for fare in fares
        ]


def test_a_day_is_priced_the_same_as_often_as_one_likes(office: Office) -> None:
    alatau, _ = small_day.play(office)
    assert _price(office) == PricedDay(rides=7, unknown=1, unknown_minor=10_000)
    once = _fares(office)
    assert _price(office).rides == 7
    assert _fares(office) == once
    first = once[f"{alatau.id.hex()}/1/1"]
    assert (first["carrier"], first["vehicle"], first["line"], first["medium"]) == ("alatau", "A-101", 1, "cash")
    assert (first["scheduled_minor"], first["charged_minor"], first["cash_minor"]) == (20_000, 20_000, 20_000)
    assert json.loads(first["explanation_json"]) == {"reason": "tariff", "day": DAY, "taken_minor": 20_000}
    with office.database.reading() as session:
        preview = preview_totals(session, CITY, DAY)
    assert preview == small_day.TOTALS.media
    assert MediumTotal("transport_card", 2, 20_000) in preview


def test_an_inspection_is_never_a_ride_and_never_priced(office: Office) -> None:
    """Whatever an inspector's record says, a fare or a card's counter among it, and however often a medium is looked at."""
    alatau, medeu = small_day.play(office)
    priced, fares = _price(office), _fares(office)
    for device in (alatau, medeu):
        looks = [
            device.record(
                kind=KIND_INSPECTION,
                decision=decision,
                medium=MEDIUM_TRANSPORT_CARD,
                token=make_token(card),
                token_key_version=1,
                counter=small_day.UNKNOWN_COUNTER + 1,
                fare_minor=10_000,
            )
            for decision in (DECISION_ACCEPTED, DECISION_PAID_HERE, DECISION_NOT_PAID, DECISION_COMMITTED)
            for card in (1, small_day.UNKNOWN_CARD)
        ]
        send(office, device, looks)
    assert (_price(office), _fares(office)) == (priced, fares)
    with office.database.reading() as session:
        assert preview_totals(session, CITY, DAY) == small_day.TOTALS.media


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 2, 1, 0, 3)])
def test_the_order_in_which_batches_arrive_means_nothing(office: Office, order: tuple[int, ...]) -> None:
    """Three validators; one card is torn at the first, seen unchanged by the second, and paid for at the third."""
    one, two, three = (office.enrol(Device(seed=n), f"A-10{n}") for n in (1, 2, 3))
    torn, paid = debit(one, 1, 5, at_s=NOW_S), debit(two, 1, 5, at_s=NOW_S + 100)
    deliveries: list[Callable[[], None]] = [
        lambda: send(office, one, torn),
        lambda: send(office, two, paid),
        lambda: send(office, three, debit(three, 1, 6, at_s=NOW_S + 200, ended=DECISION_COMMITTED)),
        lambda: small_day.text_message(office, "S-1"),
        lambda: small_day.text_message(office, "S-2", NOW_S + 5),
    ]
    for number in order:
        deliveries[number]()
    _price(office)
    rides = {key for key, fare in _fares(office).items() if fare["source"] == "tap"}
    assert rides == {f"{two.id.hex()}/1/1", f"{three.id.hex()}/1/1"}
    assert sum(fare["charged_minor"] for fare in _fares(office).values()) == 40_000


def test_an_outcome_in_a_later_batch_and_on_the_next_day_prices_the_debit(office: Office, device: Device) -> None:
    send(office, device, debit(device, 1, 5, ended=DECISION_OUTCOME_UNKNOWN))
    assert _price(office) == PricedDay(0, 1, 10_000)
    outcome = device.record(
        kind=KIND_OUTCOME,
        reference=1,
        decision=DECISION_COMMITTED,
        tapped_at_s=NOW_S + 86_400,
        token=make_token(1),
        token_key_version=1,
        medium=MEDIUM_TRANSPORT_CARD,
    )
    office.clock.at_ms += 86_400_000
    send(office, device, [outcome])
    assert _price(office) == PricedDay(1, 0, 0)
    assert _price(office, "2024-05-16") == PricedDay(0, 0, 0)


def test_a_debit_seen_on_the_next_day_resolves_the_one_before(office: Office) -> None:
    alatau, medeu = small_day.play(office)
    office.clock.at_ms += 86_400_000
    small_day.prove_unknown(office, medeu)
    assert _price(office) == PricedDay(8, 0, 0)
    assert _price(office, "2024-05-16") == PricedDay(0, 1, 10_000)
    send(office, alatau, debit(alatau, small_day.UNKNOWN_CARD, 40, at_s=NOW_S + 10, ended=DECISION_NOT_COMMITTED))
    assert _price(office) == PricedDay(7, 0, 0)


def test_each_day_has_its_own_tariff(office: Office, device: Device) -> None:
    """The service day, not the calendar, decides: 3 August 2024 begins at 03:00 in Almaty."""
    before_s, after_s = _moment_s("2024-08-03T02:59:59+05:00"), _moment_s("2024-08-03T03:00:00+05:00")
    office.clock.at_ms = (after_s + 3600) * 1000
    records = [tap(device, MEDIUM_BANK_CARD, 10_000, before_s), tap(device, MEDIUM_BANK_CARD, 12_000, before_s)]
    records += [tap(device, MEDIUM_CASH, 20_000, before_s), tap(device, MEDIUM_BANK_CARD, 10_000, after_s)]
    records += [tap(device, MEDIUM_BANK_CARD, 12_000, after_s), tap(device, MEDIUM_CASH, 20_000, after_s)]
    send(office, device, records)
    assert _charged(office, "2024-08-02") == [
        ("bank_card", 10_000, 0, "tariff"),
        ("bank_card", 10_000, 2_000, "charged_more"),
        ("cash", 20_000, 0, "tariff"),
    ]
    assert _charged(office, "2024-08-03") == [
        ("bank_card", 10_000, 0, "charged_less"),
        ("bank_card", 12_000, 0, "tariff"),
        ("cash", 20_000, 0, "not_in_tariff"),
    ]
    assert {fare["cash_minor"] for fare in _fares(office).values() if fare["service_day"] == "2024-08-03"} == {None}


def test_the_day_on_which_almaty_changed_its_zone_ends_at_three_of_the_new_time(office: Office, device: Device) -> None:
    """29 February 2024 began at 03:00 of UTC+6 and ended at 03:00 of UTC+5: an hour longer than others."""
    moments = {
        "2024-02-28T20:59:59+00:00": "2024-02-28",
        "2024-02-28T21:00:00+00:00": "2024-02-29",
        "2024-02-29T21:30:00+00:00": "2024-02-29",
        "2024-02-29T21:59:59+00:00": "2024-02-29",
        "2024-02-29T22:00:00+00:00": "2024-03-01",
    }
    office.clock.at_ms = _moment_s("2024-03-01T12:00:00+05:00") * 1000
    send(office, device, [tap(device, MEDIUM_CASH, 20_000, _moment_s(moment)) for moment in moments])
    for day in set(moments.values()):
        assert _price(office, day).rides == list(moments.values()).count(day)


def test_odd_taps_are_priced_without_harm(office: Office, device: Device) -> None:
    """A free ride, a technician's tap, an unnamed medium, and amounts that would burst any sum."""
    records = [
        device.record(decision=18, fare_minor=None),
        device.record(reference=True),
        device.record(medium=MEDIUM_OTHER, fare_minor=7_000),
        device.record(fare_minor=2**63 - 1),
        device.record(fare_minor=-(2**62)),
        device.record(fare_minor=FARE_MINOR_MAX + 1, medium=MEDIUM_OTHER),
    ]
    send(office, device, records)
    assert _charged(office, DAY) == [
        ("cash", 0, 0, "charged_less"),
        ("other", 7_000, 0, "not_in_tariff"),
        ("cash", 20_000, 0, "implausible"),
        ("cash", 20_000, 0, "implausible"),
        ("other", 0, 0, "implausible"),
    ]
    assert office.reasons() == ["fare_implausible"] * 3


def test_an_implausible_debit_without_end_is_worth_the_tariff(office: Office, device: Device) -> None:
    send(office, device, debit(device, 1, 5, fare_minor=2**62))
    assert _price(office) == PricedDay(0, 1, 10_000)


def test_a_rejected_sms_is_no_ride(office: Office) -> None:
    message = {"reference": "S-9", "msisdn": "77011234567", "text": "A-999", "sent_at_s": NOW_S}
    office.client.post("/v1/sms", json=message)
    small_day.text_message(office, "S-1")
    assert _price(office).rides == 1
    (fare,) = _fares(office).values()
    assert (fare["source"], fare["source_key"], fare["device_id"]) == ("sms", "local/S-1", None)
    assert (fare["medium"], fare["carrier"], fare["charged_minor"]) == ("sms", "alatau", 10_000)


def test_fares_are_read_page_by_page_even_while_the_day_is_priced_again(office: Office) -> None:
    small_day.play(office)
    _price(office)
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        asked: dict[str, str | int] = {"city": CITY, "day": DAY, "after": after, "limit": 3}
        page = office.client.get("/v1/fares", params=asked).json()
        found += page["fares"]
        after = page["next_after"]
        _price(office)
    keys = [(fare["source"], fare["source_key"]) for fare in found]
    assert len(keys) == len(set(keys)) == 7
    assert {key for _, key in keys} == set(_fares(office))
    sms = next(fare for fare in found if fare["source"] == "sms")
    assert (sms["charged_minor"], sms["correction_minor"], sms["category"]) == (10_000, 0, 1)
    assert sms["explanation"] == {"reason": "tariff", "day": DAY, "taken_minor": 10_000}
    assert "token" not in sms


def test_a_wrong_question_about_fares_is_refused(office: Office) -> None:
    right: dict[str, str | int] = {"city": CITY, "day": DAY}
    wrong: tuple[dict[str, str | int], ...] = (
        {"day": "2024-02-30"},
        {"day": "20240515"},
        {"day": "9999-12-31"},
        {"limit": 0},
        {"after": "x" * 201},
    )
    for changes in wrong:
        answer = office.client.get("/v1/fares", params=right | changes)
        assert answer.status_code == 422
        assert answer.json()["error"]["remedy"]
    for city in ("atlantis", "\0"):
        # PostgreSQL takes no NUL in a text.
        assert office.client.get("/v1/fares", params=right | {"city": city}).status_code in {404, 422}
