"""Reading a table of a city package with all its faults: each value is taken out by name and bounded; what is left is a fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

_NAME_CHARACTERS_MAX = 80
_MISSING = object()


class Reader:
    """One table. It returns something harmless for what is wrong, and remembers the fault.

    Attributes:
        faults: of this table and of those inside it, a sentence each.
    """

    def __init__(self, place: str, table: object, faults: list[str] | None = None) -> None:
        self.faults: list[str] = [] if faults is None else faults
        self._place = place
        self._left: dict[str, Any] = dict(table) if isinstance(table, Mapping) else {}
        if not isinstance(table, Mapping):
            self.fault("is no table")

    def fault(self, text: str) -> None:
        self.faults.append(f"{self._place}: {text}")

    def refuse_the_rest(self) -> None:
        """What nobody asked for is a word that does not exist."""
        self.faults += [f"{self._place}: {name}: no such word" for name in sorted(self._left)]

    def _take(self, name: str) -> Any:  # noqa: ANN401 - whatever stands there
        return self._left.pop(name, _MISSING)

    def integer(self, name: str, least: int, greatest: int, default: int | None = None) -> int:
        value = self._take(name)
        if value is _MISSING and default is not None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= greatest:
            return value
        self.fault(
            f"{name} is missing" if value is _MISSING else f"{name} is a whole number from {least} to {greatest}"
        )
        return least

    def flag(self, name: str) -> bool:
        value = self._take(name)
        if value is _MISSING or isinstance(value, bool):
            return value is True
        self.fault(f"{name} is true or false")
        return False

    def choice(self, name: str, choices: Sequence[str]) -> str:
        value = self._take(name)
        if value in choices:
            return str(value)
        self.fault(f"{name} is {' or '.join(choices)}")
        return choices[0]

    def names(self, name: str) -> list[str]:
        value = self._take(name)
        if value is _MISSING:
            return []
        if isinstance(value, list) and all(isinstance(each, str) and _is_name(each) for each in value):
            return value
        self.fault(f"{name} is a list of names")
        return []

    def integers(self, name: str, least: int, greatest: int, count_max: int) -> list[int]:
        value = self._take(name)
        return [] if value is _MISSING else self._integers(name, value, least, greatest, count_max)

    def _integers(self, name: str, value: object, least: int, greatest: int, count_max: int) -> list[int]:
        if (
            isinstance(value, list)
            and len(value) <= count_max
            and all(_is_within(each, least, greatest) for each in value)
        ):
            return value
        self.fault(f"{name} is a list of at most {count_max} whole numbers from {least} to {greatest}")
        return []

    def lists(self, name: str, least: int, greatest: int, count_max: int) -> dict[str, list[int]]:
        """A table of lists of numbers."""
        value = self._take(name)
        if not isinstance(value, Mapping):
            self.fault(f"{name} is a table of lists")
            return {}
        return {
            str(key): self._integers(f"{name}.{key}", numbers, least, greatest, count_max)
            for key, numbers in value.items()
        }

    def days(self, name: str) -> list[str]:
        value = self._take(name)
        if value is _MISSING:
            return []
        try:
            return [date.fromisoformat(str(each)).isoformat() for each in value]
        except (TypeError, ValueError):
            self.fault(f"{name} is a list of days such as 2025-03-22")
            return []

    def texts(self, name: str, languages: Sequence[str]) -> dict[str, str]:
        value = self._take(name)
        if isinstance(value, Mapping) and sorted(value) == sorted(languages) and all(map(_is_name, value.values())):
            return dict(value)
        self.fault(f"{name} is said in {', '.join(languages)}")
        return dict.fromkeys(languages, "")

    def by_category(self, name: str, least: int, greatest: int) -> dict[int, int]:
        """A table of numbers by rider category."""
        value = self._take(name)
        if value is _MISSING:
            return {}
        is_right = isinstance(value, Mapping) and all(
            str(key).isdecimal() and _is_within(each, least, greatest) for key, each in value.items()
        )
        if not is_right:
            self.fault(f"{name} gives rider categories whole numbers from {least} to {greatest}")
            return {}
        return {int(key): each for key, each in value.items()}

    def table(self, name: str) -> Reader | None:
        value = self._take(name)
        return None if value is _MISSING else Reader(f"{self._place}.{name}", value, self.faults)

    def tables(self, name: str, count_max: int) -> Iterator[Reader]:
        value = self._take(name)
        if value is _MISSING:
            return
        if not isinstance(value, list) or len(value) > count_max:
            self.fault(f"{name} is a list of at most {count_max} tables")
            return
        for number, each in enumerate(value, 1):
            yield Reader(f"{self._place}.{name} {number}", each, self.faults)

    def tables_by_category(self, name: str) -> Iterator[tuple[int, Reader]]:
        value = self._take(name)
        if value is _MISSING:
            return
        if not isinstance(value, Mapping) or not all(str(key).isdecimal() for key in value):
            self.fault(f"{name} is a table by rider category")
            return
        for key, each in value.items():
            yield int(key), Reader(f"{self._place}.{name} {key}", each, self.faults)


def _is_within(value: object, least: int, greatest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= greatest


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _NAME_CHARACTERS_MAX
