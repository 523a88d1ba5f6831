"""As much HTTP as a validator needs: requests word for word, answers in any pieces, and nothing that is not one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.links.http import HttpError, Response, fetch, request_head
from firmware.loop import Loop
from protocol.limits import MESSAGE_BYTES_MAX
from tests.firmware.bench_board import BenchBoard, BenchPort, http_answer, run_to_end
from tests.protocol.expect import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  5 \r\n\r\nhello"


def read(*pieces: bytes) -> tuple[int | None, bytes | None]:
    response = Response()
    for piece in pieces:
        response.receive(piece)
    return response.status, response.body()


def refused(*pieces: bytes) -> str:
    return refusal(HttpError, read, *pieces)


def test_a_request_is_said_word_for_word() -> None:
    assert (
        request_head("GET", "/v1/x", "host:80", 0)
        == b"GET /v1/x HTTP/1.1\r\nHost: host:80\r\nConnection: close\r\n\r\n"
    )
    assert request_head("POST", "/", "h", 12).endswith(
        b"Connection: close\r\nContent-Type: application/cose\r\nContent-Length: 12\r\n\r\n"
    )


def test_an_answer_comes_in_any_pieces() -> None:
    assert read(ANSWER) == (200, b"hello")
    assert read(*[ANSWER[index : index + 1] for index in range(len(ANSWER))]) == (200, b"hello")
    for cut in range(len(ANSWER) + 1):
        assert read(ANSWER[:cut], ANSWER[cut:]) == (200, b"hello"), cut


def test_half_an_answer_is_none_yet() -> None:
    for cut in range(len(ANSWER)):
        status, body = read(ANSWER[:cut])
        assert body is None, cut
        assert status == (200 if cut >= ANSWER.find(b"hello") else None), cut


def test_what_follows_the_body_is_no_part_of_it() -> None:
    assert read(ANSWER + b"HTTP/1.1 500 X\r\n\r\n") == (200, b"hello")


def test_an_empty_body_is_a_body() -> None:
    assert read(http_answer(b"", 503)) == (503, b"")


def test_what_is_no_answer_is_refused_as_soon_as_that_is_known() -> None:
    assert refused(b"SSH-2.0-") == "no HTTP answer"
    assert refused(b"HTTP/1.0 200 OK\r\n") == "no HTTP answer"
    assert refused(b"\r\n\r\n") == "no HTTP answer"
    for status in (b"", b"2x0", b"2000", b"-20"):
        assert refused(b"HTTP/1.1 " + status + b" OK\r\nContent-Length: 0\r\n\r\n") == "no HTTP answer", status


def test_an_answer_must_say_how_long_it_is() -> None:
    assert "how long" in refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    for length in (b"", b"x", b"-1", b"1 1", b"1234567", b"0x10"):
        assert "no number" in refused(b"HTTP/1.1 200 OK\r\nContent-Length:" + length + b"\r\n\r\n"), length


def test_head_and_body_are_bounded() -> None:
    assert refused(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 4096)
    assert refused(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 4096 + b"\r\nContent-Length: 0\r\n\r\n")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"
    response = Response()
    response.receive(head)
    for _ in range(32):
        response.receive(bytes(1024))
    assert MESSAGE_BYTES_MAX == 32 * 1024
    assert "longer" in refusal(HttpError, response.receive, b"x")


def test_a_sink_is_given_the_body_as_it_comes_and_nothing_else() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    for cuts in ((len(head) + 5,), (3, 20), (len(head), len(head) + 1, len(head) + 2), (len(head) + 2,)):
        given: list[bytes] = []
        response = Response(given.append)
        data = head + b"hello, and more"
        start = 0
        for end in sorted({len(data)} | set(cuts)):
            response.receive(data[start:end])
            start = end
        assert (b"".join(given), response.body(), response.status) == (b"hello", b"", 200), cuts


def test_a_sink_is_not_given_the_body_of_a_refusal() -> None:
    given: list[bytes] = []
    response = Response(given.append)
    response.receive(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")
    assert (given, response.body(), response.status) == ([], b"gone", 404)


def test_what_goes_into_a_sink_is_bounded_too() -> None:
    response = Response(lambda _: None)
    response.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
    for _ in range(32):
        response.receive(bytes(1024))
    assert "longer" in refusal(HttpError, response.receive, b"x")


class Bench:
    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self.board = BenchBoard()
        self.board.answer = answer
        self.loop = Loop(self.board)
        self.ports: list[BenchPort] = []

    def fetch(self, *body: bytes) -> tuple[int, bytes]:
        dial = self.board.dial
        self.ports = []

        def note() -> BenchPort:
            self.ports.append(dial())
            return self.ports[-1]

        self.board.dial = note  # type: ignore[method-assign]
        task = fetch(self.board, self.loop, "POST", "/v1/batches", list(body), 20_000)
        return run_to_end(self.board, self.loop, task)  # type: ignore[no-any-return]


def test_a_request_is_sent_and_answered_and_the_connection_closed() -> None:
    bench = Bench(lambda _: http_answer(b"stored", 200))
    assert bench.fetch(b"x" * 700, b"y" * 700, b"", b"z") == (200, b"stored")
    assert bench.board.requests[0].endswith(b"Content-Length: 1401\r\n\r\n" + b"x" * 700 + b"y" * 700 + b"z")
    assert bench.ports[0].closed


def test_a_service_that_is_silent_is_given_up_in_time() -> None:
    bench = Bench(lambda _: None)
    assert refusal(HttpError, bench.fetch, b"x") == "no answer in time"
    assert bench.board.now_ms == 20_000
    assert bench.ports[0].closed


def test_a_service_that_drips_is_given_up_in_time() -> None:
    bench = Bench(lambda _: b"HTTP/1.1 200 OK\r\n")

    def drip() -> None:
        bench.ports[-1].give(b"X: y\r\n")
        bench.board.after(1_000, drip)

    bench.board.after(1_000, drip)
    assert refusal(HttpError, bench.fetch, b"x") == "no answer in time"
    assert bench.board.now_ms == 20_000


def test_a_connection_that_is_closed_in_mid_answer() -> None:
    bench = Bench(lambda _: ANSWER[:-1])

    def hang_up() -> None:
        bench.ports[-1].close()

    bench.board.after(3_000, hang_up)
    assert "closed" in refusal(HttpError, bench.fetch, b"x")
    assert bench.board.now_ms == 3_000


def test_no_network_and_a_broken_one_are_told_apart() -> None:
    bench = Bench(lambda _: None)

    def fail(*_: object) -> None:
        raise OSError

    bench.board.dial = fail  # type: ignore[method-assign,assignment]
    assert refusal(HttpError, bench.fetch, b"x") == "no network"
    broken = Bench(fail)
    assert refusal(HttpError, broken.fetch, b"x") == "the connection broke"
    assert broken.ports[0].closed
