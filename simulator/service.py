"""The clearing service as a simulation meets it: the `jolaqy` command in a process of its own, and its HTTP interface.

The simulator never imports the back office. It starts the same program that an operator starts, lets it read the virtual
clock from a file, and speaks HTTP to it with an API token.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from pathlib import Path

_START_TIMEOUT_S = 60.0
_LAST_WORDS_LINES = 4
_JOLAQY = (sys.executable, "-m", "clearing")


class ServiceError(Exception):
    """The clearing service could not be started, or refused what the simulation asked."""


class ClockFile:
    """The virtual clock, shared with the service through eight bytes of a file (unix milliseconds, little-endian)."""

    def __init__(self, path: Path, now_ms: int) -> None:
        self.path = path
        path.write_bytes(now_ms.to_bytes(8, "little"))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)

    def set(self, now_ms: int) -> None:
        self._map[:8] = now_ms.to_bytes(8, "little")


class Service:
    """A running clearing service; what it refuses, and that it does not answer, is a ServiceError.

    Attributes:
        url: its address, `http://127.0.0.1:PORT`.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=120.0, trust_env=False
        )

    @property
    def address(self) -> tuple[str, int]:
        parts = httpx.URL(self.url)
        return parts.host, parts.port or 80

    def get(self, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - JSON
        return self._ask("GET", path, params=parameters)

    def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        return self._ask("POST", path, json=body)

    def check_page(self, path: str) -> None:
        """Raise ServiceError unless a page comes."""
        response = self._http.get(path)
        if response.is_error:
            raise ServiceError(f"the page {path} does not come: {response.status_code}")

    def _ask(self, method: str, path: str, **content: Any) -> Any:  # noqa: ANN401 - JSON
        try:
            response = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise ServiceError(f"{method} {path}: no answer from {self.url} ({error})") from error
        if response.is_error:
            raise ServiceError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json()

    def close(self) -> None:
        self._http.close()


class ServiceProcess:
    """`jolaqy serve` in a process of its own, on a database by its URL: that of JOLAQY_DATABASE_URL, or the one under `home`.

    `program` is what runs it, if not the `jolaqy` command as it is.

    Attributes:
        url: where it listens.
    """

    def __init__(
        self, home: Path, *options: str, database_url: str = "", program: tuple[str, ...] | None = None
    ) -> None:
        """Start it, and wait until it listens.

        Raises:
            ServiceError: it ended instead; the message has its last words.
        """
        self._home = home
        self._database_url = database_url
        log = home / "service.log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [*(program or _JOLAQY), "serve", *options],
                env=_environment(home, database_url),
                stdout=subprocess.PIPE,
                stderr=file,
            )
        self.url = self._wait_until_listening(log)

    def _wait_until_listening(self, log: Path) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"listening on "):
                return line.split()[-1].decode()
        self._process.stdout.close()
        self._process.wait(_START_TIMEOUT_S)
        words = " ".join(log.read_text(errors="replace").splitlines()[-_LAST_WORDS_LINES:])
        raise ServiceError(f"the clearing service did not start: {words or 'it said nothing'}")

    def command(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a `jolaqy` command on the same database and return the JSON it prints."""
        return run_command(self._home, *arguments, database_url=self._database_url)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it as `kill -9` does: it can do nothing any more."""
        self._process.kill()
        self.stop()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_START_TIMEOUT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


def run_command(home: Path, *arguments: str, database_url: str = "") -> Any:  # noqa: ANN401 - JSON
    """Run a `jolaqy` command on a home and its database, and return the JSON it prints.

    Raises:
        ServiceError: it failed.
    """
    environment = _environment(home, database_url)
    done = subprocess.run([*_JOLAQY, *arguments], env=environment, capture_output=True, check=False)
    if done.returncode:
        raise ServiceError(f"jolaqy {' '.join(arguments)}: exit {done.returncode}\n{done.stderr.decode()}")
    return json.loads(done.stdout)


def _environment(home: Path, database_url: str) -> dict[str, str]:
    chosen = {"JOLAQY_DATABASE_URL": database_url} if database_url else {}
    return os.environ | {"JOLAQY_HOME": str(home)} | chosen
