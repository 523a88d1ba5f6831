"""The vehicle's network on the desktop board: UDP to the other validators. Loaded only where there are some."""

from __future__ import annotations

import socket

from protocol.compat import const

_DATAGRAM_BYTES = const(600)
_DATAGRAMS_WAITING_MAX = const(16)


class UdpPort:
    """Datagrams to and from the vehicle's other validators.

    Args:
        here: HOST:PORT that it listens at.
        others: HOST:PORT of each other validator, with commas between.

    Attributes:
        sent: datagrams handed to the network.
    """

    def __init__(self, here: str, others: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(_address(here))
        self._others = [_address(each) for each in others.split(",")]
        self._waiting: list[bytes] = []
        self.sent = 0

    def has_data(self) -> bool:
        return bool(self._waiting)

    def receive(self) -> bytes:
        return self._waiting.pop(0) if self._waiting else b""

    def send(self, data: bytes) -> None:
        for address in self._others:
            self.sent += 1
            try:
                self._socket.sendto(data, address)
            except OSError:
                pass  # nobody is there, or the network is full

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive_some(self) -> None:
        """Take in one that has arrived."""
        self.take(1)

    def take(self, count: int) -> None:
        """Take in that many datagrams, waiting for them; more than are worth looking at are dropped unread."""
        for _ in range(count):
            data = self._socket.recv(_DATAGRAM_BYTES)
            if len(self._waiting) < _DATAGRAMS_WAITING_MAX:
                self._waiting.append(data)


def _address(text: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - what it is differs between the Pythons
    host, _, port = text.rpartition(":")
    return socket.getaddrinfo(host, int(port))[0][-1]
