"""The vehicle's network on the desktop board, in real time on loopback, and the options that connect it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from firmware.arguments import read_arguments
from firmware.boards.desktop_ports import wait_for_any
from firmware.boards.desktop_udp import UdpPort

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUN = ["run", "--state", "s", "--server", "h:1", "--nfc", "a", "--qr", "b", "--driver", "c"]


def _free() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def doors() -> Iterator[tuple[UdpPort, UdpPort]]:
    front, back, nobody = _free(), _free(), _free()
    ports = UdpPort(front, f"{back},{nobody}"), UdpPort(back, front)
    yield ports
    for port in ports:
        port._socket.close()


def test_what_one_door_sends_wakes_the_other(doors: tuple[UdpPort, UdpPort]) -> None:
    front, back = doors
    front.send(b"a rider")
    assert front.sent == 2, "one of them is not there, which does not matter"
    wait_for_any([back], 5_000)
    assert back.has_data()
    assert (back.receive(), back.receive(), back.has_data()) == (b"a rider", b"", False)


def test_what_waits_is_bounded_and_cut(doors: tuple[UdpPort, UdpPort]) -> None:
    front, back = doors
    for _ in range(20):
        front.send(bytes(700))
    back.take(20)
    waiting = []
    while back.has_data():
        waiting.append(len(back.receive()))
    assert waiting == [600] * 16


def test_the_options_go_together_and_are_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    _, options = read_arguments([*_RUN, "--listen", "127.0.0.1:1", "--neighbours", "127.0.0.1:2,127.0.0.1:3"])
    assert options["neighbours"] == "127.0.0.1:2,127.0.0.1:3"
    for words in (
        ["--listen", "127.0.0.1:1"],
        ["--neighbours", "127.0.0.1:1"],
        ["--listen", "127.0.0.1", "--neighbours", "127.0.0.1:1"],
        ["--listen", "127.0.0.1:1", "--neighbours", "127.0.0.1:1,"],
        ["--listen", ":1", "--neighbours", "127.0.0.1:1"],
    ):
        with pytest.raises(SystemExit) as ended:
            read_arguments([*_RUN, *words])
        assert ended.value.code == 2
        assert "--neighbours and --listen" in capsys.readouterr().err
