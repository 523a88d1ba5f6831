"""Turns a signed list of card authorities into the file in which a device looks them up. Loaded when there is a new one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from firmware.card_authorities import ENTRY_BYTES, FILE, HEAD_BYTES, MAGIC
from protocol.card_authorities import decode_card_authorities
from protocol.compat import hmac_sha256
from protocol.errors import DocumentError

if TYPE_CHECKING:
    from firmware.boards.board import Store

_NEXT = FILE + ".next"


def keep(store: Store, key: bytes, payload: bytes, held_number: int) -> None:
    """Put a list that was verified in the place of the one held.

    Args:
        store: where it is kept.
        key: of the device, for what it keeps.
        payload: of the signed message.
        held_number: of the list held; 0 for none.

    Raises:
        DocumentError: it is not one, or not newer than the one held.
    """
    authorities = decode_card_authorities(payload)
    if authorities.number <= held_number:
        raise DocumentError("number " + str(authorities.number) + " is not newer than what is in force")
    keys, revoked = authorities.keys, authorities.revoked
    data = MAGIC + authorities.number.to_bytes(4, "big") + authorities.expires_s.to_bytes(4, "big")
    data += len(keys).to_bytes(2, "big") + (len(revoked) // 9).to_bytes(2, "big")
    place = HEAD_BYTES + ENTRY_BYTES * len(keys) + len(revoked)
    for each in keys:
        data += each.rid + bytes((each.index,)) + each.expires_yymm + each.exponent.to_bytes(4, "big")
        data += place.to_bytes(2, "big")
        place += len(each.modulus)
        data += place.to_bytes(2, "big")
    digest = hashlib.sha256(data)
    store.write(_NEXT, data)
    for piece in [revoked] + [each.modulus for each in keys]:
        digest.update(piece)
        store.append(_NEXT, piece)
    store.append(_NEXT, hmac_sha256(key, digest.digest()))
    store.rename(_NEXT, FILE)
