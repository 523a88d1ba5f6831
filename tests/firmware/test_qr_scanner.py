"""Lines from a serial QR engine."""

from __future__ import annotations

from firmware.readers.qr_scanner import LINE_BYTES_MAX, LineDecoder


def lines(*pieces: bytes) -> list[str]:
    decoder = LineDecoder()
    for piece in pieces:
        decoder.receive(piece)
    found = []
    line = decoder.next_line()
    while line is not None:
        found.append(line)
        line = decoder.next_line()
    return found


def test_any_end_of_line_ends_a_line() -> None:
    assert lines(b"one\rtwo\nthree\r\nfour\n\r\r") == ["one", "two", "three", "four"]


def test_a_line_may_come_in_any_pieces() -> None:
    data = b"JQ1:ABC %*+\r\nsecond\n"
    for cut in range(len(data) + 1):
        assert lines(data[:cut], data[cut:]) == ["JQ1:ABC %*+", "second"], cut
    assert lines(*[bytes((byte,)) for byte in data]) == ["JQ1:ABC %*+", "second"]


def test_half_a_line_waits() -> None:
    assert lines(b"one\ntw") == ["one"]


def test_noise_spoils_its_line_alone() -> None:
    for noise in (b"\x00", b"\x7f", b"\xff", b"\x1b", "қ".encode()):
        assert lines(b"on" + noise + b"e\ntwo\n") == ["two"]


def test_an_endless_line_is_dropped_and_the_next_one_read() -> None:
    assert lines(b"x" * LINE_BYTES_MAX + b"\n") == ["x" * LINE_BYTES_MAX]
    assert lines(b"x" * (LINE_BYTES_MAX + 1) + b"\n", b"next\n") == ["next"]
    assert lines(b"x" * 5000, b"y\nnext\n") == ["next"]
