"""Lists of media as documents: whole, in parts, and what has changed since earlier numbers. Old numbers are kept for a while.

A validator that holds one of the last NUMBERS_KEPT numbers fetches what has changed; any other fetches the list whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from clearing.endpoint import InvalidError
from clearing.fleet.documents import ALLOW_LIST, DENY_LIST, TOP_UP_LIST, Content, issue
from clearing.fleet.keys import KeyStore
from clearing.fleet.models import DocumentDelta, DocumentPart, SignedDocument
from protocol.cose import TYP_LIST, TYP_LIST_DELTA, parse, sign1
from protocol.errors import DocumentError, LocalProtocolError
from protocol.limits import LIST_ENTRIES_MAX
from protocol.list_delta import ListDelta, decode_delta, encode_delta, join_deltas, make_delta
from protocol.medium_list import (
    LIST_ALLOW,
    LIST_DENY,
    LIST_TOP_UP,
    MediumList,
    decode_list_part,
    encode_list_parts,
    join_parts,
    make_sorted_list,
)

NUMBERS_KEPT = 16
# A list that nobody changes is good for a year, and signed anew when half of it has passed.
_EXPIRES_AFTER_S = 365 * 86_400
_WIRE_KINDS = {DENY_LIST: LIST_DENY, ALLOW_LIST: LIST_ALLOW, TOP_UP_LIST: LIST_TOP_UP}


def issue_list(session: Session, keys: KeyStore, kind: str, city: str, tokens: Iterable[bytes], now_ms: int) -> int:
    """Sign a list as it is now, with what has changed since the numbers that are kept, unless the newest says the same.

    The tokens come in order and are not held: of a list of a million there are its entries, 8 MB, and its messages.

    Raises:
        InvalidError: it is longer than a list may be.
    """
    now_s = now_ms // 1000
    expires_s = now_s + _EXPIRES_AFTER_S

    try:
        listed = make_sorted_list(_WIRE_KINDS[kind], 0, expires_s, tokens)
    except LocalProtocolError as error:
        raise InvalidError(f"a list holds {LIST_ENTRIES_MAX} media, not more", "take expired ones off first") from error

    def encode(number: int) -> list[bytes]:
        return encode_list_parts(MediumList(listed.kind, number, expires_s, listed.entries))

    content = Content(kind, TYP_LIST, city, now_s, expires_s, bytes(listed.entries), encode)
    document, is_new = issue(session, keys, content, now_ms)
    if is_new:
        _issue_deltas(session, keys, kind, city, MediumList(listed.kind, document.number, expires_s, listed.entries))
        _forget_old(session, kind, city)
    return document.number


def sign_lists_anew(session: Session, keys: KeyStore, city: str, now_ms: int) -> None:
    """Sign the lists of a city as they are with the newest key."""
    for kind in _WIRE_KINDS:
        newest = next(iter(_numbers(session, kind, city)), None)
        if newest is not None:
            held = _read(session, kind, newest)
            issue_list(session, keys, kind, city, [held.at(index) for index in range(len(held))], now_ms)


def find_part(session: Session, kind: str, number: int, part: int) -> bytes | None:
    """A message of a list in parts, from 1; a list in one message has no parts."""
    further = session.get(DocumentPart, (kind, number, max(part, 2)))
    if part != 1 or further is None:
        return further.body if further is not None and part > 1 else None
    return session.get_one(SignedDocument, (kind, number)).body


def find_delta(session: Session, kind: str, number: int, from_number: int) -> bytes | None:
    """What has changed in a list since an earlier number; nothing where it must be fetched whole."""
    delta = session.get(DocumentDelta, (kind, number, from_number))
    return None if delta is None else delta.body


def _numbers(session: Session, kind: str, city: str) -> list[int]:
    """The numbers of a city's lists that are kept, newest first."""
    query = select(SignedDocument.number).where(SignedDocument.kind == kind, SignedDocument.city == city)
    return list(session.scalars(query.order_by(SignedDocument.number.desc())))


def _issue_deltas(session: Session, keys: KeyStore, kind: str, city: str, after: MediumList) -> None:
    """Sign what has changed since the number before, and, joined with what had changed until then, since those before it."""
    before, *earlier = [*_numbers(session, kind, city)[1 : NUMBERS_KEPT + 1], 0]
    if not before:
        return
    try:
        newest = make_delta(_read(session, kind, before), after)
    except (LocalProtocolError, DocumentError):
        return  # too much has changed, or it is of a form that no validator takes any more
    deltas = [newest]
    for number in earlier:
        body = find_delta(session, kind, before, number)
        if body is not None:
            deltas += _joined(decode_delta(parse(body).payload, newest.kind), newest)
    for delta in deltas:
        body = sign1(encode_delta(delta), TYP_LIST_DELTA, city, keys.documents)
        session.add(DocumentDelta(kind=kind, number=after.number, from_number=delta.from_number, body=body))
    session.flush()


def _joined(first: ListDelta, second: ListDelta) -> list[ListDelta]:
    """The two as one; none where that is too much for a message."""
    try:
        return [join_deltas(first, second)]
    except LocalProtocolError:
        return []


def _read(session: Session, kind: str, number: int) -> MediumList:
    parts = select(DocumentPart.body).where(DocumentPart.kind == kind, DocumentPart.number == number)
    bodies = [session.get_one(SignedDocument, (kind, number)).body, *session.scalars(parts.order_by(DocumentPart.part))]
    return join_parts([decode_list_part(parse(body).payload, _WIRE_KINDS[kind]) for body in bodies])


def _forget_old(session: Session, kind: str, city: str) -> None:
    for number in _numbers(session, kind, city)[NUMBERS_KEPT:]:
        for table in (DocumentDelta, DocumentPart, SignedDocument):
            session.execute(delete(table).where(table.kind == kind, table.number == number))
