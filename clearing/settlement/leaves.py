"""What a close stands on, as leaves of its Merkle tree: their text, their salt, their order. Pure.

A leaf is `salt || text`; the text is a JSON array without spaces, in UTF-8:

- `["tap", VERDICT, DEVICE, EPOCH, SEQUENCE, MEDIUM, CARRIER, CHARGED_MINOR, RECORD_SHA256]`: a medium before a validator;
  its key is `DEVICE/EPOCH/SEQUENCE`.
- `["missing", DEVICE, EPOCH, FIRST, LAST]`: records that never came; its key is that of FIRST, or of the record that says so.
- `[CHANNEL, STATUS, SENDER, REFERENCE, CARRIER, MEDIUM, AMOUNT_MINOR]`: what a channel brought; its key is
  `CHANNEL/SENDER/REFERENCE`.

VERDICT is `accepted` (a cleared ride), `refused`, or `not_counted`: a debit whose end nobody knows or that failed, a code that
had passed before. Taps and gaps come first, by device, epoch and sequence; then what channels brought, by the bytes of its key.
A gap belongs to the day of the record that follows it.

The salt is HMAC-SHA-256 of the key under the secret of the day, which is HMAC-SHA-256 of `CITY/DAY` under a key of the service.
Without its salt a leaf cannot be found by trying; with it, whoever is shown one learns nothing of the others.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

ACCEPTED = "accepted"
REFUSED = "refused"
NOT_COUNTED = "not_counted"
MISSING = "missing"
CHANNEL = "channel"
_BLOCK_BYTES = 64


class Leaf(NamedTuple):
    """One leaf; `verdict` is one of those above, `MISSING` or `CHANNEL`."""

    verdict: str
    key: str
    text: str


def tap_key(device: str, epoch: int, sequence: int) -> str:
    return f"{device}/{epoch}/{sequence}"


def tap_leaf(
    verdict: str, device: str, epoch: int, sequence: int, medium: str, carrier: str, charged_minor: int, record: bytes
) -> Leaf:
    """A medium before a validator; `device` in hexadecimal, `medium` and `carrier` as JSON strings, quotes included."""
    text = (
        f'["tap","{verdict}","{device}",{epoch},{sequence},{medium},{carrier},{charged_minor},'
        f'"{sha256(record).hexdigest()}"]'
    )
    return Leaf(verdict, f"{device}/{epoch}/{sequence}", text)


def missing_leaf(device: str, epoch: int, place: int, first: int, last: int) -> Leaf:
    """Records from `first` to `last` that never came, said at the `place` of a record or of the first of them."""
    return Leaf(MISSING, tap_key(device, epoch, place), f'["missing","{device}",{epoch},{first},{last}]')


def channel_leaf(
    channel: str, status: str, sender: str, reference: str, carrier: str, medium: str, amount_minor: int
) -> Leaf:
    """What a channel brought."""
    text = quoted([channel, status, sender, reference, carrier, medium, amount_minor])
    return Leaf(CHANNEL, f"{channel}/{sender}/{reference}", text)


def quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def day_secret(close_key: bytes, city: str, day: str) -> bytes:
    return hmac.digest(close_key, f"{city}/{day}".encode(), "sha256")


def salt_of(secret: bytes, key: str) -> bytes:
    return hmac.digest(secret, key.encode(), "sha256")


def leaf_hasher(secret: bytes) -> Callable[[Leaf], bytes]:
    """A function that gives the leaf hash of a leaf (RFC 6962: over 0x00, salt, text).

    It is `leaf_hash(salt_of(secret, key) + text)` with the two pads of the HMAC hashed once instead of for each leaf: a day
    has millions.
    """
    pad = secret.ljust(_BLOCK_BYTES, b"\x00")
    inner, outer = (sha256(bytes(byte ^ mask for byte in pad)) for mask in (0x36, 0x5C))

    def hash_leaf(leaf: Leaf) -> bytes:
        salt = inner.copy()
        salt.update(leaf.key.encode())
        whole = outer.copy()
        whole.update(salt.digest())
        return sha256(b"\x00" + whole.digest() + leaf.text.encode()).digest()

    return hash_leaf
