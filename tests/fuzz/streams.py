"""What comes in pieces: frames of the reader chip, lines of the scanner, HTTP answers, datagrams of neighbours.

The same stream in any pieces is the same; what waits is bounded; and nothing but the decoder's own error comes out.
"""

from __future__ import annotations

from typing import Any

import h11

from firmware.links.http import HttpError, Response
from firmware.neighbours import Neighbours
from firmware.readers.pn532_frames import ACK, CHIP_TO_HOST, HOST_TO_CHIP, NACK, FrameDecoder, encode_frame
from firmware.readers.qr_scanner import LINE_BYTES_MAX, LineDecoder
from firmware.recent_taps import RecentTaps
from protocol.compat import hmac_sha256
from protocol.enrolment import KeyBundle
from protocol.qr.ticket import DAY_S, day_key
from protocol.tap import KIND_SINGLE, Tap, decode_tap, encode_tap
from tests.firmware.bench_board import NOW_S, BenchBoard, BenchDatagrams
from tests.fuzz.target import Target
from tests.fuzz.vectors import messages, records

_DAY = NOW_S // DAY_S
_LONGEST_FRAME_BYTES = 3 + 5 + 265 + 2


def _pieces(data: bytes) -> list[list[bytes]]:
    """Return a stream at once, byte by byte, and in pieces that its own first byte decides."""
    size = 1 + (data[0] if data else 0) % 29
    return [
        [data],
        [bytes((byte,)) for byte in data],
        [data[start : start + size] for start in range(0, len(data), size)],
    ]


# PN532.


def _frames(pieces: list[bytes]) -> tuple[list[bytes], int]:
    decoder = FrameDecoder()
    found = []
    for piece in pieces:
        decoder.receive(piece)
        while (frame := decoder.next_frame()) is not None:
            found.append(ACK if frame.is_ack else NACK if frame.is_nack else frame.data)
        assert len(decoder._data) < _LONGEST_FRAME_BYTES, "more is kept than a frame can need"
    return found, decoder.faults


def check_frames(data: bytes) -> None:
    found = [_frames(pieces) for pieces in _pieces(data)]
    assert found[0] == found[1] == found[2]
    for content in found[0][0]:
        assert content in {ACK, NACK} or content in data, "a frame that was not sent"
    if data and len(data) <= 265:
        assert _frames([encode_frame(data)]) == ([data], 0)


def _frame_seeds() -> list[bytes]:
    commands = [b"\x02", b"\x14\x01\x14\x01", b"\x4a\x02\x00", b"\x40\x01\x00\xa4\x04\x00"]
    frames = [ACK + encode_frame(bytes((HOST_TO_CHIP,)) + command) for command in commands]
    frames += [encode_frame(bytes((CHIP_TO_HOST, 0x41, 0)) + bytes(size)) for size in (7, 252, 253, 262)]
    return [*frames, NACK, b"".join(frames[:4]), b"\x00\xff\x00\x00" + frames[0]]


# The scanner's lines.


def _lines(pieces: list[bytes]) -> list[str]:
    decoder = LineDecoder()
    found = []
    for piece in pieces:
        decoder.receive(piece)
        while (line := decoder.next_line()) is not None:
            found.append(line)
        assert len(decoder._line) <= LINE_BYTES_MAX, "more is kept than a line may have"
    return found


def check_lines(data: bytes) -> None:
    found = [_lines(pieces) for pieces in _pieces(data)]
    assert found[0] == found[1] == found[2]
    # The other way to say it: between ends of lines, what is printable and not too long.
    lines = data.replace(b"\r", b"\n").split(b"\n")[:-1]
    good = [line for line in lines if 0 < len(line) <= LINE_BYTES_MAX and all(0x20 <= byte < 0x7F for byte in line)]
    assert [line.encode() for line in found[0]] == good


def _line_seeds() -> list[bytes]:
    return [b"JQ1:ABC %*+\r\nsecond\n", b"\x00noise\r\n" + b"a" * 513 + b"\nJQ1:X\r", b"half"]


