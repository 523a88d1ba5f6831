"""Tokens of media: what stands for a card, a ticket or a phone outside of the conversation that read it."""

from __future__ import annotations

from protocol.compat import const, hmac_sha256

TOKEN_BYTES = const(16)

LABEL_TRANSIT = b"transit"
LABEL_BANK = b"bank"
LABEL_QR = b"qr"
LABEL_PHONE = b"phone"


def medium_token(token_key: bytes, label: bytes, identity: bytes) -> bytes:
    """Return the keyed token of a medium, 16 bytes.

    Args:
        token_key: the city's key for tokens, 32 bytes.
        label: one of `LABEL_…`, so that two kinds of medium with one number get two tokens.
        identity: card number, ticket id or phone number; it cannot be found again from the token without the key.
    """
    return hmac_sha256(token_key, label + b"\0" + identity)[:TOKEN_BYTES]
