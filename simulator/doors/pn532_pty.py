"""A virtual PN532 on a pseudo-terminal, in real time: for nfcpy, libnfc, and whoever opens a serial port.

A host may let the chip be a card. Then other readers meet it at a UDP port, as `doors.udp` says (`UdpCard` is one).
"""

from __future__ import annotations

import os
import pty
import select
import socket
import threading
import time
import tty
from typing import TYPE_CHECKING

from simulator.doors.door import Door
from simulator.doors.udp import FIELD_OFF, decode_datagram, encode_datagram

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.iso_dep import Card
    from simulator.pn532_chip import Pn532Chip

_READ_BYTES = 4096


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Pn532Pty(Door):
    """A chip at a terminal of its own.

    Attributes:
        path: under which a host opens it.
        port: UDP port at which other readers find it as a card.
    """

    def __init__(self, chip: Pn532Chip, link: Path | None = None) -> None:
        """Make the terminal; `link` becomes a name for it as long as the door is open.

        Raises:
            OSError: the link cannot be made there.
        """
        self._chip = chip
        self._turn = threading.Lock()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._link = link
        if link is not None:
            self._make_link(link)
        self._air = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._air.bind(("127.0.0.1", 0))
        self.port: int = self._air.getsockname()[1]
        super().__init__()

    def _make_link(self, link: Path) -> None:
        try:
            link.symlink_to(self.path)
        except OSError:
            os.close(self._master)
            os.close(self._slave)
            raise
        self.path = str(link)

    def present(self, card: Card) -> None:
        """Put a card into the field."""
        with self._turn:
            self._chip.present(card, _now_ms())
        os.write(self._wake_writer, b"\x00")

    def remove(self, card: Card) -> None:
        with self._turn:
            self._chip.remove(card)

    def close(self) -> None:
        super().close()
        if self._link is not None:
            self._link.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._air.close()

    def _serve(self) -> None:
        reader = None
        air = self._air.fileno()
        while True:
            ready, _, _ = select.select([self._master, air, self._wake_reader], [], [], self._patience_s())
            if self._is_over.is_set():
                return
            if self._wake_reader in ready:
                os.read(self._wake_reader, _READ_BYTES)
            heard = os.read(self._master, _READ_BYTES) if self._master in ready else b""
            datagram = b""
            if air in ready:
                datagram, reader = self._air.recvfrom(_READ_BYTES)
            with self._turn:
                answers = self._hear_air(datagram) if datagram else []
                if heard:
                    self._chip.receive_data(heard, _now_ms())
                said = self._chip.data_to_send(_now_ms())
                answers += self._chip.say()
            for answer in answers:
                if reader is not None:
                    self._air.sendto(encode_datagram(answer), reader)
            while said:
                said = said[os.write(self._master, said) :]

    def _hear_air(self, datagram: bytes) -> list[bytes]:
        if datagram.startswith(FIELD_OFF):
            return self._chip.hear(None, _now_ms())
        frame = decode_datagram(datagram)
        return [] if frame is None else self._chip.hear(frame, _now_ms())

    def _patience_s(self) -> float | None:
        with self._turn:
            due_ms = self._chip.next_timeout_ms()
        return None if due_ms is None else max(0, due_ms - _now_ms()) / 1000
