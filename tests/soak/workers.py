"""Plays shards, each in a process of its own: what kills one shard, or is killed with it, spoils no other."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from tests.soak.shards import Shard

_LOOK_S = 0.2
_LAST_WORDS_LINES = 4


@dataclass
class _Worker:
    shard: Shard
    process: subprocess.Popen[bytes]
    said: IO[bytes]

    def last_words(self) -> str:
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").splitlines()
        self.said.close()
        return " ".join(lines[-_LAST_WORDS_LINES:])


class Workers:
    """A few at a time.

    Attributes:
        running: names of the shards that are played now.
    """

    def __init__(self, processes: int, kept: Path) -> None:
        self._processes = processes
        self._kept = kept
        self._workers: list[_Worker] = []

    @property
    def running(self) -> list[str]:
        return [worker.shard.name for worker in self._workers]

    def play(self, shards: Sequence[Shard], minutes: float | None) -> Generator[tuple[Shard, int, str]]:
        """Play shards and yield each that is over, with exit code and last words; begin nothing after so many minutes."""
        until_s = None if minutes is None else time.monotonic() + minutes * 60
        waiting = list(reversed(shards))
        try:
            while waiting or self._workers:
                if until_s is not None and time.monotonic() > until_s:
                    waiting.clear()
                while waiting and len(self._workers) < self._processes:
                    self._workers.append(self._start(waiting.pop()))
                yield from self._over()
                time.sleep(_LOOK_S)
        finally:
            self._stop()

    def _start(self, shard: Shard) -> _Worker:
        said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        command = [sys.executable, "-m", "tests.soak", "--shard", shard.name, "--kept", str(self._kept)]
        # In a session of its own, so that Ctrl-C reaches us alone, and we stop it once.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
        return _Worker(shard, process, said)

    def _over(self) -> list[tuple[Shard, int, str]]:
        over = [worker for worker in self._workers if worker.process.poll() is not None]
        self._workers = [worker for worker in self._workers if worker not in over]
        return [(worker.shard, worker.process.returncode, worker.last_words()) for worker in over]

    def _stop(self) -> None:
        """Let each put away what it has started, and wait for that."""
        for worker in self._workers:
            worker.process.send_signal(signal.SIGTERM)
        for worker in self._workers:
            worker.process.wait()
            worker.said.close()
