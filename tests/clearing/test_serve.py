"""The service as a process of its own: started, driven and stopped as a simulation does it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.builders import NOW_MS, Counter, Device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Service:
    """`jolaqy serve` on a fresh database, its clock in a file."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock_file = home / "clock"
        self.environment = {**os.environ, "JOLAQY_HOME": str(home)}
        self.environment.pop("JOLAQY_DATABASE_URL", None)
        self.start()

    def start(self) -> None:
        home = self.home
        self.clock_file.write_bytes(NOW_MS.to_bytes(8, "little"))
        with (home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "clearing", "serve", "--port", "0", "--clock-file", str(self.clock_file)],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), (home / "log").read_text()
        self.url = line.split()[-1]

    def end(self, number: int) -> int:
        assert self.process.stdout is not None
        self.process.send_signal(number)
        self.process.stdout.close()
        return self.process.wait(20)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "clearing", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    if service.process.poll() is None:
        service.end(signal.SIGTERM)


def _get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, trust_env=False)


def test_the_service_prepares_a_fresh_database_says_so_and_stops_when_asked(service: Service) -> None:
    assert "fresh" in (service.home / "log").read_text()
    assert (service.home / "keys.json").stat().st_mode & 0o777 == 0o600
    assert _get(f"{service.url}/healthz").json() == {"status": "ok", "time_ms": NOW_MS}
    cities = _get(f"{service.url}/v1/cities").json()["cities"]
    assert [city["code"] for city in cities] == ["almaty"]
    with service.clock_file.open("r+b") as file:
        file.write((NOW_MS + 5).to_bytes(8, "little"))
    assert _get(f"{service.url}/healthz").json()["time_ms"] == NOW_MS + 5
    assert service.end(signal.SIGTERM) == 0


def test_a_command_beside_the_running_service_sees_the_same_database(service: Service) -> None:
    issued = service.command("token", "issue", "simulator", "--role", "administrator", "--json")
    assert issued.returncode == 0, issued.stderr
    invited = service.command("validator", "invite", "--city", "almaty", "--vehicle", "A-101", "--json")
    assert invited.returncode == 0, invited.stderr


def test_what_was_acknowledged_survives_a_killed_service(service: Service) -> None:
    device = Device(seed=1)
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        counter = Counter(client)
        counter.enrol(device)
        message = device.message([device.record() for _ in range(10)])
        first = counter.send(device, message)
    assert service.end(signal.SIGKILL) == -signal.SIGKILL
    service.start()
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        again = Counter(client).send(device, message)
    assert (again.sequence, again.head) == (first.sequence, first.head) == (10, device.head)
