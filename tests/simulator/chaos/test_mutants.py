"""The simulation catches bugs: a few seeded ones here, all of them by `jolaqy-sim chaos --mutants`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.chaos.mutants import MUTANTS
from simulator.chaos.mutants.hunt import hunt

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.chaos.stage import Stage


@pytest.mark.parametrize(
    ("name", "invariant"),
    [
        ("ack-before-commit", "no ack for what is not durable"),
        ("green-before-durable", "a debit has an intent"),
        ("unauthenticated-ack-accepted", "the acknowledged mark is durable"),
        ("unknown-debit-charged-again", "a rider pays once"),
        ("close-counts-twice", "the books are right"),
        ("erased-before-the-last-word-is-answered", "nobody leaves before all is said"),
        ("key-set-by-its-own-roots-only", "everything comes home"),
    ],
)
def test_a_mutant_is_caught_by_the_invariant_that_it_breaks(
    name: str, invariant: str, stage: Stage, folder: Path
) -> None:
    catch = hunt(name, 1, stage, folder, schedules_max=3)
    assert catch.invariant == invariant


def test_every_mutant_says_what_it_stands_for() -> None:
    assert len(MUTANTS) >= 48
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.stands_for for mutant in MUTANTS)
