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
    """A running clearing service.

    Attributes:
        url: its address, `http://127.0.0.1:PORT`.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=120.0, trust_env=False
        )

    @property
    def address(self) -> tuple[str, int]:
        parts = httpx.URL(self.url)
        return parts.host, parts.port or 80

    def get(self, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - JSON
        return self._answer(self._http.get(path, params=parameters))

    def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        return self._answer(self._http.post(path, json=body))

    def check_page(self, path: str) -> None:
        """Raise ServiceError unless a page comes."""
        response = self._http.get(path)
        if response.is_error:
            raise ServiceError(f"the page {path} does not come: {response.status_code}")

    def _answer(self, response: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        if response.is_error:
            raise ServiceError(
                f"{response.request.method} {response.request.url.path}: {response.status_code} {response.text}"
            )
        return response.json()

    def close(self) -> None:
        self._http.close()


class ServiceProcess:
    """`jolaqy serve` in a process of its own, on the database under `home`.

    Attributes:
        url: where it listens.
    """

    def __init__(self, home: Path, *options: str) -> None:
        self._environment = os.environ | {"JOLAQY_HOME": str(home)}
        self._environment.setdefault("JOLAQY_DATABASE_URL", f"sqlite:///{home / 'jolaqy.db'}")
        with (home / "service.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_JOLAQY, "serve", *options], env=self._environment, stdout=subprocess.PIPE, stderr=log
            )
        self.url = self._wait_until_listening(home)

    def _wait_until_listening(self, home: Path) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"listening on "):
                return line.split()[-1].decode()
        self._process.wait(_START_TIMEOUT_S)
        raise ServiceError(f"the clearing service did not start; its log is {home / 'service.log'}")

    def command(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a `jolaqy` command on the same database and return the JSON it prints."""
        done = subprocess.run([*_JOLAQY, *arguments], env=self._environment, capture_output=True, check=False)
        if done.returncode:
            raise ServiceError(f"jolaqy {' '.join(arguments)}: exit {done.returncode}\n{done.stderr.decode()}")
        return json.loads(done.stdout)

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_START_TIMEOUT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


def read_keys(home: Path) -> dict[str, bytes]:
    """Read the city's keys, as the bureau that personalises its cards is handed them."""
    stored = json.loads((home / "keys.json").read_text())
    return {name: bytes.fromhex(value) for name, value in stored.items() if isinstance(value, str)}
