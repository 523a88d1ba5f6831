"""Seeded bugs: what the simulation must catch, or it proves nothing. Each stands for a bug that somebody had."""

from __future__ import annotations

from simulator.chaos.mutants.changing import CHANGING
from simulator.chaos.mutants.closing import CLOSING
from simulator.chaos.mutants.journalling import JOURNALLING
from simulator.chaos.mutants.mutant import Mutant
from simulator.chaos.mutants.receiving import RECEIVING
from simulator.chaos.mutants.serving import SERVING
from simulator.chaos.mutants.uploading import UPLOADING

__all__ = ["MUTANTS", "Mutant"]

MUTANTS: tuple[Mutant, ...] = (
    *SERVING.all,
    *JOURNALLING.all,
    *UPLOADING.all,
    *CHANGING.all,
    *RECEIVING.all,
    *CLOSING.all,
)
