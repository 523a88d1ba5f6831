"""A cooperative loop of our own over native coroutines.

MicroPython's asyncio keeps its clock in C, so neither lock-step with a simulation nor replay could reach it. Here all time and
all readiness come from the board: `board.ticks_ms()` and `board.wait(until_ms)`. Tasks run in the order in which they became
ready, one at a time, and never at the same time as anything else: between two `await`s a task has the validator to itself.

A coroutine awaits one of: `sleep_ms`, `pause`, `port_ready`, or a `Wait` as it is. A task that ends with an exception ends the
program: a validator that goes on half-alive is worse than one that starts again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import collect_garbage_often

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from typing import Any

    from firmware.boards.board import Board, Datagrams, Port


class Wait:
    """What a suspended task waits for: a moment, or bytes on a port, whatever comes first. It may be awaited as it is."""

    __slots__ = ("port", "until_ms")

    def __init__(self, port: Port | Datagrams | Flag | None, until_ms: int | None) -> None:
        self.port = port
        self.until_ms = until_ms

    def __iter__(self) -> Generator[Wait, None, None]:  # noqa: PYI058 - awaited, too
        yield self

    # CPython awaits through `__await__`, MicroPython iterates.
    __await__ = __iter__


class Flag:
    """Something that one task raises and another waits for, with `port_ready`."""

    def __init__(self) -> None:
        self._raised = False

    def raise_(self) -> None:
        self._raised = True

    def lower(self) -> None:
        self._raised = False

    def has_data(self) -> bool:
        """Return whether it is raised."""
        return self._raised


class Loop:
    """Runs tasks on a board's time."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._tasks: list[tuple[Coroutine[Any, Any, Any], Wait]] = []

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start a task; it runs up to its first wait at the loop's next turn."""
        self._tasks.append((coroutine, Wait(None, self._board.ticks_ms())))

    def now_ms(self) -> int:
        """Return milliseconds since boot."""
        return self._board.ticks_ms()

    async def sleep_ms(self, duration_ms: int) -> None:
        await Wait(None, self._board.ticks_ms() + duration_ms)

    async def pause(self) -> None:
        """Let other tasks run."""
        await Wait(None, self._board.ticks_ms())

    async def port_ready(self, port: Port | Datagrams | Flag, until_ms: int | None = None) -> bool:
        """Wait until the port has bytes or was closed (a flag: is raised), or until that moment; return whether it is so."""
        if not port.has_data():
            await Wait(port, until_ms)
        return port.has_data()

    def run(self) -> None:
        """Run until no task is left, which for a validator is never."""
        collect_garbage_often(False)
        while self._tasks:
            if not self.run_ready():
                self._board.wait(self.next_deadline_ms())

    def next_deadline_ms(self) -> int | None:
        """Return the earliest moment that a task waits for, or None."""
        earliest_ms = None
        for _, wait in self._tasks:
            if wait.until_ms is not None and (earliest_ms is None or wait.until_ms < earliest_ms):
                earliest_ms = wait.until_ms
        return earliest_ms

    def run_ready(self) -> int:
        """Run each task that is ready now once, and return how many there were.

        No list is made of them: the garbage of each turn would be collected in the middle of a tap.
        """
        now_ms = self._board.ticks_ms()
        place = count = 0
        for _ in range(len(self._tasks)):
            coroutine, wait = self._tasks[place]
            if not _is_ready(wait, now_ms):
                place += 1
                continue
            del self._tasks[place]
            count += 1
            try:
                self._tasks.append((coroutine, coroutine.send(None)))
            except StopIteration:
                continue
        return count


def _is_ready(wait: Wait, now_ms: int) -> bool:
    if wait.until_ms is not None and wait.until_ms <= now_ms:
        return True
    return wait.port is not None and wait.port.has_data()
