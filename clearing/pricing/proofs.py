"""Did the card take part? Each ride with a transport card is held against the transaction MAC that the card made of it.

Only the back office has the keys for that, so a validator in wrong hands can make rides up, but none that a card has signed
(protocol/cards/CARD.md "Proof"). What a MAC says is final when it holds. A ride whose MAC is wrong or missing goes to the
exceptions; it is priced as any other, since a person must look at it and the rider may have paid.
"""

from __future__ import annotations

from clearing.fleet.keys import Aes, KeyStore
from protocol.cards import card_layout as layout
from protocol.cards.desfire_crypto import diversify
from protocol.cards.ride_event import decode_evidence, ride_event
from protocol.cards.transaction_mac import DEBIT, ride_input, transaction_mac, value_input
from protocol.compat import constant_time_equal
from protocol.tap import Tap
from protocol.tokens import mask_uid

PROVEN = "proven"
WRONG = "wrong"
MISSING = "missing"
_LAYOUT_1 = 0


def verdict_on(keys: KeyStore, device: bytes, intent: Tap, outcome: Tap | None) -> str:
    """Whether a card has signed the ride that these two records describe."""
    evidence = None if outcome is None else decode_evidence(outcome.evidence or b"")
    if outcome is None or evidence is None or intent.token is None:
        return MISSING
    uid = mask_uid(keys.token_key, intent.token, evidence.masked_uid)
    counter = (intent.counter or 0) + 1 if outcome.counter is None else outcome.counter
    if evidence.kind == _LAYOUT_1:
        signed = value_input(DEBIT, layout.FILE_PURSE, max(0, intent.fare_minor or 0))
    else:
        balance_minor = max(0, outcome.balance_minor or 0)
        event = ride_event(intent, device, evidence.kind, evidence.slot, evidence.trips_left, balance_minor)
        try:
            signed = ride_input(event)
        except (OverflowError, ValueError):
            return WRONG  # numbers that no card can hold
    aes = Aes()
    key = diversify(aes, keys.transit_mac_master, layout.key_material(uid))
    expected = transaction_mac(aes, key, uid, counter, signed)
    return PROVEN if constant_time_equal(evidence.mac, expected) else WRONG
