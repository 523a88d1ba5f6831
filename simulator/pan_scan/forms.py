"""Every form in which a card number could be left behind, and the search for all of them at once.

A number is looked for as text (which is what stands before the `=` of a track, too), as text of two bytes a character, as
packed digits (which is what stands before the D of track 2), packed and shifted by half a byte, and each of the packed ones
backwards as well: so a large integer holds them.
"""

from __future__ import annotations

import mmap
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FORMS = (
    "text",
    "utf-16-le",
    "utf-16-be",
    "packed",
    "packed, shifted",
    "packed, backwards",
    "packed, shifted, backwards",
)
_ANCHOR_BYTES = 3


def forms_of(number: str) -> Iterator[tuple[str, bytes]]:
    """Return the forms of a number that are looked for, by name."""
    whole = number[: len(number) // 2 * 2]
    packed = bytes.fromhex(whole)
    shifted = bytes.fromhex(number[1 : 1 + (len(number) - 1) // 2 * 2])
    yield "text", number.encode()
    yield "utf-16-le", number.encode("utf-16-le")
    yield "utf-16-be", number.encode("utf-16-be")
    yield "packed", packed
    yield "packed, shifted", shifted
    yield "packed, backwards", packed[::-1]
    yield "packed, shifted, backwards", shifted[::-1]


@dataclass
class Looked:
    """What was looked at.

    Attributes:
        pieces, size_bytes: by what it is (`journals`, `memory of validators`, …).
        hits: found numbers: where, in which form, at which byte. The number itself is not told.
    """

    pieces: Counter[str] = field(default_factory=Counter)
    size_bytes: Counter[str] = field(default_factory=Counter)
    hits: list[dict[str, str | int]] = field(default_factory=list)

    def add(self, other: Looked) -> None:
        self.pieces += other.pieces
        self.size_bytes += other.size_bytes
        self.hits += other.hits


class Scanner:
    """Looks for numbers, however many, in one pass.

    A form is looked for by three bytes of it that many numbers have in common: those of its first digits.
    """

    def __init__(self, numbers: Iterable[str]) -> None:
        # By those three bytes: where in a pattern they are, and how long it is; then the patterns.
        self._patterns: dict[bytes, dict[tuple[int, int], dict[bytes, str]]] = {}
        for number in numbers:
            for form, pattern in forms_of(number):
                at = len(pattern) - _ANCHOR_BYTES if form.endswith("backwards") else 0
                places = self._patterns.setdefault(pattern[at : at + _ANCHOR_BYTES], {})
                places.setdefault((at, len(pattern)), {})[pattern] = form
        anchors = b"|".join(re.escape(anchor) for anchor in self._patterns)
        # Looked for ahead, so that one that begins within another is found as well.
        self._anchors = re.compile(b"(?=(" + anchors + b"))", re.DOTALL)

    def find(self, data: bytes | mmap.mmap) -> Iterator[tuple[int, str]]:
        """Return where a number is, and in which form."""
        for match in self._anchors.finditer(data):
            for (at, size), patterns in self._patterns[match[1]].items():
                start = match.start() - at
                form = patterns.get(data[start : start + size]) if start >= 0 else None
                if form is not None:
                    yield start, form

    def look_at(self, looked: Looked, what: str, place: str, data: bytes | mmap.mmap) -> None:
        """Look at one piece, and note what is found."""
        looked.pieces[what] += 1
        looked.size_bytes[what] += len(data)
        looked.hits += [{"what": what, "place": place, "form": form, "byte": at} for at, form in self.find(data)]

    def look_at_file(self, looked: Looked, what: str, path: Path) -> None:
        """Look at a file."""
        if path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                self.look_at(looked, what, path.name, data)
