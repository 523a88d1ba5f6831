"""The memory of a running process, as somebody reads it who holds the machine (/proc/PID/mem, Linux)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)")
# Pages of the kernel, which cannot be read.
_NOT_ITS_OWN = {"[vvar]", "[vsyscall]", "[vvar_vclock]"}


def regions(process: int) -> Iterator[tuple[str, bytes]]:
    """Return all that a process can write to (heap, stack, anonymous memory, data of libraries): its name, and what is in it.

    Raises:
        PermissionError: this user may not look into that process.
    """
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            match = _REGION.match(line)
            if match is None or "w" not in match[3] or match[4] in _NOT_ITS_OWN:
                continue
            begin, end = int(match[1], 16), int(match[2], 16)
            memory.seek(begin)
            yield match[4] or "anonymous", _read(memory, end - begin)


def _read(memory: object, size: int) -> bytes:
    pieces = []
    while size:
        try:
            piece: bytes = memory.read(size)  # type: ignore[attr-defined]
        except OSError:  # a guard page
            break
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
