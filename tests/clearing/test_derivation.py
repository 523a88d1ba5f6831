"""Every fare says in words why it costs what it costs, step by step, in three languages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from clearing.access.audit import canonical_json
from clearing.pricing.alighting import Held, alighted
from clearing.pricing.derivation import derive, say
from clearing.pricing.reasons import CODES, RULES, STEPS, TEXTS
from clearing.pricing.terms import RuleTable
from protocol.tap import PRODUCT_GROUP
from tests.builders import DAY
from tests.clearing.tariff_day import BANK, CARD, PRICES, STUDENT, TRANSFER, price, ride, tariff

if TYPE_CHECKING:
    from clearing.pricing.facts import RideFacts
    from clearing.pricing.terms import DayTariff

_LANGUAGES = ("kk", "ru", "en")
_YESTERDAY = "2024-05-14"
_ZONES = {"order": ["A", "B"], "stops": {"A": [1], "B": [2]}, "fares_minor": {"1": [11_000, 15_000]}}
_MONTH = {"kk": "Бір ай", "ru": "Один месяц", "en": "One month"}
_PASS = {"pass": [{"product": 100, "names": _MONTH, "period": "month", "price_minor": 1, "media": [CARD]}]}


def _cap(period: str) -> dict[str, Any]:
    return {"cap": [{"period": period, "amount_minor": 15_000}]}


def _explained(rides: list[RideFacts], *tariffs: DayTariff) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """What is stored of the last ride, and what is said of it."""
    by_day = {each.day: each for each in tariffs}
    priced = price(rides, *tariffs)[-1]
    stored = json.loads(canonical_json(derive(priced, by_day, RuleTable(by_day))))
    fare = {
        "medium": priced.facts.medium,
        "category": priced.facts.category,
        "scheduled_minor": priced.terms.scheduled_minor,
        "charged_minor": priced.charged_minor,
    }
    return stored, {language: say(stored, fare, language) for language in _LANGUAGES}


@pytest.mark.parametrize(
    ("step", "rides", "rules", "sentence"),
    [
        (
            "transfer",
            [ride(0), ride(10)],
            TRANSFER,
            "600 s after the paid ride tap/00000001 (at most 1800 s): transfer 1",
        ),
        (
            "same_vehicle",
            [ride(0, vehicle="A-1"), ride(0.5, vehicle="A-1")],
            {"same_vehicle_s": 60},
            "30 s after the ride tap/00000001 (at most 60 s)",
        ),
        ("quota", [ride(0, 0, category=STUDENT)], {"quotas": {"3": 2}}, "Ride 1 of 2 free ones a day"),
        ("pass", [ride(0, 0, product=100)], _PASS, "Pass “One month”"),
        ("cap_day", [ride(0), ride(60)], _cap("day"), "Of the day's cap of 150.00 ₸ there were 50.00 ₸ left"),
        ("cap_week", [ride(0), ride(60)], _cap("week"), "Of the week's cap of 150.00 ₸ there were 50.00 ₸ left"),
        ("cap_month", [ride(0), ride(60)], _cap("month"), "Of the month's cap of 150.00 ₸ there were 50.00 ₸ left"),
        ("refund", [ride(0), ride(60)], _cap("day"), "100.00 ₸ were taken on the bus: 50.00 ₸ are owed back"),
        (
            "shown",
            [ride(0, medium=BANK), ride(60, medium=BANK)],
            _cap("day"),
            "The bus showed 100.00 ₸: by the rules the account is charged 50.00 ₸ less",
        ),
        (
            "group",
            [ride(0, 30_000, product=PRODUCT_GROUP + 3)],
            {"group": {"riders_max": 3}},
            "One medium pays for 3 riders",
        ),
        ("zones", [ride(0, 15_000, stop=1, off_stop=2)], {"zones": _ZONES}, "The fare by zones: A to B"),
        (
            "zones_open",
            [ride(0, 15_000, medium=BANK, stop=1)],
            {"zones": _ZONES, "tap_off": {"media": [BANK], "within_s": 60}},
            "Nobody knows where the rider got off: the highest fare from zone A",
        ),
    ],
)
def test_each_step_is_stored_and_said(step: str, rides: list[RideFacts], rules: dict[str, Any], sentence: str) -> None:
    stored, said = _explained(rides, tariff(**rules))
    assert step in {each["step"] for each in stored["steps"]}
    assert sentence in said["en"]
    _are_languages(said)


def test_a_step_tells_of_the_cheaper_day() -> None:
    cheaper = {key: fare // 2 for key, fare in PRICES.items()}
    stored, said = _explained([ride(2, before_s=300)], tariff(_YESTERDAY, cheaper), tariff())
    assert stored["day"] == _YESTERDAY
    assert stored["steps"][0] == {"step": "clock_doubt", "day": _YESTERDAY}
    assert (
        said["en"][1]
        == f"The validator was not sure of the time; of the days possible the cheaper one counts, {_YESTERDAY}"
    )
    _are_languages(said)


def test_a_plain_ride_is_explained_in_one_sentence_and_stored_briefly() -> None:
    stored, said = _explained([ride(0)], tariff(**TRANSFER))
    assert stored == {"reason": "tariff", "day": DAY, "taken_minor": 10_000}
    assert said["en"] == [f"Tariff of {DAY}: transport_card, category 1: 100.00 ₸"]


def test_what_the_tariff_does_not_price_is_not_explained_by_it() -> None:
    _, said = _explained([ride(0, category=9)], tariff())
    assert len(said["en"]) == 1
    assert said["en"][0].startswith(f"The tariff of {DAY} has no transport_card, category 9")


def _are_languages(said: dict[str, list[str]]) -> None:
    assert len({tuple(each) for each in said.values()}) == 3
    assert not re.search("[{}]", str(list(said.values())))
    assert re.search("[а-я]", "".join(said["ru"]))
    assert re.search("[әғқңөұүһі]", "".join(said["kk"]))
    assert not re.search("[а-я]", "".join(said["en"]))


def test_every_rule_and_every_step_has_its_words() -> None:
    assert set(TEXTS) == set(RULES) == set(CODES)
    for texts in (*TEXTS.values(), *STEPS.values()):
        assert set(texts) == set(_LANGUAGES)
        assert len({tuple(sorted(re.findall(r"{(\w+)}", text))) for text in texts.values()}) == 1, "each says the same"


def _held(sequence: int, at_s: int, stop: int | None, vehicle: str = "A-1", token: bytes = b"t") -> Held:
    return Held((b"d", 1, sequence), token, vehicle, at_s, stop)


def test_an_alighting_ends_the_last_boarding_before_it_and_no_other() -> None:
    boardings = [_held(1, 100, 1), _held(2, 200, 2), _held(3, 200, 2, "A-2"), _held(4, 100, 1, token=b"u")]
    ends = [
        _held(11, 150, 5),
        _held(12, 160, 6),
        _held(13, 290, 7),
        _held(14, 301, 8, "A-2"),
        _held(15, 50, 9, token=b"u"),
    ]
    found = {(b"d", 1, 1): 5, (b"d", 1, 2): 7}
    assert alighted(boardings, ends, 100) == found
    assert alighted(reversed(boardings), reversed(ends), 100) == found
    assert alighted(boardings, [_held(11, 150, None)], 100) == {}
