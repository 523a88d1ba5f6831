"""Plays many schedules on all cores. Each depends on its seed alone: it does not matter who plays what, or in which order."""

from __future__ import annotations

import gc
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from simulator.chaos.corpus import SCENARIOS, play_scenario
from simulator.chaos.mutants import MUTANTS
from simulator.chaos.mutants.hunt import CONTROL, hunt
from simulator.chaos.play import play_seed
from simulator.chaos.stage import prepare_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from simulator.chaos.mutants.hunt import Catch
    from simulator.chaos.play import Outcome
    from simulator.chaos.scenario import Held
    from simulator.chaos.stage import Stage

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
# What is made in a schedule is mostly gone by itself when it ends; looking for it all the time takes a fifth of the whole.
_COLLECTED_AFTER = (100_000, 20, 100)
_MEMORY = Path("/dev/shm")  # noqa: S108 - the databases of a simulation lie in memory where there is such a place


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Within the block the garbage collector looks seldom, and never at what was there before."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def stage_in_memory() -> Iterator[tuple[Stage, Path]]:
    """Prepare a stage in a folder that is gone afterwards."""
    place = _MEMORY if _MEMORY.is_dir() else None
    with _seldom_collected(), tempfile.TemporaryDirectory(prefix="jolaqy-chaos-", dir=place) as name:
        folder = Path(name)
        yield prepare_stage(folder), folder


def play_all(seeds: Iterable[int], taps: int, processes: int | None = None) -> Iterator[Outcome]:
    """Play the schedules of these seeds and yield what came of them, in their order."""
    with stage_in_memory() as (stage, folder):
        yield from _on_all_cores(partial(play_seed, taps=taps, stage=stage, folder=folder), list(seeds), processes)


def hunt_all(seed: int, processes: int | None = None) -> Iterator[Catch]:
    """Hunt every mutant; the last one is none, and must not be caught."""
    names = [*(mutant.name for mutant in MUTANTS), CONTROL.name]
    with stage_in_memory() as (stage, folder):
        yield from _on_all_cores(partial(hunt, seed=seed, stage=stage, folder=folder), names, processes)


def play_corpus(processes: int | None = None) -> Iterator[Held]:
    """Play every scenario of the corpus."""
    names = [scenario.name for scenario in SCENARIOS.all]
    with stage_in_memory() as (stage, folder):
        yield from _on_all_cores(partial(play_scenario, stage=stage, folder=folder), names, processes)


def _on_all_cores(act: Callable[[_Task], _Result], tasks: list[_Task], processes: int | None) -> Iterator[_Result]:
    count = min(processes or os.cpu_count() or 1, len(tasks))
    if count <= 1:
        yield from map(act, tasks)
        return
    # Spawned, not forked: a child begins with nothing of what its parent has open.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, spawn, initializer=gc.set_threshold, initargs=_COLLECTED_AFTER) as pool:
        yield from pool.map(act, tasks)
