"""What is wrong with a file: where, what, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from clearing.network.records import EXAMPLES
from clearing.network.toml_lines import Path

_FAULTS_MAX = 100


@dataclass(frozen=True, order=True)
class Fault:
    """A fault of a file, or what only looks like one (then it is a warning).

    Attributes:
        file, line: where; line 0 is the file as a whole.
        what: what is wrong.
        remedy: what to do.
    """

    file: str
    line: int
    what: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what}; {self.remedy}"


@dataclass(frozen=True)
class Found:
    """A fault before its line is looked up.

    Attributes:
        path: to the value in the file, such as `("tariff", 2, "valid_from")`.
    """

    file: str
    path: Path
    what: str
    remedy: str


def listed(faults: Sequence[Fault]) -> str:
    """All faults in one text, a line each."""
    lines = [str(fault) for fault in faults[:_FAULTS_MAX]]
    if len(faults) > _FAULTS_MAX:
        lines.append(f"and {len(faults) - _FAULTS_MAX} more")
    return "\n".join(lines)


def shape_faults(file: str, error: ValidationError) -> list[Found]:
    """What pydantic says of a table, in words of the file."""
    return [_shape_fault(file, dict(each)) for each in error.errors(include_url=False, include_input=False)]


def _shape_fault(file: str, error: dict[str, Any]) -> Found:
    path: Path = tuple(error["loc"])
    name = written(path)
    kind = error["type"]
    if kind == "missing":
        return Found(file, path, f"{name} is missing", "write it")
    if kind == "extra_forbidden":
        return Found(file, path, f"{name} is not known here", "correct its name, or take it out")
    if kind == "value_error":
        what, _, remedy = str(error["ctx"]["error"]).partition(": ")
        return Found(file, path, f"{name} {what}", remedy)
    if kind == "string_pattern_mismatch":
        return Found(file, path, f"{name} is not well-formed", f"write {EXAMPLES[error['ctx']['pattern']]}")
    said = str(error["msg"])
    return Found(file, path, f"{name} is wrong", said.replace("Input should", "it should"))


def written(path: Path) -> str:
    """A path as people write it: `tariff 3, valid_from` (the third tariff); `file` for the whole."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts[-1] = f"{parts[-1]} {step + 1}"
        else:
            parts.append(step)
    return ", ".join(parts) or "the file"
