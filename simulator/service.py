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
from pathlib import Path
from typing import Any

import httpx

_START_TIMEOUT_S = 60.0


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


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "clearing", *arguments]


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

    def _answer(self, response: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        if response.is_error:
            raise ServiceError(
                f"{response.request.method} {response.request.url.path}: {response.status_code} {response.text}"
            )
        return response.json()

    def close(self) -> None:
        self._http.close()


class LocalService(Service):
    """A service that this simulation started, on a database of its own, and stops again."""

    def __init__(self, home: Path, clock: ClockFile) -> None:
        self.home = home
        self._environment = os.environ | {"JOLAQY_HOME": str(home)}
        if "JOLAQY_DATABASE_URL" not in os.environ:
            self._environment["JOLAQY_DATABASE_URL"] = f"sqlite:///{home / 'jolaqy.db'}"
        self._log = (home / "service.log").open("wb")
        self._process = subprocess.Popen(
            _command("serve", "--port", "0", "--clock-file", str(clock.path)),
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        url = self._wait_until_listening()
        super().__init__(url, self._issue_token())

    def _wait_until_listening(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"listening on "):
                return line.split()[-1].decode()
        self._process.wait(_START_TIMEOUT_S)
        raise ServiceError(f"the clearing service did not start; its log is {self._log.name}")

    def _issue_token(self) -> str:
        return str(self.command("token", "issue", "simulator", "--role", "administrator", "--json")["token"])

    def command(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a `jolaqy` command on the same database and return the JSON it prints."""
        done = subprocess.run(_command(*arguments), env=self._environment, capture_output=True, check=False)
        if done.returncode:
            raise ServiceError(f"jolaqy {' '.join(arguments)}: exit {done.returncode}\n{done.stderr.decode()}")
        return json.loads(done.stdout)

    def stop(self) -> None:
        self.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_START_TIMEOUT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


def read_keys(home: Path) -> dict[str, bytes]:
    """Read the city's keys, as the bureau that personalises its cards is handed them."""
    stored = json.loads((home / "keys.json").read_text())
    return {name: bytes.fromhex(value) for name, value in stored.items() if isinstance(value, str)}
