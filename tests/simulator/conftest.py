"""One clearing service for all tests of the simulator that need one: the real command, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulator.street import Office, open_office

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with open_office(tmp_path_factory.mktemp("office")) as office:
        yield office
