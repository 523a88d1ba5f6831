"""One stage for all tests of the chaos: a schedule copies it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.chaos.pool import stage_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator.chaos.stage import Stage


@pytest.fixture(scope="session")
def stage_and_folder() -> Iterator[tuple[Stage, Path]]:
    with stage_in_memory() as prepared:
        yield prepared


@pytest.fixture(scope="session")
def stage(stage_and_folder: tuple[Stage, Path]) -> Stage:
    return stage_and_folder[0]


@pytest.fixture(scope="session")
def folder(stage_and_folder: tuple[Stage, Path]) -> Path:
    return stage_and_folder[1]
