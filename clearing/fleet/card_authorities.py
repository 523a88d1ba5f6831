"""The authorities of payment schemes as a document: whose bank cards the validators of a city believe.

Schemes publish their keys with a SHA-1 over RID, index, modulus and exponent (EMV Book 2 section 11.2.2): where it is given it
must hold, so that a mistyped modulus is noticed before it travels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import InvalidError
from clearing.fleet.documents import CARD_AUTHORITIES, Content, issue, newest_document
from clearing.fleet.keys import KeyStore
from clearing.network.service import lock_city
from protocol.card_authorities import (
    CardAuthorities,
    CardAuthority,
    decode_card_authorities,
    encode_card_authorities,
)
from protocol.cose import TYP_CARD_AUTHORITIES, parse
from protocol.errors import DocumentError, LocalProtocolError

# Signed anew when half of it has passed; a bus that is not heard for so long takes no bank cards any more.
_EXPIRES_AFTER_S = 365 * 86_400
_NO_NUMBER = 1


@dataclass(frozen=True)
class PublishedKey:
    """A key as its scheme has published it, numbers in hexadecimal; `sha1` may be empty."""

    rid: str
    index: int
    modulus: str
    exponent: int
    expires_yymm: str
    sha1: str = ""


def replace_card_authorities(
    session: Session,
    keys: KeyStore,
    caller: Caller,
    now_ms: int,
    city: str,
    published: Sequence[PublishedKey],
    revoked: Sequence[str],
) -> int:
    """Let these be the authorities of a city, and these certificates revoked; returns the number of the list.

    Raises:
        InvalidError: something is no key, or does not hold against its own hash.
    """
    lock_city(session, city)
    listed = as_list(published, revoked)
    counts = {"keys": len(listed.keys), "revoked": len(revoked)}
    record_audit(session, caller.principal_id, now_ms, "authority.write", city, counts)
    return _issue(session, keys, city, listed.keys, listed.revoked, now_ms)


def as_list(published: Sequence[PublishedKey], revoked: Sequence[str]) -> CardAuthorities:
    """Return keys and revoked certificates as a list, which has no number yet.

    Raises:
        InvalidError: something is no key, or does not hold against its own hash.
    """
    authorities = sorted((_key(each) for each in published), key=lambda key: (key.rid, key.index))
    try:
        names = b"".join(sorted({bytes.fromhex(name) for name in revoked}))
        # Whether it is a list is said by the rules of the protocol, which say so to validators as well.
        return decode_card_authorities(encode_card_authorities(CardAuthorities(_NO_NUMBER, 0, authorities, names)))
    except (DocumentError, LocalProtocolError, ValueError) as error:
        raise InvalidError(f"no list of authorities: {error}", "look at the scheme's bulletin again") from None


def renew_card_authorities(session: Session, keys: KeyStore, city: str, now_ms: int) -> None:
    """Sign the list of a city as it is when half of its life has passed, or by the newest key; nothing where there is none."""
    held = newest_card_authorities(session, city, now_ms)
    if held is not None:
        _issue(session, keys, city, held.keys, held.revoked, now_ms)


def newest_card_authorities(session: Session, city: str, now_ms: int) -> CardAuthorities | None:
    """Return the list that the validators of a city shall have, or None where there is none."""
    newest = newest_document(session, CARD_AUTHORITIES, city, now_ms // 1000)
    return None if newest is None else decode_card_authorities(parse(newest.body).payload)


def _issue(
    session: Session, keys: KeyStore, city: str, authorities: list[CardAuthority], revoked: bytes, now_ms: int
) -> int:
    now_s = now_ms // 1000
    expires_s = now_s + _EXPIRES_AFTER_S

    def encode(number: int) -> list[bytes]:
        return [encode_card_authorities(CardAuthorities(number, expires_s, authorities, revoked))]

    identity = encode_card_authorities(CardAuthorities(_NO_NUMBER, 0, authorities, revoked))
    content = Content(CARD_AUTHORITIES, TYP_CARD_AUTHORITIES, city, now_s, expires_s, identity, encode)
    return issue(session, keys, content, now_ms)[0].number


def _key(published: PublishedKey) -> CardAuthority:
    try:
        rid, modulus = bytes.fromhex(published.rid), bytes.fromhex(published.modulus)
        expires_yymm, expected = bytes.fromhex(published.expires_yymm), published.sha1.lower()
        exponent = published.exponent.to_bytes((published.exponent.bit_length() + 7) // 8, "big")
        named = rid + bytes((published.index,)) + modulus + exponent
    except (ValueError, OverflowError):
        raise InvalidError("a key's numbers are hexadecimal", "write them as the scheme's bulletin does") from None
    found = hashlib.sha1(named).hexdigest()  # noqa: S324 - what schemes publish
    if expected and expected != found:
        raise InvalidError(
            f"the key {published.rid} {published.index:02X} does not hold against its hash", "it is mistyped"
        )
    return CardAuthority(rid, published.index, modulus, published.exponent, expires_yymm)
