from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from protocol.qr.base45 import decode, encode
from protocol.qr.ticket import DAY_S, PREFIX, day_key, read_ticket, ticket_key
from simulator.camera import QrScanner, photograph, read_code
from simulator.phone import PhoneTicket, render

_NOW_S = 1_715_742_000
_TICKET = PhoneTicket(bytes.fromhex("0102030405060708"), 7, 1, _NOW_S + 10 * DAY_S, bytes(range(32)))


class Settled(random.Random):
    """A stream of chance whose uniform draws are given: size in the frame, angle, blur, noise."""

    def __init__(self, *draws: float) -> None:
        super().__init__(4)
        self._draws = list(draws)

    def uniform(self, a: float, b: float) -> float:
        draw = self._draws.pop(0)
        assert a <= draw <= b, "beyond what the camera does"
        return draw


def _texts() -> list[str]:
    chance = random.Random(2)
    return [encode(chance.randbytes(chance.randrange(1, 60))) for _ in range(30)]


def test_a_clean_picture_is_read_as_it_was_written_whatever_the_text() -> None:
    for text in _texts():
        assert read_code(Image.fromarray(render(text))) == text


def test_a_tickets_code_is_read_through_the_camera_and_never_as_another() -> None:
    chance = random.Random(3)
    texts = [_TICKET.text(_NOW_S + 30 * step) for step in range(40)]
    read = [read_code(photograph(render(text), chance)) for text in texts]
    assert {answer for answer, text in zip(read, texts, strict=True) if answer not in {text, None}} == set()
    assert sum(answer is not None for answer in read) > 0.8 * len(texts)


@pytest.mark.parametrize("size", [0.6, 0.7])
@pytest.mark.parametrize("angle", [-25.0, 25.0])
def test_every_code_is_read_though_turned_and_blurred_as_far_as_it_goes(size: float, angle: float) -> None:
    texts = [_TICKET.text(_NOW_S + 30 * step) for step in range(10)]
    assert [read_code(photograph(render(text), Settled(size, angle, 1.1, 10))) for text in texts] == texts


def test_the_worst_noise_makes_a_code_unreadable_and_never_another() -> None:
    texts = [_TICKET.text(_NOW_S + 30 * step) for step in range(10)]
    read = [read_code(photograph(render(text), Settled(0.6, 25.0, 1.1, 20))) for text in texts]
    assert all(answer in {text, None} for answer, text in zip(read, texts, strict=True))
    assert None in read


def test_nothing_is_read_where_no_code_is() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (480, 480), dtype=np.uint8)
    assert read_code(Image.fromarray(noise)) is None


def test_a_phone_shows_text_of_base45_that_changes_and_says_which_ticket_it_is() -> None:
    text = _TICKET.text(_NOW_S)
    assert decode(text.removeprefix(PREFIX))
    ticket = read_ticket(text)
    assert (ticket.ticket_id, ticket.city, ticket.category) == (_TICKET.ticket_id, 7, 1)
    assert ticket.expires_s == _TICKET.expires_s
    assert _TICKET.text(_NOW_S + 60) != text
    assert ticket_key(day_key(_TICKET.qr_master, _NOW_S // DAY_S), _TICKET.ticket_id) not in text.encode()


def test_a_scanner_sends_what_it_read_as_a_line_a_moment_later() -> None:
    scanner = QrScanner(random.Random(5))
    text = _TICKET.text(_NOW_S)
    assert scanner.look_at(text, 1000)
    assert scanner.data_to_send(1000) == b""
    due_ms = scanner.next_timeout_ms()
    assert due_ms == 1060
    assert scanner.data_to_send(due_ms) == text.encode() + b"\r\n"
    assert scanner.next_timeout_ms() is None
    assert (scanner.seen, scanner.unread) == (1, 0)
