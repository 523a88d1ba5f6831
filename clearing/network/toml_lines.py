"""On which line of a TOML file something stands, for messages that name it. Pure.

`tomllib` reads values without places. This reads a text that `tomllib` has accepted once more, statement by statement: a
statement is the shortest run of lines that is TOML by itself, so that no grammar is written twice. It may be slow; it is
asked only when something is wrong.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]
# An array may be written over so many lines; within a longer one everything stands at its beginning.
_LINES_MAX = 200
_AT_LINE = re.compile(r"\(at line ([0-9]+),")


def line_of_error(error: tomllib.TOMLDecodeError, text: str) -> int:
    """The line at which a text ceases to be TOML."""
    found = _AT_LINE.search(str(error))
    return int(found[1]) if found else text.count("\n") + 1


def key_lines(text: str) -> dict[Path, int]:
    """Lines by path, such as `("tariff", 2, "cashless", "media")`: of every table and every key of a text that is TOML."""
    lines: dict[Path, int] = {(): 1}
    counts: dict[Path, int] = {}
    prefix: Path = ()
    for number, statement in _statements(text):
        table = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            prefix = _prefix(table, counts)
            lines.setdefault(prefix, number)
            lines.setdefault(prefix[:-1], number)
        else:
            for path in _paths(table, prefix):
                lines.setdefault(path, number)
    return lines


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of a path, or of the closest thing around it."""
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each header and each key with its value."""
    pending, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if not pending:
            first = number
            if not line.strip() or line.lstrip().startswith("#"):
                continue
        pending += f"{line}\n"
        if number - first < _LINES_MAX and _is_toml(pending):
            yield first, pending
            pending = ""


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _prefix(table: Any, counts: dict[Path, int]) -> Path:  # noqa: ANN401 - a value of TOML
    """The path of a header, with the places of the arrays on its way; counts the tables of each array."""
    path: Path = ()
    while table:
        if isinstance(table, list):
            counts[path] = counts.get(path, -1) + 1
            return (*path, counts[path])
        name, table = next(iter(table.items()))
        path = (*path, name)
        if path in counts and not isinstance(table, list):
            path = (*path, counts[path])
    return path


def _paths(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from _paths(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*path, index)
            yield from _paths(inner, (*path, index))
