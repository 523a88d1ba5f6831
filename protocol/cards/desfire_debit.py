"""What a ride changes on a transport card: purse or trips, its event, and the commit that makes them one (`desfire` reads)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.desfire import counter_and_mac
from protocol.cards.transaction_mac import DEBIT, WRITE_RECORD
from protocol.compat import const
from protocol.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Generator

    from protocol.cards.desfire import Session

_ABORT = const(0xA7)
_COMMIT = const(0xC7)
_RETURN_TRANSACTION_MAC = b"\x01"
_VALUE_BITS = const(31)


def begin(session: Session) -> Generator[bytes, bytes, None]:
    """Begin a transaction: what was read before is no part of it."""
    yield from session.maced(_ABORT, b"", "abort")


def debit(session: Session, file: int, amount: int) -> Generator[bytes, bytes, None]:
    """Take from a value file, the purse or the trips of a pass; nothing is lost until `commit`."""
    yield from change_value(session, DEBIT, file, amount)


def take(session: Session, file: int, amount: int) -> Generator[bytes, bytes, None]:
    """Begin a transaction and take from a value file, unless the `amount` is 0."""
    yield from begin(session)
    if amount:
        yield from debit(session, file, amount)


def change_value(session: Session, ins: int, file: int, amount: int) -> Generator[bytes, bytes, None]:
    """Take from a value file, or put into it."""
    if amount <= 0 or amount >> _VALUE_BITS:
        raise LocalProtocolError("an amount is more than nothing and fits the purse")
    yield from session.full(ins, bytes((file,)), amount.to_bytes(4, "little"), "change value")


def write_event(session: Session, event: bytes) -> Generator[bytes, bytes, None]:
    """Write an event; it is there once it is committed."""
    header = layout.read_header(layout.FILE_EVENTS, layout.EVENT_BYTES)
    yield from session.full(WRITE_RECORD, header, event, "write event")


def commit(session: Session) -> Generator[bytes, bytes, tuple[int, bytes]]:
    """Commit; return the card's transaction counter after it, and its transaction MAC, 8 bytes."""
    return counter_and_mac((yield from session.maced(_COMMIT, _RETURN_TRANSACTION_MAC, "commit")))
