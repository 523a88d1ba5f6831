"""Our own vectors of cards: conversations with the virtual cards, written down: `python -m tests.vectors.cards [--check]`.

They let the conversations be tested on MicroPython, where the virtual cards do not run, and show when a card or a conversation
begins to say something else.
"""

from __future__ import annotations

import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from firmware.boards.crypto_cpython import Aes
from protocol.cards import card_layout as layout
from protocol.cards import desfire
from protocol.cards.emv import Terminal, read_bank_card
from protocol.errors import CardError
from simulator.desfire_card import DesfireCard
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard

if TYPE_CHECKING:
    from collections.abc import Generator

    from simulator.virtual_card import VirtualCard

Result = TypeVar("Result")

FOLDER = Path(__file__).parent
_UID = bytes.fromhex("04A1B2C3D4E5F6")
_CARD_NUMBER = bytes.fromhex("7750000012345678")
_EXPIRES_S = 1_893_456_000
_BALANCE_MINOR = 150_000
_FARE_MINOR = 10_000
_RIDES_BEFORE = 2


def _key(name: str) -> bytes:
    return hashlib.sha256(f"vector {name}".encode()).digest()[:16]


def _hold(card: VirtualCard, conversation: Generator[bytes, bytes, Result], said: list[list[str]]) -> Result:
    """Hold a conversation and write down each command and response."""
    try:
        command = next(conversation)
        while True:
            response = card.process(command)
            said.append([command.hex(), response.hex()])
            command = conversation.send(response)
    except StopIteration as stop:
        result: Result = stop.value
        return result


def _ride(card: DesfireCard, random_a: bytes) -> dict[str, Any]:
    steps: dict[str, list[list[str]]] = {"select": [], "open": [], "debit": [], "commit": []}
    _hold(card, desfire.select_transit_card(), steps["select"])
    opening = desfire.open_transit_card(Aes(), card.uid, _key("transit_debit_master"), random_a)
    opened = _hold(card, opening, steps["open"])
    _hold(card, desfire.debit(opened.session, _FARE_MINOR), steps["debit"])
    counter, mac = _hold(card, desfire.commit(opened.session), steps["commit"])
    assert counter == opened.counter + 1
    return steps | {
        "random_a": random_a.hex(),
        "balance_minor": opened.balance_minor,
        "counter": opened.counter,
        "transaction_mac": mac.hex(),
    }


def _open_negative(card: DesfireCard, random_a: bytes) -> list[list[str]]:
    card.balance_minor = 0xFFFF_FFFF
    said: list[list[str]] = []
    with suppress(CardError):
        _hold(card, desfire.select_transit_card(), [])
        _hold(card, desfire.open_transit_card(Aes(), card.uid, _key("transit_debit_master"), random_a), said)
    return said


def transit_ride() -> dict[str, Any]:
    """Return the third ride of a card, word for word, and the same card opened with a purse below zero."""
    environment = layout.Environment(_CARD_NUMBER, 1, 2, _EXPIRES_S)
    masters = {name: _key(name) for name in ("transit_read_master", "transit_debit_master", "transit_mac_master")}
    card = DesfireCard.personalise(_UID, environment, _BALANCE_MINOR, masters)
    for number in range(_RIDES_BEFORE):
        _ride(card, bytes([number]) * 16)
    random_a = bytes(range(16))
    return {
        "uid": _UID.hex(),
        "card_number": _CARD_NUMBER.hex(),
        "city": environment.city,
        "category": environment.category,
        "expires_s": environment.expires_s,
        "fare_minor": _FARE_MINOR,
        "debit_master": _key("transit_debit_master").hex(),
        "mac_master": _key("transit_mac_master").hex(),
        **_ride(card, random_a),
        "open_negative": _open_negative(card, random_a),
    }


def bank_cards() -> list[dict[str, Any]]:
    """Return one conversation with a card of each character."""
    cases = []
    for scheme, application, number in (
        ("visa", VISA_LIKE, "9999990000000018"),
        ("mastercard", MASTERCARD_LIKE, "9999990000000000187"),
    ):
        said: list[list[str]] = []
        terminal = Terminal(0, b"\x24\x05\x15", b"\x01\x02\x03\x04")
        _hold(EmvCard(b"\x08\x01\x02\x03", number, "3012", application), read_bank_card(bytes, terminal), said)
        padded = number + "F" * (20 - len(number))
        cases.append({"scheme": scheme, "number": padded, "expires_yymm": "3012", "exchanges": said})
    return cases


def texts() -> dict[str, str]:
    """Return the files by name."""
    vectors = {"transit_ride": transit_ride(), "bank_cards": bank_cards()}
    return {name: json.dumps(value, indent=1) + "\n" for name, value in vectors.items()}


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` say which of them are not as they would be written."""
    changed = 0
    for name, text in texts().items():
        path = FOLDER / f"{name}.json"
        if arguments == ["--check"]:
            if path.read_text() != text:
                changed += 1
                print(f"{path.name} is not what the virtual cards say")
        else:
            path.write_text(text)
    return 4 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
