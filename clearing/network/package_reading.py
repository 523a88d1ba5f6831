"""Reading the files of one package: from bytes to checked shapes, with all that was found wrong and its place."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from clearing.network.consistency import FILES
from clearing.network.faults import Fault, Found, shape_faults
from clearing.network.package_files import TariffsFile
from clearing.network.records import Record
from clearing.network.ride_rules import RideRules, read_rules
from clearing.network.tariff_rules import TariffRules, read_tariff_rules
from clearing.network.toml_lines import key_lines, line_of, line_of_error

_FILE_BYTES_MAX = 4 << 20
_STEP = re.compile(r"([a-z_]+)(?: ([0-9]+))?")
_Table = TypeVar("_Table", bound=Record)


class Reading:
    """The files of one package while they are read, and what was found wrong."""

    def __init__(self, folder: Path) -> None:
        self.found: list[Found] = []
        self._unplaced: list[Fault] = []
        self._texts: dict[str, str] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        for name in FILES:
            self._read(folder / name)

    def _read(self, path: Path) -> None:
        try:
            if path.stat().st_size > _FILE_BYTES_MAX:
                self._refuse(path, f"is larger than {_FILE_BYTES_MAX >> 20} MiB", "see that it is the right file")
                return
            text = path.read_bytes().decode()
            self._tables[path.name] = tomllib.loads(text)
            self._texts[path.name] = text
        except FileNotFoundError:
            self._refuse(path, "is missing", "write it: clearing/cities/README.md shows how")
        except OSError as error:
            self._refuse(path, f"cannot be read: {error.strerror}", "see who may read it")
        except UnicodeDecodeError as error:
            self._refuse(path, "is not UTF-8", "save it as UTF-8", path.read_bytes()[: error.start].count(b"\n") + 1)
        except tomllib.TOMLDecodeError as error:
            what = re.sub(r" \(at .*", "", str(error))
            self._refuse(
                path, f"is not TOML: {what}", "correct this line or the one before", line_of_error(error, text)
            )

    def _refuse(self, path: Path, what: str, remedy: str, line: int = 0) -> None:
        self._unplaced.append(Fault(path.name, line, what, remedy))

    def shape(self, name: str, kind: type[_Table]) -> _Table | None:
        """A file as its model, or what keeps it from being one."""
        if name not in self._tables:
            return None
        try:
            return kind.model_validate_json(json.dumps(self._tables[name], default=str))
        except ValidationError as error:
            self.found += shape_faults(name, error)
            return None

    def rules(self, tariffs: TariffsFile | None) -> tuple[RideRules, tuple[TariffRules, ...]]:
        """The rules of `tariffs.toml`, which have readers of their own."""
        ride_rules, read = RideRules(), []
        if tariffs is not None:
            try:
                ride_rules = read_rules(tariffs.rules)
            except (ValueError, TypeError, AttributeError) as error:
                self.found.append(Found("tariffs.toml", ("rules",), str(error), "see clearing/network/ride_rules.py"))
            for n, tariff in enumerate(tariffs.tariffs):
                try:
                    read.append(read_tariff_rules(tariff.rules))
                except ValueError as error:
                    self.found += [_rule_fault(n, text) for text in str(error).split("; ")]
        return ride_rules, tuple(read)

    def placed(self, found: Sequence[Found]) -> tuple[Fault, ...]:
        """Faults with their lines, in the order of the files."""
        lines = {name: key_lines(self._texts[name]) for name in {each.file for each in found}}
        faults = [Fault(each.file, line_of(lines[each.file], each.path), each.what, each.remedy) for each in found]
        return tuple(sorted({*faults, *self._unplaced}, key=lambda fault: (FILES.index(fault.file), fault)))

    def sha256(self) -> str:
        contents = [self._texts[name].encode() for name in FILES]
        return hashlib.sha256(b"".join(len(each).to_bytes(8, "big") + each for each in contents)).hexdigest()


def _rule_fault(n: int, text: str) -> Found:
    """A fault of a tariff's rules, whose place is written such as `tariff.rules.cap 2: period …`."""
    place, _, what = text.partition(": ")
    steps = [*place.removeprefix("tariff.rules").split("."), what.split(" ")[0].rstrip(":")]
    path: list[str | int] = ["tariff", n, "rules"]
    for step in filter(None, steps):
        found = _STEP.match(step)
        if found is None:
            break
        path += [found[1], int(found[2]) - 1] if found[2] else [found[1]]
    return Found("tariffs.toml", tuple(path), text, "see clearing/network/tariff_rules.py")
