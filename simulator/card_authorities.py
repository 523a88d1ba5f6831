"""The test schemes' authorities: as the back office is told of them, and as a validator on a bench keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmware.authority_building import keep
from protocol.card_authorities import CardAuthorities, CardAuthority, encode_card_authorities
from simulator.emv_issuer import authorities

if TYPE_CHECKING:
    from firmware.boards.board import Store


def authorities_as_json(city: str, revoked: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the request by which a city's service learns of the test authorities."""
    keys = [
        {
            "rid": key.rid.hex(),
            "index": key.index,
            "modulus": key.modulus.hex(),
            "exponent": key.exponent,
            "expires_yymm": key.expires_yymm,
        }
        for key in authorities()
    ]
    return {"city": city, "keys": keys, "revoked": list(revoked)}


def authorities_payload(number: int, expires_s: int, revoked: bytes = b"") -> bytes:
    """Return a list of the test authorities, as it is signed."""
    keys = [
        CardAuthority(key.rid, key.index, key.modulus, key.exponent, bytes.fromhex(key.expires_yymm))
        for key in authorities()
    ]
    return encode_card_authorities(CardAuthorities(number, expires_s, keys, revoked))


def keep_authorities(store: Store, key: bytes, payload: bytes) -> None:
    """Let a validator on a bench have a list: `key` is the one by which it knows what it has kept."""
    keep(store, key, payload, 0)
