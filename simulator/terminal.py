"""A UART of a validator: a pseudo-terminal, and the device that sits at its other end.

The devices are sans-IO sessions on virtual time. A pseudo-terminal hands bytes over when it pleases, so how many are to be
read is said by whoever wrote them.
"""

from __future__ import annotations

import os
import pty
import tty
from typing import Protocol


class Device(Protocol):
    """What sits at the other end of a UART."""

    def receive_data(self, data: bytes, now_ms: int) -> None: ...

    def data_to_send(self, now_ms: int) -> bytes: ...

    def next_timeout_ms(self) -> int | None: ...


class Terminal:
    """One pseudo-terminal with a device at the world's end.

    Attributes:
        path: under which the validator opens it.
        written: bytes given to the validator so far.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave
        self._read = 0
        self.written = 0

    def take(self, total: int, now_ms: int) -> None:
        """Read what the child has written by now, and hand it to the device."""
        data = b""
        while self._read < total:
            chunk = os.read(self._master, total - self._read)
            self._read += len(chunk)
            data += chunk
        if data:
            self._device.receive_data(data, now_ms)

    def give(self, now_ms: int) -> None:
        data = self._device.data_to_send(now_ms)
        self.written += len(data)
        while data:
            data = data[os.write(self._master, data) :]

    def next_timeout_ms(self) -> int | None:
        return self._device.next_timeout_ms()

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)
