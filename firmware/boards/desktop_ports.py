"""Streams of the desktop board: a pseudo-terminal as UART and a TCP connection as link, on either Python.

MicroPython has its own way with files, terminals and sockets; the difference is kept here.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from protocol.compat import MICROPYTHON, const

if TYPE_CHECKING:
    from firmware.boards.desktop_udp import UdpPort

_READ_BYTES = const(512)
_RAW_MODE = "r+b"
_WHEN_SENT = const(1)  # TCSADRAIN, which MicroPython does not name


class Uart:
    """A pseudo-terminal.

    Attributes:
        written: bytes sent since it was opened.
        received: bytes read from the terminal since then.
        closed: never.
    """

    def __init__(self, path: str) -> None:
        if MICROPYTHON:
            import termios  # noqa: PLC0415

            self._file = open(path, _RAW_MODE)  # noqa: SIM115 - open as long as the board is
            termios.setraw(self._file.fileno())  # type: ignore[attr-defined]
        else:
            import tty  # noqa: PLC0415

            self._file = open(path, _RAW_MODE, buffering=0)  # noqa: SIM115
            tty.setraw(self._file.fileno())
        self._waiting = b""
        self.written = 0
        self.received = 0
        self.closed = False

    def has_data(self) -> bool:
        return bool(self._waiting)

    def read(self) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.written += len(data)

    def set_rate(self, bits_per_s: int) -> None:
        """Change the rate once what was written has left; a pseudo-terminal only notes it."""
        import termios  # noqa: PLC0415

        attributes = termios.tcgetattr(self._file.fileno())
        attributes[4] = attributes[5] = getattr(termios, "B" + str(bits_per_s))
        termios.tcsetattr(self._file.fileno(), _WHEN_SENT, attributes)

    def close(self) -> None:
        """A UART stays open."""

    def fileno(self) -> int:
        return self._file.fileno()

    def receive(self, count: int) -> None:
        """Read from the terminal: exactly that many bytes, waiting for them."""
        while count:
            data = self._file.read(count)
            if not data:
                raise EOFError("the terminal is gone")
            self._waiting += data
            self.received += len(data)
            count -= len(data)


class Silence:
    """A UART with nothing behind it."""

    written = 0
    received = 0
    closed = False

    def has_data(self) -> bool:
        return False

    def read(self) -> bytes:
        return b""

    def write(self, data: bytes) -> None:
        """Nobody listens."""

    def set_rate(self, bits_per_s: int) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing to close."""

    def receive(self, count: int) -> None:
        """Nothing comes."""


class TcpLink:
    """A connection to the clearing service.

    Attributes:
        written, received: bytes since it was dialled.
        closed: nothing more will come.
    """

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket()
        self._socket.connect(socket.getaddrinfo(host, port)[0][-1])
        self._waiting = b""
        self._open = True
        self.written = 0
        self.received = 0
        self.closed = False

    def has_data(self) -> bool:
        return bool(self._waiting) or self.closed

    def read(self) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        if MICROPYTHON:
            self._socket.write(data)  # type: ignore[attr-defined]
        else:
            self._socket.sendall(data)
        self.written += len(data)

    def close(self) -> None:
        self.closed = True
        if self._open:
            self._open = False
            self._socket.close()

    @property
    def is_open(self) -> bool:
        """Whether this side has not closed it."""
        return self._open

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self, count: int) -> None:
        """Read exactly that many bytes, waiting for them."""
        while count:
            data = self._socket.recv(min(count, _READ_BYTES))
            if not data:
                self.closed = True
                return
            self._waiting += data
            self.received += len(data)
            count -= len(data)

    def receive_some(self) -> None:
        """Read what is there; nothing means that the other side closed, and so does a connection that was reset."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self.closed = True
        self._waiting += data
        self.received += len(data)


def wait_for_any(ports: list[Uart | TcpLink | UdpPort], timeout_ms: int) -> None:
    """Wait in real time until a port has something, and take it in; -1 waits without end."""
    poller = select.poll()
    for port in ports:
        poller.register(port.fileno() if not MICROPYTHON else _stream(port), select.POLLIN)
    for _ in poller.poll(timeout_ms):
        break
    for port in ports:
        single = select.poll()
        single.register(port.fileno() if not MICROPYTHON else _stream(port), select.POLLIN)
        while single.poll(0):
            if isinstance(port, Uart):
                port.receive(1)
            else:
                port.receive_some()
                break


def _stream(port: Uart | TcpLink | UdpPort):  # type: ignore[no-untyped-def]  # noqa: ANN202
    # MicroPython polls stream objects, CPython file numbers.
    return port._file if isinstance(port, Uart) else port._socket  # noqa: SLF001
