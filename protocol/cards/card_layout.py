"""The layout of Jolaqy's transport card: one DESFire EV2/EV3 application, field by field.

Application `JLQ` (AES), found by its DF name. Keys: 0 application master, 1 read, 2 debit, 3 credit. Keys 1 to 3 are diversified
per card over UID, application and system (AN10922); key 3 never comes near a bus. The transaction MAC key is the back office's.

| file | kind | CommMode | who may |
|---|---|---|---|
| 1 environment | standard data, 32 bytes | full | read: keys 1 and 2; write: key 3 |
| 2 purse | value, tiyn | full | GetValue and Debit: key 2; Credit: key 3 |
| 15 transaction MAC | TMC (4, little-endian) and last MAC (8) | MAC | read: keys 1 and 2 |

A second reader of a file is an additional access right, which EV2 and EV3 have. Environment: card number (8), city (2), category
(2), expiry (4, unix seconds), layout version (1), zeros; big-endian.
"""

from __future__ import annotations

from protocol.compat import const
from protocol.errors import CardError

APPLICATION_ID = b"\x51\x4c\x4a"
DF_NAME = b"\xf0JOLAQY\x01"
SYSTEM = b"JOLAQY"

KEY_MASTER = const(0)
KEY_READ = const(1)
KEY_DEBIT = const(2)
KEY_CREDIT = const(3)

FILE_ENVIRONMENT = const(1)
FILE_PURSE = const(2)
FILE_TRANSACTION_MAC = const(15)

UID_BYTES = const(7)
ENVIRONMENT_BYTES = const(32)
TRANSACTION_MAC_FILE_BYTES = const(12)
_CARD_NUMBER_BYTES = const(8)
_LAYOUT_VERSION = const(1)


class Environment:
    """Who the card is.

    Attributes:
        card_number: 8 bytes; stays inside the conversation, outside of it there is a token.
        city, category: numbers.
        expires_s: unix seconds.
    """

    __slots__ = ("card_number", "category", "city", "expires_s")

    def __init__(self, card_number: bytes, city: int, category: int, expires_s: int) -> None:
        assert len(card_number) == _CARD_NUMBER_BYTES
        self.card_number = card_number
        self.city = city
        self.category = category
        self.expires_s = expires_s

    def encode(self) -> bytes:
        data = self.card_number + self.city.to_bytes(2, "big") + self.category.to_bytes(2, "big")
        data += self.expires_s.to_bytes(4, "big") + bytes((_LAYOUT_VERSION,))
        return data + bytes(ENVIRONMENT_BYTES - len(data))


def decode_environment(data: bytes) -> Environment:
    """Return the environment file's content.

    Raises:
        CardError: size or layout version are not ours.
    """
    if len(data) != ENVIRONMENT_BYTES or data[16] != _LAYOUT_VERSION:
        raise CardError("the environment file is not of this layout")
    return Environment(
        data[:8],
        int.from_bytes(data[8:10], "big"),
        int.from_bytes(data[10:12], "big"),
        int.from_bytes(data[12:16], "big"),
    )


def key_material(uid: bytes) -> bytes:
    """Return what a card's keys are diversified over.

    Raises:
        CardError: a UID of another size is a random one, which says nothing about the card.
    """
    if len(uid) != UID_BYTES:
        raise CardError("a transport card has a UID of 7 bytes")
    return uid + APPLICATION_ID + SYSTEM


def read_header(file: int, size: int) -> bytes:
    """Return the header of a ReadData command for a whole file."""
    return bytes((file, 0, 0, 0)) + size.to_bytes(3, "little")
