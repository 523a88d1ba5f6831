"""All targets, by name."""

from __future__ import annotations

from tests.fuzz import codes, envelopes, flash, messages, streams

TARGETS = {target.name: target for room in (messages, envelopes, codes, streams, flash) for target in room.TARGETS}
