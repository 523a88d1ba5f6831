"""What can be done about media: put them on a city's deny list, take them off, and sign the list for the validators."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.endpoint import InvalidError
from clearing.fleet.documents import DENY_LIST, issue
from clearing.fleet.keys import KeyStore
from clearing.media.models import DenyEntry
from clearing.network.service import city_of
from protocol.cose import TYP_LIST
from protocol.limits import DENY_LIST_ENTRIES_MAX
from protocol.medium_list import LIST_DENY, encode_list, make_list

_DAY_S = 86_400
# A list that nobody changes is still good for a year; validators are told of a newer one at every sync.
_EXPIRES_AFTER_S = 365 * _DAY_S


def deny(
    session: Session, keys: KeyStore, caller: Caller, now_ms: int, city: str, tokens: Sequence[bytes], reason: str
) -> int:
    """Put media on a city's deny list and return the number of the list that holds them."""
    city_of(session, city)
    for token in tokens:
        session.merge(DenyEntry(city=city, token=token, reason=reason, added_at_ms=now_ms, removed_at_ms=None))
    session.flush()
    record_audit(session, caller.principal_id, now_ms, "deny.write", city, {"added": len(tokens), "reason": reason})
    return issue_deny_list(session, keys, city, now_ms)


def allow(session: Session, keys: KeyStore, caller: Caller, now_ms: int, city: str, tokens: Sequence[bytes]) -> int:
    """Take media off a city's deny list and return the number of the list without them."""
    city_of(session, city)
    removed = session.scalars(select(DenyEntry).where(DenyEntry.city == city, DenyEntry.token.in_(tokens))).all()
    for entry in removed:
        entry.removed_at_ms = now_ms
    session.flush()
    record_audit(session, caller.principal_id, now_ms, "deny.write", city, {"removed": len(removed)})
    return issue_deny_list(session, keys, city, now_ms)


def denied_tokens(session: Session, city: str) -> list[bytes]:
    """The tokens on a city's deny list, sorted."""
    rows = session.scalars(select(DenyEntry.token).where(DenyEntry.city == city, DenyEntry.removed_at_ms.is_(None)))
    return sorted(rows)


def issue_deny_list(session: Session, keys: KeyStore, city: str, now_ms: int) -> int:
    """Sign the deny list as it is now, unless the newest one says the same; returns its number."""
    tokens = denied_tokens(session, city)
    if len(tokens) > DENY_LIST_ENTRIES_MAX:
        raise InvalidError(
            f"a deny list holds {DENY_LIST_ENTRIES_MAX} media, not {len(tokens)}", "take expired ones off first"
        )
    now_s = now_ms // 1000
    expires_s = now_s + _EXPIRES_AFTER_S

    def encode(number: int) -> bytes:
        return encode_list(make_list(LIST_DENY, number, expires_s, tokens))

    return issue(session, keys, DENY_LIST, TYP_LIST, city, now_s, expires_s, b"".join(tokens), encode, now_ms)
