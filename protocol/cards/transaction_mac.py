"""What a transport card signs when it commits a ride, and how the back office checks it (data sheet MF2DLHX0 section 10.3.4.2).

The card chains the plain form of each command that reads or writes a file of its data, zero padded to whole blocks. Reading the
transaction MAC file itself is not part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import short_mac, transaction_mac_keys
from protocol.compat import const

if TYPE_CHECKING:
    from protocol.cmac import Aes

READ_DATA = const(0xAD)
GET_VALUE = const(0x6C)
DEBIT = const(0xDC)


def signed_command(ins: int, header: bytes, data: bytes = b"", answer: bytes = b"") -> bytes:
    """Return one command's part of the transaction MAC input: all of it plain."""
    return _zero_padded(bytes((ins,)) + header + data) + _zero_padded(answer)


def ride_input(environment: bytes, balance_before_minor: int, fare_minor: int) -> bytes:
    """Return the input that a ride makes: environment read, purse read, fare debited."""
    purse = bytes((layout.FILE_PURSE,))
    header = layout.read_header(layout.FILE_ENVIRONMENT, layout.ENVIRONMENT_BYTES)
    return (
        signed_command(READ_DATA, header, answer=environment)
        + signed_command(GET_VALUE, purse, answer=balance_before_minor.to_bytes(4, "little"))
        + signed_command(DEBIT, purse, fare_minor.to_bytes(4, "little"))
    )


def transaction_mac(aes: Aes, key: bytes, uid: bytes, counter_after: int, signed: bytes) -> bytes:
    """Return the transaction MAC, 8 bytes, that a card with that key has at that counter over that input."""
    mac_key, _ = transaction_mac_keys(aes, key, counter_after, uid)
    return short_mac(aes, mac_key, signed)


def _zero_padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)
