"""Tokens of media: what stands for a card, a ticket or a phone outside of the conversation that read it."""

from __future__ import annotations

from protocol.compat import const, hmac_sha256

TOKEN_BYTES = const(16)

LABEL_TRANSIT = b"transit"
LABEL_BANK = b"bank"
LABEL_QR = b"qr"
LABEL_PHONE = b"phone"
LABEL_SCREEN = b"screen"


def medium_token(token_key: bytes, label: bytes, identity: bytes) -> bytes:
    """Return the keyed token of a medium, 16 bytes.

    Args:
        token_key: the city's key for tokens, 32 bytes.
        label: one of `LABEL_…`, so that two kinds of medium with one number get two tokens.
        identity: card number, ticket id, phone number or number of a payment; without the key it cannot be found again from the
            token.
    """
    return hmac_sha256(token_key, label + b"\0" + identity)[:TOKEN_BYTES]


def mask_uid(token_key: bytes, token: bytes, uid: bytes) -> bytes:
    """Return a card's UID (7 bytes) so that only who has the city's key for tokens can read it; or the UID from that.

    It says no more of a card than its token does, and it is what the card's transaction MAC cannot be checked without.
    """
    mask = hmac_sha256(token_key, b"uid\0" + token)
    return bytes([a ^ b for a, b in zip(uid, mask)])
