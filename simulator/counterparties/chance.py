"""Chance of counterparties: it depends on the seed and on what it is about, never on the order of requests."""

from __future__ import annotations

import hashlib


def comes_up(about: str, probability: float) -> bool:
    """Whether something happens, named by everything that it depends on; the same name always has the same fate."""
    digest = hashlib.sha256(about.encode()).digest()
    return int.from_bytes(digest[:6], "big") < probability * (1 << 48)
