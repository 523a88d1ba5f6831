"""References by which the acquirer knows what we ask: they follow from what is asked, and from nothing else. Pure.

A back office that was restored from an older copy asks under the same references once more, and the acquirer answers as it did:
nobody is charged again. A reference says nothing of the card: it is a digest over the token, which is itself a keyed digest.
"""

from __future__ import annotations

import base64
import hashlib

_LETTERS = {"charge": "T", "verify": "V", "authorise": "A", "capture": "C", "refund": "R"}
_DIGEST_BYTES = 10


def reference_of(kind: str, city: str, token: bytes, day: str, window_s: int, number: int) -> str:
    """Such as `C20240515-7KQ2M4TZ5XWAB3CD`: kind, service day, and 80 bits over all that makes it this one."""
    # Only the city has no length of its own; it stands last.
    body = token + window_s.to_bytes(8, "big") + number.to_bytes(4, "big") + f"{kind}/{day}/{city}".encode()
    digest = hashlib.sha256(b"Jolaqy acquirer\0" + body).digest()[:_DIGEST_BYTES]
    return f"{_LETTERS[kind]}{day.replace('-', '')}-{base64.b32encode(digest).decode()}"


def token_instead(source_key: str) -> bytes:
    """What stands for the token of a ride that came without one, so that such rides are not glued together."""
    return hashlib.sha256(b"Jolaqy ride without a token\0" + source_key.encode()).digest()[:16]
