"""What can be done about media: put them on a city's lists, take them off, and sign the lists for the validators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.fleet.documents import ALLOW_LIST, DENY_LIST
from clearing.fleet.keys import KeyStore
from clearing.fleet.lists import ListChange, change_list, issue_list
from clearing.media.models import AllowEntry, DenyEntry
from clearing.network.service import lock_city

_TABLES: dict[str, type[DenyEntry | AllowEntry]] = {DENY_LIST: DenyEntry, ALLOW_LIST: AllowEntry}
_ACTIONS = {DENY_LIST: "deny.write", ALLOW_LIST: "allow.write"}
_TOKENS_AT_ONCE = 1000
_TOKENS_READ_AT_ONCE = 10_000


def add_to_list(
    session: Session,
    keys: KeyStore,
    caller: Caller,
    now_ms: int,
    kind: str,
    city: str,
    tokens: Sequence[bytes],
    reason: str,
) -> int:
    """Put media on a city's list and return the number of the list that holds them."""
    lock_city(session, city)
    _put(session, _TABLES[kind], city, sorted(set(tokens)), {"reason": reason, "added_at_ms": now_ms})
    record_audit(session, caller.principal_id, now_ms, _ACTIONS[kind], city, {"added": len(tokens), "reason": reason})
    return _change(session, keys, kind, city, tokens, (), now_ms)


def _put(
    session: Session, table: type[DenyEntry | AllowEntry], city: str, tokens: Sequence[bytes], said: dict[str, object]
) -> None:
    values = said | {"removed_at_ms": None}
    for start in range(0, len(tokens), _TOKENS_AT_ONCE):
        some = tokens[start : start + _TOKENS_AT_ONCE]
        known = update(table).where(table.city == city, table.token.in_(some)).values(values).returning(table.token)
        there = set(session.scalars(known))
        new = [{"city": city, "token": token} | values for token in some if token not in there]
        if new:
            session.execute(insert(table), new)


def take_off_list(
    session: Session, keys: KeyStore, caller: Caller, now_ms: int, kind: str, city: str, tokens: Sequence[bytes]
) -> int:
    """Take media off a city's list and return the number of the list without them."""
    lock_city(session, city)
    table, removed = _TABLES[kind], 0
    for start in range(0, len(tokens), _TOKENS_AT_ONCE):
        some = table.token.in_(tokens[start : start + _TOKENS_AT_ONCE])
        change = update(table).where(table.city == city, some, table.removed_at_ms.is_(None))
        removed += len(session.scalars(change.values(removed_at_ms=now_ms).returning(table.token)).all())
    record_audit(session, caller.principal_id, now_ms, _ACTIONS[kind], city, {"removed": removed})
    return _change(session, keys, kind, city, (), tokens, now_ms)


def _change(
    session: Session,
    keys: KeyStore,
    kind: str,
    city: str,
    added: Sequence[bytes],
    removed: Sequence[bytes],
    now_ms: int,
) -> int:
    change = ListChange(added, removed, lambda: listed_tokens(session, kind, city))
    return change_list(session, keys, kind, city, change, now_ms)


def listed_tokens(session: Session, kind: str, city: str) -> Iterator[bytes]:
    """The tokens on a city's list, in order; they may be a million, and are read a few at a time."""
    # Past the objects of the session: of a million rows it would make each one twice.
    entry = (DenyEntry if kind == DENY_LIST else AllowEntry).__table__.c
    query = select(entry.token).where(entry.city == city, entry.removed_at_ms.is_(None)).order_by(entry.token)
    yield from session.connection().scalars(query, execution_options={"yield_per": _TOKENS_READ_AT_ONCE})


def issue_lists(session: Session, keys: KeyStore, city: str, now_ms: int) -> None:
    """Sign the deny list, and the allow list where the city has one, as they are now."""
    lock_city(session, city)
    for kind, table in _TABLES.items():
        has_one = (
            kind == DENY_LIST or session.scalar(select(table.token).where(table.city == city).limit(1)) is not None
        )
        if has_one:
            issue_list(session, keys, kind, city, listed_tokens(session, kind, city), now_ms)
