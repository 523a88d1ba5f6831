"""The soak in pieces, each of which depends on its name alone and can be played alone."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.runtimes import RUNTIMES
from tests.bench.machine import DISK
from tests.clearing.postgresql import PostgresqlServer, find_programs
from tests.soak.journal_cuts import GEOMETRIES, CutDay
from tests.soak.kills import Street
from tests.soak.schedules import as_drawn, play_schedules, with_crashes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from simulator.chaos.schedule import Schedule

TOP = Path(__file__).resolve().parents[2]
KEPT = TOP / ".cache" / "soak"
CUTS = 12_500
SCHEDULES = 10
CYCLES = 10
# What must be 0.
BROKEN = ("lost", "doubled", "phantom")
_DATABASES = ("SQLite", "PostgreSQL")


@dataclass(frozen=True)
class Shard:
    """A piece of the soak.

    Attributes:
        part: what kind of thing it does.
        variant: which flash, or which database; empty where there is one only.
        seed: of it, from 1.
    """

    part: str
    variant: str
    seed: int

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.part, self.variant.replace(" × ", "x"), str(self.seed))))


@dataclass(frozen=True)
class Result:
    """What came of a shard.

    Attributes:
        counts: by what was counted; `lost`, `doubled` and `phantom` must be 0.
        faults: what was wrong, in words.
        seconds: how long it took.
        date: when it ended.
        beside: name of the code that lay beside, see `code`.
    """

    shard: Shard
    counts: dict[str, int]
    faults: list[str]
    seconds: float
    date: str
    beside: str = ""

    @property
    def is_good(self) -> bool:
        return not self.faults and not any(self.counts.get(name) for name in BROKEN)


@dataclass(frozen=True)
class Part:
    """One kind of shard.

    Attributes:
        variants: each is done for every seed.
        seeds: how many the whole soak has.
        seconds: about how long a shard takes, as long as none was played.
        modules: where its code begins; what these import belongs to it.
        packages: what else belongs to it, because it runs in processes of its own or is loaded by name.
        run: plays one; returns counts and faults.
    """

    variants: tuple[str, ...]
    seeds: int
    seconds: float
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    run: Callable[[Shard], tuple[Counter[str], list[str]]] = field(repr=False)


def _cut_journal(shard: Shard) -> tuple[Counter[str], list[str]]:
    sectors, sector_bytes = GEOMETRIES[_FLASHES.index(shard.variant)]
    tally = CutDay(sectors, sector_bytes, shard.seed).play(CUTS)
    return tally.counts, tally.faults


def _play(draw: Callable[[int], Schedule], shard: Shard) -> tuple[Counter[str], list[str]]:
    first = (shard.seed - 1) * SCHEDULES + 1
    return play_schedules(draw(seed) for seed in range(first, first + SCHEDULES))


def _kill(shard: Shard) -> tuple[Counter[str], list[str]]:
    # On a disk: what was committed must be durable, not only in memory.
    with tempfile.TemporaryDirectory(prefix="jolaqy-soak-", dir=DISK) as name:
        folder = Path(name)
        counts, faults = (_kill_on_sqlite if shard.variant == "SQLite" else _kill_on_postgresql)(folder, shard.seed)
        if faults or any(counts[kind] for kind in BROKEN):
            # Real time comes once: what the validators' flash holds is looked at afterwards, or never.
            shutil.copytree(folder, KEPT / "evidence" / shard.name, dirs_exist_ok=True)
    return counts, faults


def _kill_on_sqlite(folder: Path, seed: int) -> tuple[Counter[str], list[str]]:
    return _kill_on(f"sqlite:///{folder / 'jolaqy.db'}", folder, seed)


def _kill_on_postgresql(folder: Path, seed: int) -> tuple[Counter[str], list[str]]:
    programs = find_programs()
    if programs is None:
        return Counter(), ["PostgreSQL is not installed: apt-get install postgresql"]
    server = PostgresqlServer(programs, is_durable=True)
    try:
        server.execute("CREATE DATABASE soak")
        return _kill_on(server.url("soak"), folder, seed)
    finally:
        server.stop()


def _kill_on(database_url: str, folder: Path, seed: int) -> tuple[Counter[str], list[str]]:
    tally = Street(folder, database_url, seed, RUNTIMES).play(CYCLES)
    names = ("presented", "green", "dark", "cleared", *BROKEN)
    counts = Counter({name: getattr(tally, name) for name in names})
    counts["crashes"] = sum(tally.server_kills.values())
    counts["power cuts"] = sum(tally.power_cuts.values())
    counts.update(tally.server_kills)
    return counts, tally.faults


_FLASHES = tuple(f"{sectors} × {sector_bytes}" for sectors, sector_bytes in GEOMETRIES)
_CHAOS = ("tests.soak.schedules",)
_PROCESSES = ("tests.soak.kills", "tests.soak.crashing")
PARTS = {
    "journal": Part(_FLASHES, 10, 28, ("tests.soak.journal_cuts",), (), _cut_journal),
    "kills": Part(_DATABASES, 20, 60, _PROCESSES, ("clearing", "firmware", "protocol"), _kill),
    "crashes": Part(("",), 300, 60, _CHAOS, ("clearing",), lambda shard: _play(with_crashes, shard)),
    "schedules": Part(("",), 700, 50, _CHAOS, ("clearing",), lambda shard: _play(as_drawn, shard)),
}


def plan(fraction: float = 1, only: Iterable[str] = ()) -> Iterator[Shard]:
    """Yield the shards of a part of the soak, the first of everything first."""
    chosen = {name: part for name, part in PARTS.items() if name in only or not only}
    counts = {name: max(1, math.ceil(part.seeds * fraction - 1e-9)) for name, part in chosen.items()}
    places = [
        (number / counts[name], name, variant, number + 1)
        for name, part in chosen.items()
        for number in range(counts[name])
        for variant in part.variants
    ]
    for _, name, variant, seed in sorted(places, key=lambda place: place[0]):
        yield Shard(name, variant, seed)


def shard_named(name: str) -> Shard:
    """Return the shard of that name.

    Raises:
        KeyError: there is none.
    """
    return {shard.name: shard for shard in plan()}[name]


def run(shard: Shard) -> Result:
    """Play a shard."""
    begun = time.monotonic()
    try:
        counts, faults = PARTS[shard.part].run(shard)
    except Exception as error:  # noqa: BLE001 - whatever ends a shard is a finding, and no reason to end the others
        counts, faults = Counter[str](), [f"{type(error).__name__}: {error}"]
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return Result(shard, dict(counts), faults, round(time.monotonic() - begun, 1), moment)
