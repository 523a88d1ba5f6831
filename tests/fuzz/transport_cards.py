"""Transport cards that say anything: what is on them, and whole conversations with somebody between card and validator."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.desfire import (
    KeyInMemory,
    open_transit_card,
    read_key_version,
    select_transit_card,
)
from protocol.cards.desfire_crypto import diversify
from protocol.cards.desfire_debit import commit, take, write_event
from protocol.cards.ride_event import decode_evidence
from protocol.errors import CardError
from tests.fuzz.target import Target
from tests.protocol.transcript import AES, read_exchanges
from tests.vectors.load import load

if TYPE_CHECKING:
    from collections.abc import Generator

_RIDE = load("transit_ride")
_STEPS = ("select", "open", "take", "write", "commit")
_ANSWERS = [answer for step in _STEPS for _, answer in read_exchanges(_RIDE[step])]


def check_content(data: bytes) -> None:
    """What is read of a card is written again as it was; what cannot be read is refused."""
    try:
        environment = layout.decode_environment(data)
    except CardError:
        pass
    else:
        again = layout.decode_environment(layout.encode_environment(environment))
        assert layout.encode_environment(again) == layout.encode_environment(environment)
        for each in environment.passes:
            each.is_good(1_800_000_000, 12)
    with suppress(CardError):
        assert layout.decode_event(data).encode() == data
    evidence = decode_evidence(data)
    assert evidence is None or data.startswith(evidence.mac + evidence.masked_uid)


def _ride() -> Generator[bytes, bytes, tuple[int, bytes]]:
    yield from select_transit_card()
    key = diversify(AES, bytes.fromhex(_RIDE["debit_master"]), layout.key_material(bytes.fromhex(_RIDE["uid"])))
    card = yield from open_transit_card(AES, KeyInMemory(AES, key, bytes.fromhex(_RIDE["random_a"])))
    yield from take(card.session, layout.FILE_PURSE, _RIDE["fare_minor"])
    yield from write_event(card.session, bytes.fromhex(_RIDE["event"]))
    return (yield from commit(card.session))


def check_conversation(data: bytes) -> None:
    """The first byte says which answer of a ride is another one: the ride comes to its end only if it is not."""
    turn, answer = (data[0] % len(_ANSWERS) if data else 0), data[1:]
    answers = [*_ANSWERS[:turn], answer, *_ANSWERS[turn + 1 :]]
    conversation = _ride()
    try:
        next(conversation)
        for each in answers:
            conversation.send(each)
    except StopIteration:
        # What SELECT says beside its status is not read.
        assert answers == _ANSWERS or turn == 0, "somebody has spoken for the card"
    except CardError:
        assert answers != _ANSWERS
    version = read_key_version(2)
    next(version)
    with suppress(CardError, StopIteration):
        version.send(answer)


def _contents() -> list[bytes]:
    sold = [layout.Pass(101, 1, 2), layout.Pass(102, 3, 4, layout.SCOPE_LINE, 12, is_counted=True)]
    environment = layout.Environment(bytes(range(8)), 1, 2, 3, 4, layout.STATUS_BLOCKED, sold)
    new = layout.encode_environment(environment)
    evidence = bytes(15) + b"\x02", bytes(15) + b"\x15\x00\x07"
    return [new, new[:16] + b"\x01" + bytes(15), bytes.fromhex(_RIDE["event"]), *evidence]


TARGETS = (
    Target("transport-card", check_content, _contents, 80),
    Target(
        "transport-conversation",
        check_conversation,
        lambda: [bytes((turn,)) + answer for turn, answer in enumerate(_ANSWERS)],
        262,
    ),
)
