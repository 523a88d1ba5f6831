"""As much HTTP/1.1 (RFC 9112) as a validator needs: one request a connection, a bounded answer. MicroPython has no client.

The parser is sans-IO: it is fed bytes and says when the answer is whole. Garbage is an HttpError, and an HttpError is a reason to
try again later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.limits import MESSAGE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmware.boards.board import Board
    from firmware.loop import Loop

_HEAD_BYTES_MAX = const(4096)
_SEGMENT_BYTES = const(1024)


class HttpError(Exception):
    """No answer, or one that cannot be understood."""


def request_head(method: str, path: str, host: str, body_bytes: int) -> bytes:
    """Return what stands before the body of a request; 0 is for one without."""
    head = method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n"
    if body_bytes:
        head += "Content-Type: application/cose\r\nContent-Length: " + str(body_bytes) + "\r\n"
    return (head + "\r\n").encode()


def segments(parts: list[bytes]) -> Iterator[bytes]:
    """Yield pieces joined to about what one packet carries, so that small ones do not travel alone."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        if size + len(part) > _SEGMENT_BYTES and waiting:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(part)
        size += len(part)
    yield b"".join(waiting)


class Response:
    """An answer that is being received.

    Args:
        sink: is given the body of an answer with status 200 as it comes, so that it is never in memory as a whole.

    Attributes:
        status: once the head is whole; None before.
    """

    def __init__(self, sink: Callable[[bytes], None] | None = None) -> None:
        self._data = b""
        self._body_start = 0
        self._sink = sink
        self._sunk = 0
        self._size: int | None = None
        self.status: int | None = None

    def receive(self, data: bytes) -> None:
        if self.status is not None:
            self._require_room(len(data))
        self._data += data
        if self.status is None:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > _HEAD_BYTES_MAX or not b"HTTP/1.1 "[: len(self._data)] == self._data[:9]:
                    raise HttpError("no HTTP answer")
                return
            self._read_head(self._data[:end])
            self._body_start = end + 4
            self._require_room(0)
        if self._sink is not None and self.status == 200:
            assert self._size is not None
            piece = self._data[self._body_start : self._body_start + self._size - self._sunk]
            if piece:
                self._sink(piece)
            self._sunk += len(piece)
            self._data, self._body_start = b"", 0

    def _require_room(self, more: int) -> None:
        if self._sunk + len(self._data) - self._body_start + more > MESSAGE_BYTES_MAX:
            raise HttpError("the answer is longer than a message may be")

    def _read_head(self, head: bytes) -> None:
        lines = head.split(b"\r\n")
        words = lines[0].split(b" ")
        if len(head) > _HEAD_BYTES_MAX or len(words) < 2 or words[0] != b"HTTP/1.1" or not _is_number(words[1], 3):
            raise HttpError("no HTTP answer")
        for line in lines[1:]:
            colon = line.find(b":")
            if line[:colon].lower() == b"content-length":
                value = line[colon + 1 :].strip()
                if not _is_number(value, 6):
                    raise HttpError("the answer's length is no number")
                self._size = int(value)
        if self._size is None:
            raise HttpError("the answer does not say how long it is")
        self.status = int(words[1])

    def body(self) -> bytes | None:
        """Return the body once it is whole (nothing of it where there is a sink), or None."""
        if self._size is None or self._sunk + len(self._data) - self._body_start < self._size:
            return None
        return self._data[self._body_start : self._body_start + self._size]


def _is_number(text: bytes, digits_max: int) -> bool:
    return 0 < len(text) <= digits_max and all(0x30 <= byte <= 0x39 for byte in text)


async def fetch(
    board: Board,
    loop: Loop,
    method: str,
    path: str,
    body: list[bytes],
    timeout_ms: int,
    sink: Callable[[bytes], None] | None = None,
) -> tuple[int, bytes]:
    """Send one request, its body in pieces, and return status and body of the answer; with a sink, that has the body.

    Raises:
        HttpError: no network, no answer in time, or garbage.
    """
    until_ms = loop.now_ms() + timeout_ms
    try:
        port = board.dial()
    except OSError:
        raise HttpError("no network") from None
    response = Response(sink)
    try:
        head = request_head(method, path, board.host, sum([len(part) for part in body]))
        for segment in segments([head] + body):
            port.write(segment)
        while response.body() is None:
            if not await loop.port_ready(port, until_ms):
                raise HttpError("no answer in time")
            data = port.read()
            if not data and port.closed:
                raise HttpError("the connection was closed in mid-answer")
            response.receive(data)
    except OSError:
        raise HttpError("the connection broke") from None
    finally:
        port.close()
    return response.status or 0, response.body() or b""
