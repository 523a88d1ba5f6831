"""None of the traps that others fell into holds us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.chaos.corpus import SCENARIOS, play_scenario

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.chaos.stage import Stage


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS.all])
def test_the_trap_is_held(name: str, stage: Stage, folder: Path) -> None:
    assert play_scenario(name, stage, folder).faults == []


def test_every_trap_has_a_reference_and_a_story() -> None:
    assert len(SCENARIOS.all) >= 19
    assert all(scenario.reference and scenario.trap for scenario in SCENARIOS.all)
