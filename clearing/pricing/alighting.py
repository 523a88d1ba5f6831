"""Where rides ended whose media are held twice: each boarding takes the first alighting of its medium on that vehicle. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

Key = tuple[bytes, int, int]


class Held(NamedTuple):
    """A medium held when boarding or alighting."""

    key: Key
    token: bytes
    vehicle: str
    at_s: int
    stop: int | None


def alighted(boardings: Iterable[Held], alightings: Iterable[Held], within_s: int) -> Mapping[Key, int]:
    """The stop at which each ride ended, by the key of its boarding; left out where nobody knows.

    An alighting ends the last boarding before it, and one only; what comes later than `within_s` ends none.
    """
    ends: dict[tuple[bytes, str], list[Held]] = {}
    for end in sorted(alightings, key=lambda held: (held.at_s, held.key)):
        ends.setdefault((end.token, end.vehicle), []).append(end)
    starts: dict[tuple[bytes, str], list[Held]] = {}
    for start in sorted(boardings, key=lambda held: (held.at_s, held.key)):
        starts.setdefault((start.token, start.vehicle), []).append(start)
    found: dict[Key, int] = {}
    for place, some in starts.items():
        for number, start in enumerate(some):
            until_s = min([start.at_s + within_s, *(following.at_s for following in some[number + 1 : number + 2])])
            first = next((each for each in ends.get(place, ()) if start.at_s < each.at_s <= until_s), None)
            if first is not None and first.stop is not None:
                found[start.key] = first.stop
    return found
