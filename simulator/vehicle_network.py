"""The network inside a vehicle: what one validator tells, the others hear. Real UDP on loopback, delivered on virtual time.

Each validator has a plug: a socket that stands for all others. Whatever a test wants to put onto the wire goes into a plug, too.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_DATAGRAM_BYTES_MAX = 65_535


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


class Plug:
    """Where one validator is connected.

    Attributes:
        heard: datagrams that the validator has sent.
        on_arrival: called when something waits for the validator.
    """

    def __init__(self, network: VehicleNetwork) -> None:
        self._network = network
        self._socket = _socket()
        # A number that is free now is the validator's to listen at.
        with _socket() as free:
            self._address = free.getsockname()
        self._taken = 0
        self._waiting: list[bytes] = []
        self.heard: list[bytes] = []
        self.on_arrival: Callable[[], None] | None = None

    def options(self) -> tuple[str, ...]:
        """Return the firmware's options that connect it here; each start counts anew, and what nobody took before is gone."""
        self._taken = 0
        self._waiting = []
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(_DATAGRAM_BYTES_MAX)
        except BlockingIOError:
            self._socket.setblocking(True)
        here, there = (f"{host}:{port}" for host, port in (self._address, self._socket.getsockname()))
        return ("--listen", here, "--neighbours", there)

    def put(self, datagram: bytes) -> None:
        """Let a datagram wait for the validator, whoever made it."""
        self._waiting.append(datagram)
        if self.on_arrival is not None:
            self.on_arrival()

    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def take(self, total: int) -> None:
        """Take what the validator has sent by now, and carry it to the other plugs."""
        while self._taken < total:
            self._taken += 1
            datagram = self._socket.recv(_DATAGRAM_BYTES_MAX)
            self.heard.append(datagram)
            self._network.carry(self, datagram)

    def give(self) -> int:
        """Send what waits, and return how many that were."""
        waiting, self._waiting = self._waiting, []
        for datagram in waiting:
            self._socket.sendto(datagram, self._address)
        return len(waiting)

    def close(self) -> None:
        self._socket.close()


class VehicleNetwork:
    """The wires of one vehicle.

    Attributes:
        is_cut: nothing is carried any more.
    """

    def __init__(self) -> None:
        self._plugs: list[Plug] = []
        self.is_cut = False

    def plug(self) -> Plug:
        """Return a place for one more validator."""
        self._plugs.append(Plug(self))
        return self._plugs[-1]

    def carry(self, sender: Plug, datagram: bytes) -> None:
        for plug in self._plugs if not self.is_cut else ():
            if plug is not sender:
                plug.put(datagram)

    def close(self) -> None:
        for plug in self._plugs:
            plug.close()
