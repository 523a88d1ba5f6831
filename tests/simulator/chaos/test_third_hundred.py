"""The third hundred schedules of the chaos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulator.chaos.many_schedules import AT_ONCE, check_schedules

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.chaos.stage import Stage


@pytest.mark.parametrize("first", range(201, 301, AT_ONCE))
def test_no_tap_is_lost_doubled_or_invented(first: int, stage: Stage, folder: Path) -> None:
    check_schedules(first, stage, folder)
