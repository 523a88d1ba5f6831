"""All targets, by name."""

from __future__ import annotations

from tests.fuzz import bank_cards, codes, envelopes, flash, messages, streams, transport_cards

_ROOMS = (messages, envelopes, codes, streams, flash, bank_cards, transport_cards)
TARGETS = {target.name: target for room in _ROOMS for target in room.TARGETS}
