"""The event that a ride writes to a transport card, and the evidence of it that is journalled: one place for bus and back office.

Whoever has the two records of a ride and the validator's id can say what the card signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.cards import card_layout as layout
from protocol.cards.card_layout import CardEvent
from protocol.compat import const

if TYPE_CHECKING:
    from protocol.tap import Tap

WRITER_BYTES = const(4)
MAC_BYTES = const(8)
_MASKED_AT = MAC_BYTES
_KIND_AT = MAC_BYTES + layout.UID_BYTES
EVIDENCE_BYTES = _KIND_AT + 1


def ride_event(intent: Tap, device: bytes, kind: int, slot: int, trips_left: int, balance_minor: int) -> CardEvent:
    """Return the event of the ride that an intent records; `balance_minor` is the purse after it."""
    amount = trips_left if kind == layout.EVENT_TRIP else intent.fare_minor or 0
    return CardEvent(
        kind,
        intent.tapped_at_s,
        device[:WRITER_BYTES],
        amount,
        balance_minor,
        (intent.counter or 0) + 1,
        intent.sequence,
        intent.line,
        intent.trip,
        slot,
        intent.product or 0,
    )


def is_event_of(event: CardEvent, intent: Tap, device: bytes) -> bool:
    """Return whether an event was written by the ride of that intent on that validator."""
    return event.writer == device[:WRITER_BYTES] and event.sequence == intent.sequence


def encode_evidence(mac: bytes, masked_uid: bytes, event: CardEvent | None) -> bytes:
    """Return what an outcome keeps: transaction MAC, masked UID, kind and slot of the event; trips left where a pass counts them.

    A card of layout 1 has no event: its kind is 0.
    """
    if event is None:
        return mac + masked_uid + b"\x00"
    evidence = mac + masked_uid + bytes((event.slot << 4 | event.kind,))
    return evidence + event.amount_minor.to_bytes(2, "big") if event.kind == layout.EVENT_TRIP else evidence


class Evidence:
    """What an outcome keeps of a card's part in a ride.

    Attributes:
        mac: transaction MAC.
        masked_uid: see `protocol.tokens.mask_uid`.
        kind, slot: of the event; 0 for a card of layout 1.
        trips_left: of a counted pass; else 0.
    """

    __slots__ = ("kind", "mac", "masked_uid", "slot", "trips_left")

    def __init__(self, mac: bytes, masked_uid: bytes, kind: int, slot: int, trips_left: int) -> None:
        self.mac = mac
        self.masked_uid = masked_uid
        self.kind = kind
        self.slot = slot
        self.trips_left = trips_left


def decode_evidence(data: bytes) -> Evidence | None:
    """Return the evidence of a transport card's outcome, or None for what is none."""
    if len(data) < EVIDENCE_BYTES:
        return None
    kind, slot = data[_KIND_AT] & 0x0F, data[_KIND_AT] >> 4
    if len(data) != EVIDENCE_BYTES + (2 if kind == layout.EVENT_TRIP else 0):
        return None
    trips_left = int.from_bytes(data[EVIDENCE_BYTES:], "big")
    return Evidence(data[:_MASKED_AT], data[_MASKED_AT:_KIND_AT], kind, slot, trips_left)
