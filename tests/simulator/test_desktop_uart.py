"""The desktop board's UART changes its rate, on either Python: a pseudo-terminal shows it at its other end."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import tty
from typing import TYPE_CHECKING

import pytest

from simulator.runtimes import RUNTIMES, TOP, micropython

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = """
from firmware.boards.desktop_ports import Uart
uart = Uart({path!r})
uart.write(b"before")
uart.set_rate(921600)
uart.write(b"after")
"""
_SPEEDS = slice(4, 6)


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """Its other end, and the path under which the UART opens it."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_uart_goes_on_at_another_rate_and_loses_nothing(terminal: tuple[int, str], runtime: str) -> None:
    master, path = terminal
    program = sys.executable if runtime == "cpython" else str(micropython(runtime))
    environment = {"MICROPYPATH": f".frozen:{TOP / 'firmware' / 'device_root'}:{TOP}", "PYTHONPATH": str(TOP)}
    command = [program, "-c", _PROGRAM.format(path=path)]
    subprocess.run(command, env=environment, check=True, timeout=30)
    assert termios.tcgetattr(master)[_SPEEDS] == [termios.B921600, termios.B921600]
    assert os.read(master, 100) == b"beforeafter"
