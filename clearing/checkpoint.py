"""Named points on the way of a message, at which a simulation lets the service crash. In production nobody watches them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

RECEIVED = "after receive"
VERIFIED = "after verify"
STORED = "before commit"
COMMITTED = "after commit"
SIGNED = "after signing"
NAMES = (RECEIVED, VERIFIED, STORED, COMMITTED, SIGNED)


class _Watcher:
    """Whoever watches, if anybody does."""

    act: Callable[[str], None] | None = None


def checkpoint(name: str) -> None:
    """Say that the service has come to this point."""
    if _Watcher.act is not None:
        _Watcher.act(name)


@contextmanager
def watched(act: Callable[[str], None]) -> Iterator[None]:
    """Within the block, `act` is told each point; what it raises is raised there."""
    before, _Watcher.act = _Watcher.act, act
    try:
        yield
    finally:
        _Watcher.act = before
