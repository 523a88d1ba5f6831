"""Real processes on the wall's clock, killed at random moments and at named points: no light is lost, and none is counted twice.

On SQLite with a device's heap, and on PostgreSQL with the other MicroPython, both at once. For hours of it: `make soak`.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from clearing.checkpoint import NAMES as CRASH_POINTS
from tests.clearing.postgresql import PostgresqlServer, find_programs
from tests.soak.kills import ANY_MOMENT, Street
from tests.soak.riders import Doubt
from tests.soak.tally import explain
from tests.soak.validator import CUT_AT_BYTE, KILLED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.soak.tally import Tally

# Real time: on a busy machine it takes its time.
pytestmark = pytest.mark.timeout(900)

_KILLS = len(CRASH_POINTS) + 1
_DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class _Streets:
    sqlite: Future[Tally]
    postgresql: Future[Tally]


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Streets]:
    folders = [tmp_path_factory.mktemp(name) for name in _DATABASES]
    with ThreadPoolExecutor(2) as pool:
        yield _Streets(pool.submit(_on_sqlite, folders[0]), pool.submit(_on_postgresql, folders[1]))


def _on_sqlite(folder: Path) -> Tally:
    return Street(folder, f"sqlite:///{folder / 'jolaqy.db'}", 1, ("micropython32",)).play(_KILLS)


def _on_postgresql(folder: Path) -> Tally:
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = PostgresqlServer(programs)
    try:
        server.execute("CREATE DATABASE killed")
        return Street(folder, server.url("killed"), 2, ("micropython",)).play(_KILLS)
    finally:
        server.stop()


@pytest.fixture(params=_DATABASES)
def tally(request: pytest.FixtureRequest, streets: _Streets) -> Tally:
    future: Future[Tally] = getattr(streets, request.param)
    return future.result()


def test_every_green_light_is_cleared_exactly_once(tally: Tally) -> None:
    assert tally.faults == []
    assert (tally.lost, tally.doubled, tally.phantom) == (0, 0, 0)
    assert tally.cleared == tally.green + tally.dark
    assert tally.green > 20


def test_service_and_validators_were_killed_in_every_way(tally: Tally) -> None:
    assert sum(tally.server_kills.values()) == _KILLS
    assert len(set(tally.server_kills) & set(CRASH_POINTS)) >= _KILLS // 2
    assert tally.server_kills[ANY_MOMENT] > 0
    assert tally.power_cuts[KILLED] >= _KILLS
    assert tally.power_cuts[CUT_AT_BYTE] > 0
    assert tally.network["unreachable"] > 0


def test_a_ride_that_nobody_saw_needs_a_payment_in_doubt_at_its_place_to_be_none_that_was_made_up() -> None:
    doubts = [Doubt(10, 12), Doubt(20)]
    assert explain({11, 25}, doubts) == (2, 0)
    assert explain({11, 13}, doubts) == (1, 1)
    assert explain({10, 12}, doubts) == (0, 2)
    assert explain({25, 26}, doubts) == (1, 1)
    assert explain(set(), doubts) == (0, 0)
