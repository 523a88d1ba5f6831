"""The tests of what runs on the bus, on a real MicroPython of either word size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.run_on_micropython import RUNTIMES, run, summary, test_modules

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("name", RUNTIMES)
def test_what_runs_on_the_bus_passes_its_tests_on_a_real_micropython(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    outcomes = run(RUNTIMES[name], test_modules())
    record_property("said at the end", summary(RUNTIMES[name], outcomes))
    assert "".join(outcome.output for outcome in outcomes if outcome.failed) == ""
    assert [outcome.module for outcome in outcomes if outcome.failed or not outcome.tests] == []
    assert outcomes
