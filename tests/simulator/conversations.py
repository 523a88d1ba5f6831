"""Holding a conversation with a virtual card, as every reader does."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

    from simulator.virtual_card import VirtualCard

Result = TypeVar("Result")


def hold(card: VirtualCard, conversation: Generator[bytes, bytes, Result]) -> Result:
    """Return the conversation's result; what the card raises goes on to the caller."""
    try:
        command = next(conversation)
        while True:
            command = conversation.send(card.process(command))
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        conversation.close()
