"""Measure how long the worst messages keep a decoder: `python -m tests.protocol.decoder_bench`."""

from __future__ import annotations

import sys
from contextlib import suppress
from time import perf_counter

from protocol import cbor
from protocol.errors import CborError
from tests.protocol.worst_messages import make_worst

_LIMIT_MS = 50
_TIMES = 20


def _decode_ms(message: bytes) -> float:
    """Return the shortest of several times, in milliseconds."""
    shortest_s = 1e9
    for _ in range(_TIMES):
        started_s = perf_counter()
        with suppress(CborError):
            cbor.decode(message)
        shortest_s = min(shortest_s, perf_counter() - started_s)
    return shortest_s * 1000


def main() -> int:
    """Print a line for each and return the exit code: 1 where one takes longer than it may."""
    taken_ms = {name: _decode_ms(message) for name, message in make_worst().items()}
    for name in sorted(taken_ms, key=taken_ms.__getitem__, reverse=True):
        print(f"{taken_ms[name]:8.3f} ms  {name}")
    return int(max(taken_ms.values()) > _LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
