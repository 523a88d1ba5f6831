"""An acquirer, which alone can open what validators seal for it, and the facility that puts its keys into them.

Its base key is made up and named as such: it protects nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from firmware.acquirer_keys import FILE
from firmware.boards.crypto_cpython import Aes
from protocol.cards.acquirer_blob import key_id_of, open_blob
from protocol.cards.dukpt import derive_initial_key
from protocol.cards.tlv import parse

if TYPE_CHECKING:
    from pathlib import Path

_BASE_KEY = hashlib.sha256(b"jolaqy test base key of a simulated acquirer").digest()[:16]
# Base key id (4 bytes) and derivation id (4 bytes), which names the terminal.
_BASE_KEY_ID = bytes.fromhex("99999901")


def initial_key(terminal: str) -> bytes:
    """Return what is put into a terminal of that name: key id (8 bytes) and initial key (16)."""
    key_id = _BASE_KEY_ID + hashlib.sha256(terminal.encode()).digest()[:4]
    return key_id + derive_initial_key(Aes(), _BASE_KEY, key_id)


def put_key_into(state: Path, terminal: str) -> None:
    """Put a key into a new validator whose state is in that folder; one that it has is kept."""
    path = state / FILE
    if not path.exists():
        path.write_bytes(initial_key(terminal))


def open_for_authorisation(blob: bytes) -> dict[int, bytes]:
    """Return the data objects in a blob, by tag.

    Raises:
        CardError: it was not sealed by a terminal of this acquirer, or was changed.
    """
    key = derive_initial_key(Aes(), _BASE_KEY, key_id_of(blob))
    return dict(parse(open_blob(Aes(), key, blob)))
