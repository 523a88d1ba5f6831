"""Conversations against a card that is a script, and what they end with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.protocol.aes import Aes

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeVar

    Result = TypeVar("Result")

AES = Aes()


def replay(conversation: Generator[bytes, bytes, Result], exchanges: list[tuple[bytes, bytes]]) -> Result:
    """Hold a conversation word for word, and return its result."""
    response = None
    for command, answer in exchanges:
        said = next(conversation) if response is None else conversation.send(response)
        assert said == command, "the conversation says something else"
        response = answer
    try:
        conversation.send(response)  # type: ignore[arg-type]
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("the conversation has more to say")


def answer_all(conversation: Generator[bytes, bytes, Result], answers: list[bytes]) -> Result:
    """Give answers whatever is asked; the last one is given without end."""
    next(conversation)
    for turn in range(64):
        try:
            conversation.send(answers[min(turn, len(answers) - 1)])
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
    raise AssertionError("the conversation has no end")


def error_of(conversation: Generator[bytes, bytes, Result], answers: list[bytes]) -> Exception:
    """Return what a conversation ends with when it is given such answers."""
    try:
        answer_all(conversation, answers)
    except Exception as error:  # noqa: BLE001 - the caller looks at it
        return error
    raise AssertionError("the conversation went well")


def read_exchanges(pairs: list[list[str]]) -> list[tuple[bytes, bytes]]:
    """Return exchanges from their hexadecimal text."""
    return [(bytes.fromhex(command), bytes.fromhex(answer)) for command, answer in pairs]