# HTTP.


def _answer(pieces: list[bytes]) -> tuple[int | None, bytes | None] | None:
    """Return status and body as `fetch` would, None for garbage; both None for an answer that is not whole."""
    response = Response()
    try:
        for piece in pieces:
            response.receive(piece)
            if response.body() is not None:
                break
    except HttpError:
        return None
    return (response.status if response.body() is not None else None), response.body()


def _answer_by_h11(data: bytes) -> tuple[int, bytes] | None:
    """Return what h11 makes of a whole answer of a known length, None where it sees none."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a"), ("Connection", "close")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    try:
        head = connection.next_event()
        if not isinstance(head, h11.Response) or head.status_code in {204, 304} or head.http_version != b"1.1":
            return None
        names = [name for name, _ in head.headers]
        if b"content-length" not in names or b"transfer-encoding" in names:
            return None
        body = b""
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError:
        return None
    return (head.status_code, body) if isinstance(event, h11.EndOfMessage) else None


def check_http(data: bytes) -> None:
    found = [_answer(pieces) for pieces in _pieces(data)]
    assert found[0] == found[1] == found[2]
    head = data.partition(b"\r\n\r\n")[0]
    expected = _answer_by_h11(data)
    # h11 also takes lines that end with LF alone; a validator need not.
    if expected is not None and head.count(b"\n") == head.count(b"\r\n"):
        assert found[0] == expected, "h11 reads another answer"


def _http_seeds() -> list[bytes]:
    body = messages("ack")[0]
    head = b"HTTP/1.1 200 OK\r\ndate: Wed, 15 May 2024 03:00:00 GMT\r\nserver: x\r\ncontent-length: %d\r\n" % len(body)
    return [
        head + b"content-type: application/cose\r\nconnection: close\r\n\r\n" + body,
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 503 \r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]


# Datagrams of neighbours.


class _Keys:
    bundle = KeyBundle(bytes(16), bytes(16), bytes(32), {_DAY: day_key(bytes(32), _DAY)}, 1, b"A-101...")


def _door(device: bytes) -> tuple[Neighbours, BenchDatagrams]:
    port = BenchDatagrams()
    return Neighbours(BenchBoard(), port, _Keys(), device, 1, RecentTaps()), port  # type: ignore[arg-type]


def check_neighbour(data: bytes) -> None:
    """A datagram, and a record under a right HMAC: only a fresh ride is believed, and nothing twice."""
    here, _ = _door(b"h" * 16)
    here.hear(data)
    assert here.refused or data in _neighbour_seeds(), "nobody who makes inputs has the key"
    key = hmac_sha256(day_key(bytes(32), _DAY), b"neighbours" + b"A-101...")
    message = b"JQN1" + b"s" * 8 + b"".join([number.to_bytes(4, "big") for number in (_DAY, 1, 1)]) + data
    datagram = message + hmac_sha256(key, message)[:16]
    refused = dict(here.refused)
    here.hear(datagram)
    is_believed = here.refused == refused
    if is_believed:
        assert encode_tap(decode_tap(data)) == data
    here.hear(datagram)
    assert here.refused != refused, "the same datagram was believed twice"


def _neighbour_seeds() -> list[bytes]:
    there, port = _door(b"t" * 16)
    ride: dict[str, Any] = {"medium": 4, "token": b"token of a rider", "token_key_version": 1, "counter": NOW_S // 30}
    moment: dict[str, Any] = {"sequence": 1, "tapped_at_s": NOW_S, "clock_quality": 3, "uptime_ms": 5000, "boot": 1}
    tap = Tap(**moment, kind=KIND_SINGLE, decision=0, fare_minor=13_000, **ride)
    there.tell(tap)
    return [*port.sent, encode_tap(tap), *records()]


TARGETS = (
    Target("neighbour", check_neighbour, _neighbour_seeds, 600, is_cbor=True),
    Target("pn532", check_frames, _frame_seeds, 400),
    Target("scanner", check_lines, _line_seeds, 600),
    Target("http", check_http, _http_seeds),
)
