"""The city's keys, as the bureau that personalises its cards is handed them.

A service makes its keys by itself, from true randomness. A day that shall be the same twice needs the same keys: they decide
every QR code, and so which of them a camera can read. For such a day the keys are derived from the seed. **They protect
nothing**, and are written into a temporary folder only.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from simulator.service import ServiceError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "keys.json"
_KEY_BYTES = {
    "transit_read_master": 16,
    "transit_debit_master": 16,
    "transit_mac_master": 16,
    "transit_credit_master": 16,
    "transit_application_master": 16,
    "transit_card_master": 16,
    "token_key": 32,
    "qr_master": 32,
    "phone_token_key": 32,
    "ack_private": 32,
    "document_private": 32,
}


def derive_keys(seed: int) -> dict[str, bytes]:
    """Return the keys of a simulated city."""
    return {name: _derive(seed, name)[:size] for name, size in _KEY_BYTES.items()}


def _derive(seed: int, name: str) -> bytes:
    digest = hashlib.sha256(f"jolaqy simulation {seed} {name}".encode()).digest()
    # Without its first bit, it is below the order of P-256.
    return bytes((digest[0] & 0x7F,)) + digest[1:]


def write_keys(home: Path, seed: int) -> None:
    """Write derived keys where a service that starts on `home` finds its own; there must be none yet."""
    descriptor = os.open(home / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"key_version": 1} | {name: key.hex() for name, key in derive_keys(seed).items()}, file)


def read_keys(home: Path) -> dict[str, bytes]:
    """Read the keys of the service whose folder this is.

    Raises:
        ServiceError: they are not there.
    """
    path = home / FILE_NAME
    if not path.exists():
        raise ServiceError(f"there are no keys in {home}: JOLAQY_HOME is not the folder of the service")
    stored = json.loads(path.read_text())
    return {name: bytes.fromhex(value) for name, value in stored.items() if isinstance(value, str)}
