from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from protocol.qr.base45 import decode, encode
from protocol.qr.nonce import Receipt, screen_key, show_receipt, show_screen
from protocol.qr.ticket import DAY_S, PREFIX, day_key, read_ticket, ticket_key
from protocol.qr.vehicle_label import show_label
from simulator.camera import QrScanner, View, photograph, read_code, see
from simulator.phone import PhoneTicket, render

_NOW_S = 1_715_742_000
_TICKET = PhoneTicket(bytes.fromhex("0102030405060708"), 7, 1, _NOW_S + 10 * DAY_S, bytes(range(32)))


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


# Four pixels a module, on a frame of 480.
_AT_4_PIXELS = 0.41
_READ = (
    *(View(_AT_4_PIXELS, angle) for angle in range(-180, 180, 24)),
    View(_AT_4_PIXELS, blur=1.2),
    View(_AT_4_PIXELS, noise=40),
    View(_AT_4_PIXELS, keystone=0.04),
    View(_AT_4_PIXELS, keystone=-0.04),
    View(_AT_4_PIXELS, glare=120),
    View(_AT_4_PIXELS, 200, 1.2, 0, 0.04, 120),
    View(_AT_4_PIXELS, 200, 0, 40, 0.04, 120),
    View(0.6, 25, 1.1, 20),
)
# Where the camera ends: out of focus, too much noise with it, leant too far, dazzled, too far away.
_NOT_READ = (
    View(_AT_4_PIXELS, blur=2),
    View(_AT_4_PIXELS, 17, 1.4, 60),
    View(_AT_4_PIXELS, keystone=0.3),
    View(_AT_4_PIXELS, glare=400),
    View(0.15),
)


def _shown() -> list[str]:
    key = screen_key(bytes(32), bytes(8), bytes(16))
    receipt = show_receipt(Receipt(bytes(range(16)), 7, _NOW_S // 60, b"payment1", 10_000, 1), key)
    label = show_label("almaty", "A-101", "ABC123")
    tickets = [_TICKET.text(_NOW_S + 30 * step) for step in range(4)]
    return [*tickets, receipt, show_screen(key, bytes(range(16)), 7, _NOW_S // 60), label]


@pytest.mark.parametrize("view", _READ, ids=str)
def test_every_code_is_read_however_a_hand_holds_it(view: View) -> None:
    texts = _shown()
    assert [read_code(see(render(text), view, seed)) for seed, text in enumerate(texts)] == texts


@pytest.mark.parametrize("view", _NOT_READ, ids=str)
def test_beyond_that_a_ticket_is_not_read_and_never_as_another(view: View) -> None:
    tickets = _shown()[:4]
    assert [read_code(see(render(text), view, seed)) for seed, text in enumerate(tickets)] == [None] * 4


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
