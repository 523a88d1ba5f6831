from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.network.package import FARE_MINOR_MAX
from clearing.pricing.fares import TEXTS, Price, explain, price_ride

_CARD, _CASH = "transport_card", "cash"
_TARIFF = {(_CARD, 1): 10_000, (_CARD, 2): 5_000, (_CARD, 5): 0, (_CASH, 1): 20_000}
_LANGUAGES = ("kk", "ru", "en")
_VALUES = {"day": "2024-05-15", "medium": _CARD, "category": 1, "scheduled": "100.00", "charged": "80.00"}


@pytest.mark.parametrize(
    ("medium", "category", "taken_minor", "price"),
    [
        (_CARD, 1, 10_000, Price(10_000, 10_000, 0, 20_000, "tariff")),
        (_CARD, 5, 0, Price(0, 0, 0, 20_000, "tariff")),
        (_CASH, 1, 20_000, Price(20_000, 20_000, 0, 20_000, "tariff")),
        (_CARD, 1, 8_000, Price(10_000, 8_000, 0, 20_000, "charged_less")),
        (_CARD, 1, 0, Price(10_000, 0, 0, 20_000, "charged_less")),
        (_CARD, 1, 10_001, Price(10_000, 10_000, 1, 20_000, "charged_more")),
        (_CARD, 5, 10_000, Price(0, 0, 10_000, 20_000, "charged_more")),
        (_CARD, 9, 7_000, Price(7_000, 7_000, 0, 20_000, "not_in_tariff")),
        ("other", 1, 7_000, Price(7_000, 7_000, 0, 20_000, "not_in_tariff")),
        (_CARD, 1, -1, Price(10_000, 10_000, 0, 20_000, "implausible")),
        (_CARD, 1, FARE_MINOR_MAX + 1, Price(10_000, 10_000, 0, 20_000, "implausible")),
        ("other", 1, 2**62, Price(0, 0, 0, 20_000, "implausible")),
    ],
)
def test_a_ride_costs_what_the_tariff_says_and_never_more(
    medium: str, category: int, taken_minor: int, price: Price
) -> None:
    assert price_ride(_TARIFF, medium, category, taken_minor) == price


@pytest.mark.parametrize(
    ("product", "reason"),
    [
        (1, "charged_less"),
        (2, "transfer"),
        (3, "quota"),
        (4, "free_day"),
        (5, "our_fault"),
        (100, "pass"),
        (65_535, "pass"),
    ],
)
def test_what_a_rule_of_the_city_gave_stays_in_the_riders_favour(product: int, reason: str) -> None:
    for taken_minor in (0, 5_000):
        price = Price(10_000, taken_minor, 0, 20_000, reason)
        assert price_ride(_TARIFF, _CARD, 1, taken_minor, product) == price
    assert price_ride(_TARIFF, _CARD, 1, 10_000, product).reason == "tariff"
    assert price_ride(_TARIFF, _CARD, 1, 12_000, product) == Price(10_000, 10_000, 2_000, 20_000, "charged_more")


def test_where_cash_is_not_taken_there_is_no_cash_fare() -> None:
    assert price_ride({(_CARD, 1): 12_000}, _CARD, 1, 12_000).cash_minor is None


@given(st.sampled_from([*_TARIFF, ("other", 1)]), st.integers(-(2**63), 2**63 - 1))
def test_the_rider_bears_what_was_taken_less_what_is_owed_back(ride: tuple[str, int], taken_minor: int) -> None:
    price = price_ride(_TARIFF, *ride, taken_minor)
    assert 0 <= price.charged_minor <= price.scheduled_minor <= FARE_MINOR_MAX
    assert price.correction_minor >= 0
    if 0 <= taken_minor <= FARE_MINOR_MAX:
        assert price.charged_minor + price.correction_minor == taken_minor
    assert price.reason in TEXTS


@pytest.mark.parametrize("reason", TEXTS)
def test_every_reason_is_explained_in_three_languages(reason: str) -> None:
    assert set(TEXTS[reason]) == set(_LANGUAGES)
    said = {language: explain(reason, language, _VALUES) for language in _LANGUAGES}
    assert len(set(said.values())) == 3
    for text in said.values():
        assert "{" not in text
        assert "₸" in text
        assert ("80.00" in text) == (reason != "tariff")
    assert re.search("[а-я]", said["ru"])
    assert re.search("[әғқңөұүһі]", said["kk"])
