"""What a bank card meets in tests, for both Pythons: a vault that lets everything through, and authorities in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards.emv_keys import PublicKey
from protocol.cards.emv_terminal import Terminal
from protocol.compat import sha256
from tests.protocol.transcript import read_exchanges
from tests.vectors.load import load

if TYPE_CHECKING:
    from typing import Any

VISA = b"\xa0\x00\x00\x00\x03\x10\x10"
MASTERCARD = b"\xa0\x00\x00\x00\x04\x10\x10"
TODAY = b"\x24\x05\x15"
UNPREDICTABLE = b"\x01\x02\x03\x04"
CARDS = load("bank_cards")


class OpenVault:
    """It shows what it was shown.

    Attributes:
        shown: the buffers, as they are now.
    """

    def __init__(self) -> None:
        self.shown: list[bytearray] = []

    def tokenise(self, number: bytearray) -> bytes:
        assert len(number) == 10
        self.shown.append(number)
        return sha256(number)[:16]

    def seal(self, objects: bytearray) -> bytes:
        self.shown.append(objects)
        return bytes(objects)


class KnownAuthorities:
    """Authorities by RID and index.

    Attributes:
        keys: their keys.
        revoked: RID, index and serial number of what was revoked.
    """

    def __init__(self, keys: dict[tuple[bytes, int], PublicKey]) -> None:
        self.number = 1
        self.keys = keys
        self.revoked: list[tuple[bytes, int, bytes]] = []

    def find(self, rid: bytes, index: int) -> PublicKey | None:
        return self.keys.get((rid, index))

    def is_revoked(self, rid: bytes, index: int, serial: bytes) -> bool:
        return (rid, index, serial) in self.revoked


def authorities(expires_yymm: bytes = b"\x49\x12") -> KnownAuthorities:
    """Return those that the cards of the vectors need."""
    keys = {}
    for case in CARDS:
        key = PublicKey(bytes.fromhex(case["modulus"]), case["exponent"], expires_yymm)
        keys[bytes.fromhex(case["rid"]), case["index"]] = key
    return KnownAuthorities(keys)


def terminal(amount_minor: int = 0, today: bytes = TODAY, unpredictable: bytes = UNPREDICTABLE) -> Terminal:
    return Terminal(amount_minor, today, unpredictable)


def answers_of(case: dict[str, Any]) -> list[bytes]:
    """Return what a card of the vectors says, word for word."""
    return [answer for _, answer in read_exchanges(case["exchanges"])]
