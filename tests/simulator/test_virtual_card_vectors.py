"""The vectors that MicroPython is tested with are what the virtual cards say."""

from __future__ import annotations

from tests.vectors import cards


def test_the_written_conversations_are_what_the_virtual_cards_say() -> None:
    assert cards.main(["--check"]) == 0
