"""Where results are kept, by the code that they belong to: a soak may be stopped at any time, and goes on from there.

A result counts as long as nothing has changed that its part of the soak imports or starts. Results of other code stay where they
are, are not counted, and the page says so.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING

import grimp

from tests.soak.shards import PARTS, TOP, Result, Shard, plan

if TYPE_CHECKING:
    from pathlib import Path

    from grimp import ImportGraph

    from tests.soak.shards import Part

_PACKAGES = ("protocol", "firmware", "simulator", "clearing", "tests")
# What is read beside modules.
_DATA_ENDINGS = {".toml", ".json", ".sql"}


def code_of_parts() -> dict[str, str]:
    """Return a name of the code of each part as it is now."""
    graph = grimp.build_graph(*_PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    return {name: _digest(files_of(graph, part)) for name, part in PARTS.items()}


def files_of(graph: ImportGraph, part: Part) -> list[Path]:
    """Return everything that can make a part come out differently, in order."""
    names = set(part.modules)
    for module in part.modules:
        names |= graph.find_upstream_modules(module)
    for package in part.packages:
        names |= {package} | graph.find_descendants(package)
    files = [_file_of(name) for name in names]
    for package in part.packages:
        files += [path for path in (TOP / package).rglob("*") if path.suffix in _DATA_ENDINGS]
    return sorted(files)


def _file_of(module: str) -> Path:
    path = TOP.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(TOP)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


class Shelf:
    """The results, a file for each shard.

    Attributes:
        codes: name of the code of each part.
    """

    def __init__(self, folder: Path, codes: dict[str, str]) -> None:
        self.codes = codes
        self._folder = folder

    def _path(self, shard: Shard) -> Path:
        return self._folder / f"{shard.part}-{self.codes[shard.part]}" / f"{shard.name}.json"

    def keep(self, result: Result) -> None:
        path = self._path(result.shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".new").write_text(json.dumps(asdict(result), ensure_ascii=False, indent=2))
        path.with_suffix(".new").rename(path)

    def find(self, shard: Shard) -> Result | None:
        """Return the result of a shard that was played, or None."""
        path = self._path(shard)
        return _read(path) if path.exists() else None

    def everything(self) -> list[Result]:
        """Return everything that was played with the code as it is."""
        found = [self.find(shard) for shard in plan()]
        return [result for result in found if result is not None]

    def of_other_code(self) -> dict[str, int]:
        """Return how many results there are that do not count, by part."""
        counts = {}
        for name, code in self.codes.items():
            folders = [folder for folder in self._folder.glob(f"{name}-*") if folder.name != f"{name}-{code}"]
            counts[name] = sum(len(list(folder.glob("*.json"))) for folder in folders)
        return {name: count for name, count in counts.items() if count}

    def seconds_of(self, shard: Shard) -> float:
        """Return about how long a shard takes: as long as others of its kind took, of whatever code."""
        kind = shard.name.rpartition("-")[0]
        took = [_read(path).seconds for path in self._folder.glob(f"{shard.part}-*/{kind}-*.json")]
        return fmean(took) if took else PARTS[shard.part].seconds


def _read(path: Path) -> Result:
    stored = json.loads(path.read_text())
    return Result(**stored | {"shard": Shard(**stored["shard"])})
