"""Each fate of a message, against a server on real TCP."""

from __future__ import annotations

import queue
import random
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from simulator.network import CALM, FATES, Network, Weather, request_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUEST = b"POST /v1/batches HTTP/1.1\r\nHost: x\r\ncontent-length: 10\r\n\r\n0123456789"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nyes!"
_NOW_MS = 1_000_000


class Server:
    """Answers every whole request with the same words; what it was sent waits in `requests`, whole or not."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self.requests: queue.Queue[bytes] = queue.Queue()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while (size := request_bytes(data)) is None or len(data) < size:
                    piece = connection.recv(4096)
                    if not piece:
                        break
                    data += piece
                else:
                    connection.sendall(_ANSWER)
                self.requests.put(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def _network(server: Server, fate: str = "") -> Network:
    lose, cut, lose_answer, cut_answer, garble, repeat = (float(each == fate) for each in FATES)
    weather = Weather(lose, cut, lose_answer, cut_answer, garble, repeat, CALM.latency_ms)
    return Network(server.address, random.Random(1), weather)


def _exchange(network: Network) -> tuple[int | None, bytes, bool]:
    """Send the request byte by byte; return when an answer is due, the answer, and whether the connection is over."""
    link = network.dial()
    assert link is not None
    for place in range(len(_REQUEST)):
        link.receive_data(_REQUEST[place : place + 1], _NOW_MS)
    due_ms = link.next_timeout_ms()
    if due_ms is None:
        return None, link.data_to_send(_NOW_MS + 3_600_000), link.closed
    assert link.data_to_send(due_ms - 1) == b""
    return due_ms, link.data_to_send(due_ms), link.closed


def test_a_good_network_carries_a_request_and_its_answer_after_a_while(server: Server) -> None:
    network = _network(server)
    assert _exchange(network) == (_NOW_MS + 40, _ANSWER, True)
    assert server.requests.get(timeout=5) == _REQUEST
    assert network.counts["carried"] == 1


def test_a_lost_request_is_a_silence_and_never_comes_to_the_server(server: Server) -> None:
    network = _network(server, "lose_request")
    assert _exchange(network) == (None, b"", False)
    _exchange(_network(server))
    assert server.requests.get(timeout=5) == _REQUEST
    assert server.requests.empty()


def test_a_cut_request_comes_to_the_server_in_part(server: Server) -> None:
    assert _exchange(_network(server, "cut_request")) == (None, b"", False)
    assert server.requests.get(timeout=5) == _REQUEST[: len(_REQUEST) // 2]


def test_a_lost_answer_is_a_silence_after_the_work_was_done(server: Server) -> None:
    assert _exchange(_network(server, "lose_answer")) == (None, b"", False)
    assert server.requests.get(timeout=5) == _REQUEST


def test_a_cut_answer_ends_in_the_middle(server: Server) -> None:
    assert _exchange(_network(server, "cut_answer")) == (_NOW_MS + 40, _ANSWER[: len(_ANSWER) // 2], True)
    assert server.requests.get(timeout=5) == _REQUEST


def test_a_garbled_answer_is_noise(server: Server) -> None:
    due_ms, answer, closed = _exchange(_network(server, "garble_answer"))
    assert (due_ms, closed) == (_NOW_MS + 40, True)
    assert answer
    assert b"HTTP" not in answer
    assert server.requests.get(timeout=5) == _REQUEST


def test_a_repeated_request_is_done_twice_and_answered_once(server: Server) -> None:
    assert _exchange(_network(server, "repeat_request")) == (_NOW_MS + 40, _ANSWER, True)
    assert [server.requests.get(timeout=5) for _ in range(2)] == [_REQUEST] * 2


def test_nothing_can_be_dialled_in_a_tunnel(server: Server) -> None:
    network = _network(server)
    network.covered = False
    assert network.dial() is None
    assert network.counts["no_network"] == 1


def test_a_sender_without_end_is_cut_off(server: Server) -> None:
    link = _network(server).dial()
    assert link is not None
    link.receive_data(b"x" * 70_000, _NOW_MS)
    assert link.closed


def test_fates_strike_as_often_as_the_weather_says(server: Server) -> None:
    weather = Weather(0.1, 0.05, 0.1, 0.05, 0.05, 0.05)
    network = Network(server.address, random.Random(3), weather)
    for _ in range(2000):
        network.dial()
    for fate in FATES:
        assert abs(network.counts[fate] / 2000 - getattr(weather, fate)) < 0.03
    assert sum(network.counts.values()) == 2000
