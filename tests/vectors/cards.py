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
from protocol.cards import desfire, desfire_credit, desfire_debit
from protocol.cards.desfire_crypto import diversify
from protocol.cards.desfire_inspect import inspect_card
from protocol.cards.desfire_issue import MASTERS
from protocol.cards.emv import read_bank_card
from protocol.cards.emv_keys import PublicKey
from protocol.cards.emv_oda import OfflineAuthentication
from protocol.cards.emv_terminal import Terminal
from protocol.errors import CardError
from simulator import emv_issuer
from simulator.desfire_card import DesfireCard
from simulator.desfire_files import RecordFile
from simulator.emv_card import MASTERCARD_LIKE, VISA_LIKE, EmvCard
from tests.firmware.bench_board import BenchBoard
from tests.simulator.old_card import old_card

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
_NOW_S = 1_800_000_000


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


def _opening(uid: bytes, random_a: bytes) -> Generator[bytes, bytes, desfire.TransitCard]:
    key = diversify(Aes(), _key("transit_debit_master"), layout.key_material(uid))
    return desfire.open_transit_card(Aes(), desfire.KeyInMemory(Aes(), key, random_a))


def _ride(card: DesfireCard, random_a: bytes) -> dict[str, Any]:
    steps: dict[str, list[list[str]]] = {"select": [], "open": [], "take": [], "write": [], "commit": []}
    _hold(card, desfire.select_transit_card(), steps["select"])
    opened = _hold(card, _opening(card.uid, random_a), steps["open"])
    _hold(card, desfire_debit.take(opened.session, layout.FILE_PURSE, _FARE_MINOR), steps["take"])
    balance_minor = opened.balance_minor - _FARE_MINOR
    event = layout.CardEvent(
        layout.EVENT_PURSE,
        _NOW_S,
        b"\x01\x02\x03\x04",
        _FARE_MINOR,
        balance_minor,
        opened.counter + 1,
        9,
        12,
        3,
        product=1,
    )
    _hold(card, desfire_debit.write_event(opened.session, event.encode()), steps["write"])
    counter, mac = _hold(card, desfire_debit.commit(opened.session), steps["commit"])
    assert counter == opened.counter + 1
    return steps | {
        "random_a": random_a.hex(),
        "balance_minor": opened.balance_minor,
        "counter": opened.counter,
        "event": event.encode().hex(),
        "transaction_mac": mac.hex(),
    }


def _open_only(card: DesfireCard, random_a: bytes) -> list[list[str]]:
    card.reset()
    said: list[list[str]] = []
    with suppress(CardError):
        _hold(card, desfire.select_transit_card(), [])
        _hold(card, _opening(card.uid, random_a), said)
    return said


def _inspection(card: DesfireCard) -> list[list[str]]:
    """Read the card as an inspector's device on the bench does."""
    card.reset()
    said: list[list[str]] = []
    _hold(card, desfire.select_transit_card(), said)
    key = diversify(Aes(), _key("transit_read_master"), layout.key_material(card.uid))
    _hold(card, inspect_card(Aes(), desfire.KeyInMemory(Aes(), key, BenchBoard().random_bytes(16))), said)
    return said


def _top_up(card: DesfireCard, random_a: bytes) -> dict[str, Any]:
    """Put money onto the card in the middle of a session under the debit key."""
    card.reset()
    _hold(card, desfire.select_transit_card(), [])
    opening: list[list[str]] = []
    opened = _hold(card, _opening(card.uid, random_a), opening)
    key = diversify(Aes(), _key("transit_credit_master"), layout.key_material(card.uid))
    said: list[list[str]] = []
    holder = desfire.KeyInMemory(Aes(), key, random_a[::-1])
    _hold(card, desfire_credit.authenticate_again(opened.session, layout.KEY_CREDIT, holder), said)
    balance_minor = opened.balance_minor + _FARE_MINOR
    event = layout.CardEvent(
        layout.EVENT_TOP_UP, _NOW_S, b"\x01\x02\x03\x04", _FARE_MINOR, balance_minor, opened.counter + 1
    )
    _, mac = _hold(card, desfire_credit.top_up(opened.session, _FARE_MINOR, event.encode()), said)
    return {
        "open": opening,
        "exchanges": said,
        "event": event.encode().hex(),
        "counter": opened.counter,
        "transaction_mac": mac.hex(),
    }


