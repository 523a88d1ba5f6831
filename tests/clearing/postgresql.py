"""A PostgreSQL server of the tests' own: made in a short temporary folder, reached by its socket, stopped by its process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

_START_TIMEOUT_S = 30.0
_USER = "postgres"
_MEMORY_BYTES_MIN = 1 << 30


def find_programs() -> Path | None:
    """The folder with `initdb` and `postgres` of the newest version that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups"]


def fast_folder() -> Path:
    """Memory, where there is enough of it: a database is copied and synced there much faster than on a disk."""
    memory = Path("/dev/shm")  # noqa: S108 - only a folder of our own is made in it
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _MEMORY_BYTES_MIN:
        return memory
    return Path("/tmp")  # noqa: S108


class PostgresqlServer:
    """A running server; everything in it is thrown away at the end."""

    def __init__(self, programs: Path, is_durable: bool = False) -> None:
        # A socket's path ends near 107 bytes, and the server's user must be able to enter the folder.
        self._folder = Path(tempfile.mkdtemp(prefix="jq", dir="/var/tmp" if is_durable else fast_folder()))  # noqa: S108
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER, _USER)
        data = self._folder / "data"
        initdb: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            _USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run([*_as_user(), *initdb], check=True, capture_output=True, cwd=self._folder)
        options: list[str | Path] = [
            "-c",
            "listen_addresses=",
            "-c",
            f"fsync={'on' if is_durable else 'off'}",
            "-c",
            "max_connections=200",
            "-k",
            self._folder,
        ]
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*_as_user(), programs / "postgres", "-D", data, *options],
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder,
        )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def execute(self, statement: str) -> None:
        """Run one statement outside of any transaction."""
        with psycopg.connect(host=str(self._folder), user=_USER, dbname=_USER, autocommit=True) as connection:
            connection.execute(statement.encode())

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://{_USER}@/{name}?host={self._folder}"

    def copy(self, template: str, name: str) -> str:
        """Make a database from a template and return its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, name: str) -> None:
        self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_START_TIMEOUT_S)
        self._log.close()
        shutil.rmtree(self._folder)
