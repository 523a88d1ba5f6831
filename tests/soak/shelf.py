"""Where results are kept, by the code that they belong to: a soak may be stopped at any time, and goes on from there.

A result counts as long as the code of its part is the same (`code`). Results of other code stay where they are, are not counted,
and the page says so.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING

from tests.soak.shards import PARTS, Result, Shard, plan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.code import Code


class Shelf:
    """The results, a file for each shard.

    Attributes:
        codes: names of the code of each part.
    """

    def __init__(self, folder: Path, codes: dict[str, Code]) -> None:
        self.codes = codes
        self._folder = folder

    def _path(self, shard: Shard) -> Path:
        return self._folder / f"{shard.part}-{self.codes[shard.part].attacked}" / f"{shard.name}.json"

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
            folders = [folder for folder in self._folder.glob(f"{name}-*") if folder.name != f"{name}-{code.attacked}"]
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
