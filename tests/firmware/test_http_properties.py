"""An HTTP answer in any pieces, and anything that is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware.links.http import HttpError, Response
from tests.firmware.bench_board import http_answer


def receive_all(pieces: list[bytes]) -> Response | None:
    response = Response()
    try:
        for piece in pieces:
            response.receive(piece)
    except HttpError:
        return None
    return response


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(st.binary(max_size=300), st.integers(100, 999), st.lists(st.integers(0, 10_000), max_size=8))
def test_an_answer_is_the_same_in_any_pieces(body: bytes, status: int, places: list[int]) -> None:
    response = receive_all(cut(http_answer(body, status), places))
    assert response is not None
    assert (response.status, response.body()) == (status, body)


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_garbage_is_refused_or_waits_for_more(pieces: list[bytes]) -> None:
    response = receive_all(pieces)
    assert response is None or response.body() is None or b"".join(pieces).startswith(b"HTTP/1.1 ")


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255), st.lists(st.integers(0, 10_000), max_size=4))
def test_a_changed_byte_never_raises_anything_else(body: bytes, index: int, byte: int, places: list[int]) -> None:
    data = bytearray(http_answer(body))
    data[index % len(data)] = byte
    receive_all(cut(bytes(data), places))
