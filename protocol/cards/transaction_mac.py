"""What a transport card signs when it commits, and how the back office checks it (data sheet MF2DLHX0 section 10.3).

The card chains the plain form of every command that reads or writes its files, each part zero padded to whole blocks. What was
only read is dropped again by AbortTransaction before the first write: so the input is what a transaction changed, the amount
and the event, and whoever knows the tap knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import short_mac, transaction_mac_key
from protocol.compat import const

if TYPE_CHECKING:
    from protocol.cmac import Aes

READ_DATA = const(0xAD)
WRITE_DATA = const(0x8D)
READ_RECORDS = const(0xAB)
WRITE_RECORD = const(0x8B)
GET_VALUE = const(0x6C)
CREDIT = const(0x0C)
DEBIT = const(0xDC)
LIMITED_CREDIT = const(0x1C)


def signed_command(ins: int, header: bytes, data: bytes = b"") -> bytes:
    """Return one command's part of the input: `data` is what it reads or writes, in plain.

    The value of a purse stands right behind the number of its file; everything else begins a block of its own.
    """
    if ins in {GET_VALUE, CREDIT, DEBIT, LIMITED_CREDIT}:
        return _zero_padded(bytes((ins,)) + header + data)
    return _zero_padded(bytes((ins,)) + header) + _zero_padded(data)


def event_input(event: bytes) -> bytes:
    """Return the input that writing an event makes."""
    return signed_command(WRITE_RECORD, layout.read_header(layout.FILE_EVENTS, layout.EVENT_BYTES), event)


def ride_input(event: layout.CardEvent) -> bytes:
    """Return the input of a ride: what was taken from purse or pass, and the event that says so."""
    taken = b""
    if event.kind == layout.EVENT_PURSE and event.amount_minor:
        taken = value_input(DEBIT, layout.FILE_PURSE, event.amount_minor)
    elif event.kind == layout.EVENT_TRIP:
        taken = value_input(DEBIT, layout.FILE_TRIPS + event.slot, 1)
    return taken + event_input(event.encode())


def top_up_input(amount_minor: int, event: bytes) -> bytes:
    """Return the input of a top-up: what was loaded, and the event that says so."""
    return value_input(CREDIT, layout.FILE_PURSE, amount_minor) + event_input(event)


def value_input(ins: int, file: int, amount: int) -> bytes:
    """Return the input of a change of a value file."""
    return signed_command(ins, bytes((file,)), amount.to_bytes(4, "little"))


def transaction_mac(aes: Aes, key: bytes, uid: bytes, counter_after: int, signed: bytes) -> bytes:
    """Return the transaction MAC, 8 bytes, that a card with that key has at that counter over that input."""
    return short_mac(aes, transaction_mac_key(aes, key, counter_after, uid), signed)


def _zero_padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)
