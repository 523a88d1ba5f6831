"""A short week of a city's money: every difference that a counterparty makes is found as a break, and the books stay whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.week.command import faults_in
from simulator.week.office import CityOffice
from simulator.week.play import Week

if TYPE_CHECKING:
    from pathlib import Path


def test_every_difference_of_a_day_is_found_and_no_other(tmp_path: Path) -> None:
    office = CityOffice(tmp_path / "home", "shymkent", seed=3)
    try:
        result = Week(office, 3, 1, 6, "cpython", tmp_path, lambda _part, _text: None).run()
    finally:
        office.stop()
    assert faults_in(result) == []
    assert result["ledger_imbalance_minor"] == 0
    assert result["breaks_found"] == result["breaks_injected"] > 3
    assert {what for what in result["taps"] if what.endswith("green")} >= {"bank card, green", "cash, green"}
    assert set(result["closes"]) == {"2024-05-15"}


def test_a_week_that_was_not_explained_says_what_is_wrong() -> None:
    result = {
        "ledger_faults": ["an entry is off"],
        "ledger_imbalance_minor": 5,
        "breaks_missing": [{"cause": "left_out", "reference": "QR1"}],
        "false": [{"cause": "overdue", "reference": "AG1"}],
    }
    assert faults_in(result) == [
        "ledger: an entry is off",
        "the books are off by 5 tiyn",
        "not found: left_out QR1",
        "nobody made: overdue AG1",
    ]
