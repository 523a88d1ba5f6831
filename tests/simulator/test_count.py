from __future__ import annotations

from typing import Any

import pytest

from simulator.count import faults_in

GOOD: dict[str, Any] = {
    "city": "almaty",
    "day": "2024-05-15",
    "seed": 3,
    "runtime": "micropython",
    "validators": 12,
    "taps_presented": 12,
    "taps_accepted": 10,
    "taps_refused": 2,
    "taps_cleared": 10,
    "taps_lost": 0,
    "taps_doubled": 0,
    "rides_by_medium": {"cash": 2, "transport_card": 8},
    "fares_minor_by_medium": {"cash": 40_000, "transport_card": 80_000},
    "cashless_share_trips_percent": 80.0,
    "cashless_share_revenue_percent": 66.67,
    "independent_count": {"cashless_share_trips_percent": 80.0, "cashless_share_revenue_percent": 66.67},
    "card_proofs": {"proven": 7, "missing": 1},
    "purses_debited_minor": 80_000,
    "top_ups_paid_in": 3,
    "top_ups_paid_in_minor": 450_000,
    "top_ups_shown_minor": 300_000,
    "top_ups_on_cards_minor": 300_000,
    "top_ups_applied_minor": 300_000,
    "ledger_imbalance_minor": 0,
    "ledger_faults": [],
    "power_cuts": 3,
}


def test_a_day_that_kept_its_promises_has_no_faults() -> None:
    assert faults_in(GOOD) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"taps_lost": 1}, "taps were lost"),
        ({"taps_doubled": 1}, "cleared that nobody had accepted"),
        ({"ledger_imbalance_minor": -5}, "ledger does not balance"),
        ({"ledger_faults": ["entry 7"]}, "ledger does not balance"),
        ({"cashless_share_trips_percent": 79.99}, "share by trips"),
        ({"cashless_share_revenue_percent": None}, "share by revenue"),
        ({"purses_debited_minor": 90_000}, "purses of the cards"),
        ({"card_proofs": {"proven": 7, "wrong": 1}}, "not signed"),
        ({"fares_minor_by_medium": {"cash": 120_000}}, "purses of the cards"),
        ({"top_ups_applied_minor": 150_000}, "loaded onto cards"),
        ({"top_ups_on_cards_minor": 600_000, "top_ups_applied_minor": 600_000}, "loaded onto cards"),
    ],
)
def test_each_promise_that_is_broken_is_told(change: dict[str, Any], words: str) -> None:
    (fault,) = faults_in(GOOD | change)
    assert words in fault


def test_all_faults_are_told_at_once() -> None:
    assert len(faults_in(GOOD | {"taps_lost": 2, "taps_doubled": 2, "ledger_imbalance_minor": 1})) == 3
