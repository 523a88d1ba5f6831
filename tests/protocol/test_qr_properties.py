"""Codes under arbitrary text and one changed character: nothing but a refusal comes out, and nobody rides by what was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.decisions import DECISION_ACCEPTED
from protocol.errors import QrError
from protocol.qr import nonce
from protocol.qr.code_text import read_fields
from protocol.qr.ticket import check_ticket, day_key, read_ticket, show_ticket, ticket_key
from protocol.qr.vehicle_label import is_printed, label_check, read_label, show_label

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_S = 1_715_742_000
DAY = NOW_S // 86_400
DAY_KEY = day_key(bytes(32), DAY)
DEVICE = bytes(range(16))
KEY = nonce.screen_key(DAY_KEY, b"vehicle.", DEVICE)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
TICKET = show_ticket(b"ticket 1", 1, 1, NOW_S + 100, ticket_key(DAY_KEY, b"ticket 1"), NOW_S, bytes(range(72)))
RECEIPT = nonce.show_receipt(nonce.Receipt(DEVICE, 1, NOW_S // 60, b"payment1", 10_000, 1), KEY)
SCREEN = nonce.show_screen(KEY, DEVICE, 1, NOW_S // 60)
LABEL = show_label("almaty", "A-101", label_check(bytes(32), "almaty", "A-101"))


def _rides_by_ticket(text: str) -> bool:
    return check_ticket(read_ticket(text), {DAY: DAY_KEY}, NOW_S) == DECISION_ACCEPTED


def _rides_by_receipt(text: str) -> bool:
    return nonce.check_receipt(nonce.read_receipt(text), DEVICE, 1, {DAY: KEY}, NOW_S) == DECISION_ACCEPTED


def _is_genuine(text: str) -> bool:
    code = nonce.read_screen(text)
    return nonce.is_genuine(code, nonce.screen_key(DAY_KEY, b"vehicle.", code.device))


def _is_printed(text: str) -> bool:
    return is_printed(read_label(text), bytes(32))


CODES = [(TICKET, _rides_by_ticket), (RECEIPT, _rides_by_receipt), (SCREEN, _is_genuine), (LABEL, _is_printed)]


def _believes(check: Callable[[str], bool], text: str) -> bool:
    try:
        return check(text)
    except QrError:
        return False


@pytest.mark.parametrize(("text", "check"), CODES)
def test_one_changed_character_makes_a_code_worthless(text: str, check: Callable[[str], bool]) -> None:
    assert check(text)
    for index, sign in enumerate(text):
        for other in ALPHABET:
            changed = text[:index] + other + text[index + 1 :]
            assert other == sign or not _believes(check, changed), changed


@pytest.mark.parametrize(("text", "check"), CODES)
@given(junk=st.text(max_size=300) | st.text(ALPHABET, max_size=260))
def test_arbitrary_text_is_refused(text: str, check: Callable[[str], bool], junk: str) -> None:
    for shown in (junk, text[:4] + junk, text + junk, text[: len(text) // 2] + junk):
        assert shown == text or not _believes(check, shown)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF), st.binary(min_size=16, max_size=16))
def test_what_is_shown_is_read_as_it_was(city: int, minute: int, device: bytes) -> None:
    code = nonce.read_screen(nonce.show_screen(KEY, device, city, minute))
    assert (code.city, code.minute, code.device) == (city, minute, device)
    assert nonce.is_genuine(code, KEY)


def test_four_kilobytes_of_noise_are_not_even_decoded() -> None:
    with pytest.raises(QrError, match="not a code of this kind"):
        read_fields("JQ1:" + "%" * 4096, "JQ1:", (0,), (1,))
