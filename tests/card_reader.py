"""A card reader of one's own: a real pcscd on a private socket, with the virtual reader (`vsmartcard-vpcd`) on a private port.

Nothing of it is the machine's: pcscd sees a folder of ours as its `/run`, where it puts socket and lock file, and the reader is
named in a configuration of its own. So several run at the same time, as whatever user. Where no such view may be made (in a
container without namespaces) root takes the machine's `/run`, one test after the other.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_DRIVER = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
_START_S = 20.0
# Run in a mount namespace of its own, as its root: hide the machine's /run behind a folder of ours, and become pcscd.
_START = """
mount --bind "$1" /run && exec pcscd --foreground --error --config "$2"
"""


class CardReader:
    """One pcscd with one virtual reader.

    Attributes:
        port: at which the reader takes cards.
        environment: for programs that shall find this pcscd and no other.
    """

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))
        if shutil.which("pcscd", path=path) is None or not os.path.exists(_DRIVER):  # noqa: PTH110 - a name in a file, not a path of ours
            pytest.fail("pcscd and its virtual reader are needed: apt-get install pcscd vsmartcard-vpcd")
        self.port = _free_port()
        configuration = folder / "reader.conf"
        configuration.write_text(
            f'FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:{self.port:#x}\nLIBPATH {_DRIVER}\nCHANNELID {self.port:#x}\n'
        )
        self._lock = (Path(tempfile.gettempdir()) / "jolaqy-test-pcscd.lock").open("a")
        view, run = _own_view(), folder / "run"
        if view is not None:
            (run / "pcscd").mkdir(parents=True)
            command = (*view, "sh", "-c", _START, "sh", str(run), str(configuration))
        else:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            run = Path("/run")
            command = ("pcscd", "--foreground", "--error", "--config", str(configuration))
        self.environment = {**os.environ, "PCSCLITE_CSOCK_NAME": str(run / "pcscd" / "pcscd.comm")}
        self._log = (folder / "pcscd.log").open("w+")
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=subprocess.STDOUT, env=os.environ | {"PATH": path}
        )
        self._wait_until_it_takes_cards()

    def _wait_until_it_takes_cards(self) -> None:
        until = time.monotonic() + _START_S
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > until:
                self._log.seek(0)
                pytest.fail(f"pcscd did not start: {self._log.read()}")
            time.sleep(0.02)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()
        self._lock.close()


def _own_view() -> tuple[str, ...] | None:
    """Return what runs a command with a view of its own of the file system; None where that is not to be had, and we are root."""
    for view in (("unshare", "--mount"), ("unshare", "--map-root-user", "--mount")):
        if subprocess.run((*view, "true"), capture_output=True, check=False).returncode == 0:
            return view
    if os.geteuid() != 0:
        pytest.fail("pcscd needs a mount namespace or root: run the tests as root, or allow user namespaces")
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    """Say whether somebody listens, without connecting: a connection would be a card."""
    listening = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as lines:  # noqa: PTH123 - the kernel's table
            if any(line.split()[1].endswith(listening) and line.split()[3] == "0A" for line in lines):
                return True
    return False
