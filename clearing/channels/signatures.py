"""Signatures of messages that come by a channel. Pure.

Three headers: `X-Jolaqy-Key` (number of the key), `X-Jolaqy-Time` (unix seconds), `X-Jolaqy-Signature` (hexadecimal). Signed is

    JOLAQY channel/1 LF METHOD SP PATH LF KEY LF TIME LF body

The first four parts hold no line feed, so no two messages have the same signed bytes. A signature is HMAC-SHA-256, or ES256 (r
and s, 32 bytes each). It counts for five minutes; that it is used twice in that time does no harm, as each reference counts once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KEY_HEADER = "x-jolaqy-key"
TIME_HEADER = "x-jolaqy-time"
SIGNATURE_HEADER = "x-jolaqy-signature"
WINDOW_S = 300
_NUMBER = re.compile(r"[0-9]{1,15}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}(?:[0-9a-f]{64})?")


@dataclass(frozen=True)
class SignedRequest:
    """A request as far as its signature looks at it; the headers are absent where they are missing or malformed.

    Attributes:
        body: exactly as it came.
    """

    method: str
    path: str
    body: bytes
    key_id: int | None
    time_s: int | None
    signature: bytes | None

    def signed_bytes(self) -> bytes:
        head = f"JOLAQY channel/1\n{self.method} {self.path}\n{self.key_id}\n{self.time_s}\n"
        return head.encode() + self.body


def read_request(method: str, path: str, body: bytes, key: str, time: str, signature: str) -> SignedRequest:
    """A request with the headers of its signature, which may be anything."""
    return SignedRequest(
        method,
        path,
        body,
        int(key) if _NUMBER.fullmatch(key) and key.isascii() else None,
        int(time) if _NUMBER.fullmatch(time) and time.isascii() else None,
        bytes.fromhex(signature) if _SIGNATURE.fullmatch(signature) else None,
    )


def fault_in(request: SignedRequest, now_s: int) -> str:
    """What is wrong with a signature before any key is looked at; empty when nothing is."""
    if request.key_id is None or request.time_s is None or request.signature is None:
        return "the message is not signed, or its headers cannot be read"
    if abs(request.time_s - now_s) > WINDOW_S:
        return f"the signature is of another moment: it counts for {WINDOW_S} seconds, and it is {now_s}"
    return ""
