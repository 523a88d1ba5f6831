"""The mobile network between a bus and the clearing service: it drops, delays, cuts and garbles, on demand or by chance.

A validator dials and gets a `Link`. What it sends is real HTTP over real TCP: the link collects the request, decides its
fate, and hands it to the service over a TCP connection of its own. Virtual time stands still while the service works; what
the network then takes for the way is declared in `Weather`. Only as much HTTP is read here as tells where a request ends.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_SERVICE_TIMEOUT_S = 30.0
_REQUEST_BYTES_MAX = 64 * 1024


@dataclass(frozen=True)
class Weather:
    """How bad the network is: probabilities for one request, and the time the way takes.

    Attributes:
        lose_request: the service never sees it.
        cut_request: the service sees its beginning only.
        lose_answer: the service did its work, and the bus hears nothing.
        cut_answer: the bus hears the beginning only.
        garble_answer: the bus hears noise instead.
        repeat_request: the service sees the same request twice.
        latency_ms: shortest and longest way there and back.
    """

    lose_request: float = 0.03
    cut_request: float = 0.01
    lose_answer: float = 0.03
    cut_answer: float = 0.01
    garble_answer: float = 0.01
    repeat_request: float = 0.02
    latency_ms: tuple[int, int] = (60, 900)


CALM = Weather(0, 0, 0, 0, 0, 0, (40, 41))
FATES = ("lose_request", "cut_request", "lose_answer", "cut_answer", "garble_answer", "repeat_request")


def call_service(address: tuple[str, int], request: bytes) -> bytes:
    """Send a whole request over a new TCP connection and return all that comes back before it is closed."""
    with socket.create_connection(address, timeout=_SERVICE_TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        chunks = []
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks)


def request_bytes(data: bytes) -> int | None:
    """Return the length of the HTTP request at the start of `data`, or None while its header is incomplete."""
    head, separator, _ = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    return len(head) + 4 + length


class Link:
    """One TCP connection of a validator, seen from the network: a sans-IO session on virtual time.

    Attributes:
        closed: nothing more will come.
    """

    def __init__(self, fate: str, latency_ms: int, noise: bytes, call: Callable[[bytes], bytes]) -> None:
        self._fate = fate
        self._latency_ms = latency_ms
        self._noise = noise
        self._call = call
        self._request = b""
        self._answer: bytes | None = None
        self._due_ms: int | None = None
        self.closed = False

    def receive_data(self, data: bytes, now_ms: int) -> None:
        self._request += data
        size = request_bytes(self._request)
        if self._answer is not None or size is None or len(self._request) < size:
            if len(self._request) > _REQUEST_BYTES_MAX:
                self.closed = True
            return
        self._answer = self._carry()
        # A lost message is a silence: the connection stays up and nothing comes, so the validator must give up by itself.
        if self._answer or self._fate == "cut_answer":
            self._due_ms = now_ms + self._latency_ms

    def _carry(self) -> bytes:
        if self._fate in {"lose_request", "cut_request"}:
            if self._fate == "cut_request":
                self._send_half()
            return b""
        answer = self._call(self._request)
        if self._fate == "repeat_request":
            self._call(self._request)
        if self._fate == "lose_answer":
            return b""
        if self._fate == "cut_answer":
            return answer[: len(answer) // 2]
        return self._noise if self._fate == "garble_answer" else answer

    def _send_half(self) -> None:
        # The service sees a connection that ends in mid-request: what it does then is its own affair.
        self._call(self._request[: len(self._request) // 2])

    def data_to_send(self, now_ms: int) -> bytes:
        if self._due_ms is None or now_ms < self._due_ms or self._answer is None:
            return b""
        self._due_ms = None
        self.closed = True
        return self._answer

    def next_timeout_ms(self) -> int | None:
        return self._due_ms

    def close(self) -> None:
        self.closed = True


class Network:
    """What one bus has of a network.

    Attributes:
        covered: False in a tunnel: nothing can be dialled.
        weather: how bad it is outside of tunnels.
        counts: how often each fate struck, by its name.
    """

    def __init__(self, address: tuple[str, int], chance: random.Random, weather: Weather) -> None:
        self._address = address
        self._chance = chance
        self.weather = weather
        self.covered = True
        self.counts: dict[str, int] = dict.fromkeys((*FATES, "carried", "no_network"), 0)

    def dial(self) -> Link | None:
        """Return a new connection, or None where there is no network."""
        if not self.covered:
            self.counts["no_network"] += 1
            return None
        fate = self._draw_fate()
        self.counts[fate] += 1
        shortest, longest = self.weather.latency_ms
        latency_ms = self._chance.randrange(shortest, longest)
        return Link(fate, latency_ms, self._chance.randbytes(120), self._call)

    def _draw_fate(self) -> str:
        draw = self._chance.random()
        for fate in FATES:
            draw -= getattr(self.weather, fate)
            if draw < 0:
                return fate
        return "carried"

    def _call(self, request: bytes) -> bytes:
        half = request_bytes(request)
        if half is None or len(request) < half:
            return self._call_in_part(request)
        return call_service(self._address, request)

    def _call_in_part(self, part: bytes) -> bytes:
        with socket.create_connection(self._address, timeout=_SERVICE_TIMEOUT_S) as connection:
            connection.sendall(part)
        return b""