def transit_ride() -> dict[str, Any]:
    """Return the third ride of a card, word for word; a top-up; the card with a purse below zero, and one of layout 1."""
    passes = [layout.Pass(101, 1, 2_000_000_000), layout.Pass(102, 5, 9, layout.SCOPE_LINE, 12, is_counted=True)]
    environment = layout.Environment(_CARD_NUMBER, 1, 2, _EXPIRES_S, _EXPIRES_S - 1, passes=passes)
    masters = {name: _key(name) for name in MASTERS}
    card = DesfireCard.personalise(_UID, environment, _BALANCE_MINOR, masters)
    for number in range(_RIDES_BEFORE):
        _ride(card, bytes([number]) * 16)
    random_a = bytes(range(16))
    vector = {
        "uid": _UID.hex(),
        "card_number": _CARD_NUMBER.hex(),
        "city": environment.city,
        "category": environment.category,
        "expires_s": environment.expires_s,
        "fare_minor": _FARE_MINOR,
        "read_master": _key("transit_read_master").hex(),
        "debit_master": _key("transit_debit_master").hex(),
        "credit_master": _key("transit_credit_master").hex(),
        "mac_master": _key("transit_mac_master").hex(),
        **_ride(card, random_a),
        "top_up": _top_up(card, random_a),
        "inspection": _inspection(card),
        "open_old": _open_only(old_card(_UID, environment, _BALANCE_MINOR, masters), random_a),
    }
    events = card.applications[layout.APPLICATION_ID].files[layout.FILE_EVENTS]
    assert isinstance(events, RecordFile)
    events.records[-1] = events.records[-1][:24] + b"\xff\xff\xff\xff" + events.records[-1][28:]
    return vector | {"open_negative": _open_only(card, random_a)}


class _Witness:
    """Stands for vault and list of authorities: it lets everything through, and believes the test schemes."""

    number = 1

    def tokenise(self, number: bytearray) -> bytes:
        return bytes(number)

    def seal(self, objects: bytearray) -> bytes:
        return bytes(objects)

    def find(self, rid: bytes, index: int) -> PublicKey | None:
        for key in emv_issuer.authorities():
            if (key.rid, key.index) == (rid, index):
                return PublicKey(key.modulus, key.exponent, bytes.fromhex(key.expires_yymm))
        return None

    def is_revoked(self, rid: bytes, index: int, serial: bytes) -> bool:
        del rid, index, serial
        return False


def bank_cards() -> list[dict[str, Any]]:
    """Return one conversation with a card of each character, and the key of its scheme's authority."""
    cases = []
    for scheme, application, number in (
        (emv_issuer.VISA_SCHEME, VISA_LIKE, "9999990000000018"),
        (emv_issuer.MASTERCARD_SCHEME, MASTERCARD_LIKE, "9999990000000000187"),
    ):
        said: list[list[str]] = []
        terminal = Terminal(0, b"\x24\x05\x15", b"\x01\x02\x03\x04")
        witness = _Witness()
        conversation = read_bank_card(witness, terminal, OfflineAuthentication(witness))
        read = _hold(EmvCard(b"\x08\x01\x02\x03", number, "3012", application), conversation, said)
        authority = witness.find(scheme.rid, emv_issuer.CA_INDEX)
        assert authority is not None
        cases.append(
            {
                "scheme": scheme.name,
                "number": number + "F" * (20 - len(number)),
                "expires_yymm": "3012",
                "rid": scheme.rid.hex(),
                "index": emv_issuer.CA_INDEX,
                "modulus": authority.modulus.hex(),
                "exponent": authority.exponent,
                "acquirer_objects": read.blob.hex(),
                "exchanges": said,
            }
        )
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
