"""A validator as a child process, in lock-step with the simulation's clock (the channel: `firmware.boards.desktop`).

The child is the real program on a real MicroPython, on the 32-bit one with a device's heap, or on CPython. Time stands still for
it except while it runs; it runs until it has nothing to do, and then says for how long.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import IO, TYPE_CHECKING

from firmware.boards.desktop import POWER_CUT_EXIT
from simulator.counterparties.acquirer import put_key_into
from simulator.runtimes import start_command
from simulator.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulator.network import Link
    from simulator.terminal import Device
    from simulator.vehicle_network import Plug

_ENROL_TIMEOUT_S = 60
_LOG_LINES_MAX = 50
_KILLED = -signal.SIGKILL
_COMPLAINTS = "stderr"
_LINK_NONE, _LINK_OPEN, _LINK_REFUSED, _LINK_CLOSED = "none", "open", "refused", "closed"


class ProcessFault(Exception):  # noqa: N818 - something happened to a child
    """A child could not be started or enrolled, or died of an error of its own."""


class ValidatorProcess:
    """One validator.

    Attributes:
        exit_code: of the last child, once it ended.
        heap_peak: most live heap that it reported, bytes.
        log: its last 50 lines for whoever holds the board.
        task: of the firmware, from the next start on: `run`, or `inspect`.
    """

    def __init__(
        self,
        runtime: str,
        state: Path,
        seed: str,
        devices: tuple[Device, Device, Device],
        dial: Callable[[], Link | None],
        hear: Callable[[str], None],
        options: tuple[str, ...] = (),
        plug: Plug | None = None,
    ) -> None:
        """Prepare a validator.

        Args:
            runtime: one of `RUNTIMES`.
            state: its folder.
            seed: its random numbers come from it.
            devices: at the UARTs of reader chip, code scanner and driver's console.
            dial: gives a link for each connection that it opens, None where there is no network.
            hear: told every line that it shows, lights or beeps.
            options: more options of the firmware.
            plug: into the network of its vehicle, where it has one.

        Raises:
            RuntimeMissing: the runtime is not set up.
        """
        self._command, self._environment = start_command(runtime)
        self._state = state
        self._seed = seed
        self._devices = devices
        self._dial = dial
        self._hear = hear
        self._options = options
        self.task = "run"
        self._plug = plug
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._terminals: list[Terminal] = []
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._link: Link | None = None
        self._boot_ms = 0
        self._until_ms: int | None = None
        self._reset_link()
        self._dials = 0
        self.exit_code: int | None = None
        self.heap_peak = 0
        self.log: list[str] = []
        state.mkdir(parents=True, exist_ok=True)
        put_key_into(state, seed)

    def is_alive(self) -> bool:
        """Return whether the child is running."""
        return self._child is not None

    @property
    def process_id(self) -> int | None:
        """Of the child, while it is running."""
        return None if self._child is None else self._child.pid

    def _address(self) -> str:
        host, port = self._listener.getsockname()[:2]
        return f"{host}:{port}"

    def _start(self, *arguments: str, server: str | None = None) -> subprocess.Popen[bytes]:
        common = ("--seed", self._seed, "--server", server or self._address())
        with (self._state / _COMPLAINTS).open("wb") as complaints:
            return subprocess.Popen(
                [*self._command, arguments[0], "--state", str(self._state), *common, *arguments[1:]],
                env={"PATH": os.environ.get("PATH", ""), **self._environment},
                cwd=self._state,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
            )

    def _complaint(self) -> str:
        """Return the last line that the child left on its standard error."""
        lines = (self._state / _COMPLAINTS).read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"

    def enrol(self, address: tuple[str, int], code: str) -> None:
        """Enrol at a clearing service, in real time.

        Raises:
            ProcessFault: it was refused; the message is the validator's own.
        """
        child = self._start("enrol", "--code", code, server=f"{address[0]}:{address[1]}")
        try:
            output, _ = child.communicate(timeout=_ENROL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise ProcessFault(f"the validator was not enrolled within {_ENROL_TIMEOUT_S} s") from None
        if child.returncode:
            said = output.decode().strip().removeprefix("log ")
            raise ProcessFault(said or f"enrolment failed: {self._complaint()}")

    def boot(self, now_ms: int, cut_after_bytes: int | None = None) -> None:
        """Switch it on at that moment (unix ms); with `cut_after_bytes` its power fails at that byte written to flash."""
        assert self._child is None
        self._boot_ms = now_ms
        self._terminals = [Terminal(device) for device in self._devices]
        self._reset_link()
        self._dials = 0
        paths = [terminal.path for terminal in self._terminals]
        cut = () if cut_after_bytes is None else ("--cut-after-bytes", str(cut_after_bytes))
        named = ("--nfc", paths[0], "--qr", paths[1], "--driver", paths[2])
        plugged = () if self._plug is None else self._plug.options()
        options = (*named, *cut, *plugged, *self._options)
        self._child = self._start(self.task, "--clock", "lockstep", "--rtc", str(now_ms), *options)
        self._take_words_until_idle(now_ms)

    def run_until_idle(self, now_ms: int) -> int | None:
        """Let it run at that moment; return when it, or a device at its UARTs, wants to go on (unix ms), or None."""
        while self.is_alive():
            self._wake(now_ms)
            if not self.is_alive():
                return None
            deadline_ms = self._next_deadline_ms()
            if deadline_ms is None or deadline_ms > now_ms:
                return deadline_ms
        return None

    def _next_deadline_ms(self) -> int | None:
        deadlines = [terminal.next_timeout_ms() for terminal in self._terminals]
        deadlines.append(self._link.next_timeout_ms() if self._link is not None else None)
        deadlines.append(self._until_ms)
        deadlines.append(0 if self._plug is not None and self._plug.is_waiting() else None)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _wake(self, now_ms: int) -> None:
        for terminal in self._terminals:
            terminal.give(now_ms)
        self._give_to_link(now_ms)
        words = [
            now_ms - self._boot_ms,
            *(terminal.written for terminal in self._terminals),
            self._link_state,
            self._link_sent,
            *(() if self._plug is None else (self._plug.give(),)),
        ]
        assert self._child is not None
        try:
            stream = _stream(self._child.stdin)
            stream.write(("wake " + " ".join(map(str, words)) + "\n").encode())
            stream.flush()
        except BrokenPipeError:
            self._bury()
            return
        self._take_words_until_idle(now_ms)

    def _take_words_until_idle(self, now_ms: int) -> None:
        assert self._child is not None
        output = _stream(self._child.stdout)
        while True:
            line = output.readline().decode().rstrip("\n")
            if not line:
                self._bury()
                return
            if line.startswith("idle "):
                self._take_idle(line.split()[1:], now_ms)
                return
            if line.startswith("log heap "):
                self.heap_peak = max(self.heap_peak, int(line.split()[2]))
            elif line.startswith("log "):
                self.log = [*self.log[-_LOG_LINES_MAX + 1 :], line[4:]]
            else:
                self._hear(line)

    def _take_idle(self, words: list[str], now_ms: int) -> None:
        self._until_ms = None if words[0] == "-" else self._boot_ms + int(words[0])
        for terminal, total in zip(self._terminals, words[1:4], strict=True):
            terminal.take(int(total), now_ms)
        dials, written, is_open, *told = (int(word) for word in words[4:])
        if self._plug is not None:
            self._plug.take(told[0])
        while self._dials < dials:
            self._dials += 1
            self._accept()
        if self._connection is not None:
            self._take_from_link(written, now_ms)
            if not is_open:
                self._reset_link()

    # The link.

    def _reset_link(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._link = None
        self._link_state = _LINK_NONE
        self._link_sent = 0
        self._link_read = 0

    def _accept(self) -> None:
        self._reset_link()
        self._connection, _ = self._listener.accept()
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._link = self._dial()
        self._link_state = _LINK_REFUSED if self._link is None else _LINK_OPEN

    def _take_from_link(self, total: int, now_ms: int) -> None:
        assert self._connection is not None
        data = b""
        while self._link_read < total:
            chunk = self._connection.recv(total - self._link_read)
            if not chunk:
                break
            self._link_read += len(chunk)
            data += chunk
        if data and self._link is not None:
            self._link.receive_data(data, now_ms)

    def _give_to_link(self, now_ms: int) -> None:
        if self._link is None or self._connection is None:
            return
        data = self._link.data_to_send(now_ms)
        if data:
            self._connection.sendall(data)
            self._link_sent += len(data)
        if self._link.closed:
            self._link_state = _LINK_CLOSED

    # The end.

    def kill(self) -> None:
        """Cut its power now."""
        if self._child is not None:
            self._child.kill()
            self._bury()

    def _bury(self) -> None:
        """Note that the child has ended; anything but a loss of power is an error.

        Raises:
            ProcessFault: it ended by itself.
        """
        assert self._child is not None
        self.exit_code = self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            _stream(stream).close()
        self._child = None
        self._reset_link()
        for terminal in self._terminals:
            terminal.close()
        self._terminals = []
        if self.exit_code not in {POWER_CUT_EXIT, _KILLED}:
            raise ProcessFault(f"a validator stopped with exit code {self.exit_code}: {self._complaint()}")

    def close(self) -> None:
        """Cut its power for good."""
        try:
            self.kill()
        finally:
            self._listener.close()


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
