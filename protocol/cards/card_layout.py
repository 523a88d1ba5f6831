"""The layout of Jolaqy's transport card: one DESFire EV2/EV3 application, field by field. CARD.md is its page.

A bus reads two things, who the card is (the environment) and what happened to it last (the newest event). The event carries
the purse and the card's transaction counter as they were after it: every transaction that is committed writes one, so neither
has to be read by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.compat import const
from protocol.errors import CardError

if TYPE_CHECKING:
    from collections.abc import Sequence

APPLICATION_ID = b"\x51\x4c\x4a"
DF_NAME = b"\xf0JOLAQY\x01"
SYSTEM = b"JOLAQY"

KEY_MASTER = const(0)
KEY_READ = const(1)
KEY_DEBIT = const(2)
KEY_CREDIT = const(3)

FILE_ENVIRONMENT = const(1)
FILE_PURSE = const(2)
FILE_EVENTS = const(3)
FILE_TRIPS = const(4)  # and 5 and 6: one for each pass
FILE_ISSUE = const(7)
FILE_TRANSACTION_MAC = const(15)

LAYOUT_VERSION = const(2)
LAYOUT_VERSION_1 = const(1)
UID_BYTES = const(7)
ENVIRONMENT_BYTES = const(63)
ENVIRONMENT_BYTES_1 = const(32)
ISSUE_BYTES = const(32)
EVENT_BYTES = const(32)
EVENTS_KEPT = const(7)
PASSES_MAX = const(3)
TRANSACTION_MAC_FILE_BYTES = const(12)
_CARD_NUMBER_BYTES = const(8)
_PASSES_AT = const(23)
_PASS_BYTES = const(13)
_COUNTED = const(0x80)

STATUS_IN_USE = const(0)
STATUS_BLOCKED = const(1)
STATUS_RETIRED = const(2)

SCOPE_EVERYWHERE = const(0)
SCOPE_LINE = const(1)
SCOPE_ZONES = const(2)

EVENT_ISSUED = const(1)
EVENT_PURSE = const(2)
EVENT_PASS = const(3)
EVENT_ACCOUNT = const(4)
EVENT_TRIP = const(5)
EVENT_TOP_UP = const(6)
EVENT_PASS_SOLD = const(7)
EVENT_STATUS = const(8)

NOWHERE = const(0xFFFF)


class LayoutUnknown(CardError):  # noqa: N818 - a result that the validator tells apart
    """The card has a layout that is newer than this program."""


class Pass:
    """A pass on a card.

    Attributes:
        product: number of the product that was sold, 1 to 65535; 0 where there is no pass.
        valid_from_s, valid_until_s: unix seconds; it is good from the first and before the second.
        scope: where it is good: `SCOPE_EVERYWHERE`, `SCOPE_LINE`, `SCOPE_ZONES`.
        place: the line, or one bit for each of 16 zones (zone 1 is the lowest).
        is_counted: it is good for so many trips as the pass's own value file holds.
        trips_left: what that file holds, once it was read; None where trips are not counted.
    """

    __slots__ = ("is_counted", "place", "product", "scope", "trips_left", "valid_from_s", "valid_until_s")

    def __init__(
        self,
        product: int,
        valid_from_s: int,
        valid_until_s: int,
        scope: int = SCOPE_EVERYWHERE,
        place: int = 0,
        is_counted: bool = False,
    ) -> None:
        self.product = product
        self.valid_from_s = valid_from_s
        self.valid_until_s = valid_until_s
        self.scope = scope
        self.place = place
        self.is_counted = is_counted
        self.trips_left: int | None = None

    def is_good(self, unix_s: int, line: int | None, zone: int | None = None) -> bool:
        """Return whether it is good at a moment and place; a place that is not known is not covered."""
        if not self.product or not self.valid_from_s <= unix_s < self.valid_until_s or self.trips_left == 0:
            return False
        if self.scope == SCOPE_LINE:
            return line == self.place
        if self.scope == SCOPE_ZONES:
            return zone is not None and 1 <= zone <= 16 and bool(self.place >> (zone - 1) & 1)
        return self.scope == SCOPE_EVERYWHERE


class Environment:
    """Who the card is.

    Attributes:
        card_number: 8 bytes; stays inside the conversation, outside of it there is a token.
        city, category: numbers.
        expires_s: unix seconds.
        concession_until_s: unix seconds, from which on the holder is an adult to the fare table; 0 for as long as the card.
        status: `STATUS_IN_USE`, `STATUS_BLOCKED`, `STATUS_RETIRED`.
        passes: three of them, or none on a card of layout 1.
        layout: version that the card has.
    """

    __slots__ = (
        "card_number",
        "category",
        "city",
        "concession_until_s",
        "expires_s",
        "layout",
        "passes",
        "status",
    )

    def __init__(
        self,
        card_number: bytes,
        city: int,
        category: int,
        expires_s: int,
        concession_until_s: int = 0,
        status: int = STATUS_IN_USE,
        passes: Sequence[Pass] = (),
        layout: int = LAYOUT_VERSION,
    ) -> None:
        assert len(card_number) == _CARD_NUMBER_BYTES
        self.card_number = card_number
        self.city = city
        self.category = category
        self.expires_s = expires_s
        self.concession_until_s = concession_until_s
        self.status = status
        self.passes = passes
        self.layout = layout


def encode_environment(environment: Environment) -> bytes:
    """Return the content of the environment file, in the newest layout; passes that are not there are zeros."""
    data = environment.card_number + _big(environment.city, 2) + _big(environment.category, 2)
    data += _big(environment.expires_s, 4) + bytes((LAYOUT_VERSION, environment.status))
    data += _big(environment.concession_until_s, 4) + b"\x00"
    for sold in environment.passes:
        data += _big(sold.product, 2) + bytes((sold.scope | (_COUNTED if sold.is_counted else 0),))
        data += _big(sold.place, 2) + _big(sold.valid_from_s, 4) + _big(sold.valid_until_s, 4)
    return data + bytes(ENVIRONMENT_BYTES - 1 - len(data)) + b"\x00"


def decode_environment(data: bytes) -> Environment:
    """Return the environment file's content, of this layout or the one before.

    Raises:
        LayoutUnknown: it is of a newer one.
        CardError: it is of none.
    """
    if len(data) < ENVIRONMENT_BYTES_1:
        raise CardError("the environment file is too short")
    version = data[16]
    if version > LAYOUT_VERSION:
        raise LayoutUnknown("the card has a layout that is not known here")
    if len(data) != (ENVIRONMENT_BYTES if version == LAYOUT_VERSION else ENVIRONMENT_BYTES_1) or not version:
        raise CardError("the environment file is not of this layout")
    number, city, category, expires_s = data[:8], _number(data, 8, 2), _number(data, 10, 2), _number(data, 12, 4)
    if version == LAYOUT_VERSION_1:
        return Environment(number, city, category, expires_s, layout=version)
    passes = [_decode_pass(data, _PASSES_AT + slot * _PASS_BYTES) for slot in range(PASSES_MAX)]
    return Environment(number, city, category, expires_s, _number(data, 18, 4), data[17], passes)


def _decode_pass(data: bytes, at: int) -> Pass:
    kind = data[at + 2]
    return Pass(
        _number(data, at, 2),
        _number(data, at + 5, 4),
        _number(data, at + 9, 4),
        kind & ~_COUNTED,
        _number(data, at + 3, 2),
        bool(kind & _COUNTED),
    )


class CardEvent:
    """What happened to a card: one record of its cyclic file, written by every transaction that is committed.

    Attributes:
        kind: one of `EVENT_…`.
        slot: which pass, 0 to 2; 0 where it is none.
        at_s: unix seconds by the clock of who wrote it.
        line, trip: where, of the trip's number the lower 16 bits; `NOWHERE` where nobody knows.
        product: what the rider rode on; 0 where it was no ride.
        writer: first 4 bytes of the validator's id, or a terminal's.
        amount_minor: fare, or money loaded, tiyn; of `EVENT_TRIP` the trips that the pass has left.
        sequence: the tap's own.
        balance_minor: purse after it, tiyn.
        counter: the card's transaction counter after it.
    """

    __slots__ = (
        "amount_minor",
        "at_s",
        "balance_minor",
        "counter",
        "kind",
        "line",
        "product",
        "sequence",
        "slot",
        "trip",
        "writer",
    )

    def __init__(
        self,
        kind: int,
        at_s: int,
        writer: bytes,
        amount_minor: int,
        balance_minor: int,
        counter: int,
        sequence: int = 0,
        line: int | None = None,
        trip: int | None = None,
        slot: int = 0,
        product: int = 0,
    ) -> None:
        self.kind = kind
        self.slot = slot
        self.at_s = at_s
        self.line = NOWHERE if line is None else line
        self.trip = NOWHERE if trip is None else trip & 0xFFFF
        self.product = product
        self.writer = writer
        self.amount_minor = amount_minor
        self.sequence = sequence
        self.balance_minor = balance_minor
        self.counter = counter

    def fare_minor(self) -> int:
        """Return what a ride cost, tiyn."""
        return self.amount_minor if self.kind in (EVENT_PURSE, EVENT_ACCOUNT) else 0

    def encode(self) -> bytes:
        """Return the record, 32 bytes."""
        data = bytes((self.slot << 4 | self.kind,)) + _big(self.at_s, 4) + _big(self.line, 2) + _big(self.trip, 2)
        data += _big(self.product, 2) + self.writer + _big(self.amount_minor, 4) + _big(self.sequence, 5)
        return data + _big(self.balance_minor, 4) + _big(self.counter, 4)


def decode_event(data: bytes) -> CardEvent:
    """Return the record.

    Raises:
        CardError: it has another size, or a purse that no card can hold.
    """
    if len(data) != EVENT_BYTES:
        raise CardError("an event has 32 bytes")
    if data[24] & 0x80:
        raise CardError("the purse is below zero")
    return CardEvent(
        data[0] & 0x0F,
        _number(data, 1, 4),
        data[11:15],
        _number(data, 15, 4),
        _number(data, 24, 4),
        _number(data, 28, 4),
        _number(data, 19, 5),
        _number(data, 5, 2),
        _number(data, 7, 2),
        data[0] >> 4,
        _number(data, 9, 2),
    )


def _big(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def key_material(uid: bytes) -> bytes:
    """Return what a card's keys are diversified over.

    Raises:
        CardError: a UID of another size is a random one, which says nothing about the card.
    """
    if len(uid) != UID_BYTES:
        raise CardError("a transport card has a UID of 7 bytes")
    return uid + APPLICATION_ID + SYSTEM


def read_header(file: int, size: int) -> bytes:
    """Return file, offset and size as a command carries them; size 0 is all there is."""
    return bytes((file, 0, 0, 0)) + size.to_bytes(3, "little")
