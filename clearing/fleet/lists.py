"""Lists of media as documents: whole, in parts, and what has changed since earlier numbers. Old numbers are kept for a while.

A validator that holds one of the last NUMBERS_KEPT numbers fetches what has changed; any other fetches the list whole.

A long list is not signed whole for each medium that comes onto it: that takes seconds, and the city waits. Its change alone is
signed, under the next number; whoever asks for that number whole is given the last whole list, from which the change leads on.
After some changes it is signed whole again, beside what goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clearing.database import Database
from clearing.endpoint import InvalidError
from clearing.fleet.documents import Content, issue
from clearing.fleet.kept_lists import (
    NUMBERS_KEPT,
    WIRE_KINDS,
    base_number,
    find_delta,
    forget_old,
    kept_documents,
    read_list,
)
from clearing.fleet.keys import KeyStore
from clearing.fleet.models import DocumentDelta, DocumentPart, SignedDocument
from clearing.network.service import lock_city
from protocol.cose import TYP_LIST, TYP_LIST_DELTA, parse, sign1
from protocol.errors import CborError, DocumentError, LocalProtocolError
from protocol.limits import LIST_ENTRIES_MAX, LIST_PART_ENTRIES_MAX
from protocol.list_delta import ListDelta, decode_delta, encode_delta, join_deltas, make_change, make_delta
from protocol.medium_list import MediumList, encode_list_parts, make_sorted_list

# A list that nobody changes is good for a year, and signed anew when half of it has passed.
_EXPIRES_AFTER_S = 365 * 86_400
# After so many numbers, or about so many entries that have changed, a long list is signed whole again.
_NUMBERS_WITHOUT_WHOLE = 12
_CHANGE_BYTES_WITHOUT_WHOLE = 4_000


@dataclass(frozen=True)
class ListChange:
    """What has changed in a list.

    Attributes:
        added, removed: tokens; no token is in both.
        tokens: gives all tokens of the list as it is now, in order, for when it must be made anew.
    """

    added: Sequence[bytes]
    removed: Sequence[bytes]
    tokens: Callable[[], Iterable[bytes]]


def issue_list(session: Session, keys: KeyStore, kind: str, city: str, tokens: Iterable[bytes], now_ms: int) -> int:
    """Sign a list whole as it is now, with what has changed since the numbers that are kept, unless the newest says the same.

    The tokens come in order and are not held: of a list of a million there are its entries, 8 MB, and its messages.

    Raises:
        InvalidError: it is longer than a list may be.
    """
    try:
        listed = make_sorted_list(WIRE_KINDS[kind], 0, 0, tokens)
    except LocalProtocolError as error:
        raise InvalidError(f"a list holds {LIST_ENTRIES_MAX} media, not more", "take expired ones off first") from error
    return _issue_whole(session, keys, kind, city, listed, now_ms)


def change_list(session: Session, keys: KeyStore, kind: str, city: str, change: ListChange, now_ms: int) -> int:
    """Bring a city's list up to date by what has changed; returns its number.

    A long list is not signed whole for it: only the change is, and from whatever number is kept. Who needs the list whole is
    given the newest that there is, and the change from that one. `whole_is_due` says when it should be made whole again.
    """
    newest = next(iter(kept_documents(session, kind, city)), None)
    keys.reload()
    if newest is None or not _goes_on(newest, keys, now_ms // 1000):
        return issue_list(session, keys, kind, city, change.tokens(), now_ms)
    held = read_list(session, kind, newest.number)
    if len(held) <= LIST_PART_ENTRIES_MAX:
        return issue_list(session, keys, kind, city, change.tokens(), now_ms)
    try:
        delta, after = make_change(held, _next_number(session, kind), change.added, change.removed)
    except LocalProtocolError:
        return issue_list(session, keys, kind, city, change.tokens(), now_ms)
    if not delta.added and not delta.removed:
        return newest.number
    deltas = [delta, *_joined_from(session, kind, city, delta)]
    base, led_on_from = base_number(newest), {each.from_number for each in deltas}
    # Whoever holds the whole list, or one since, must be led on: to give them the whole one again would help nobody.
    if any(each.number not in led_on_from for each in kept_documents(session, kind, city) if each.number >= base):
        return _issue_whole(session, keys, kind, city, after, now_ms)
    return _issue_change(session, keys, newest, deltas, after, now_ms)


def _goes_on(newest: SignedDocument, keys: KeyStore, now_s: int) -> bool:
    """Whether a list is signed by the key in use, and for long enough."""
    lasts_s, left_s = newest.expires_s - newest.valid_from_s, newest.expires_s - now_s
    return parse(newest.body).kid == keys.documents.kid and left_s >= lasts_s // 2


def _issue_whole(session: Session, keys: KeyStore, kind: str, city: str, listed: MediumList, now_ms: int) -> int:
    now_s = now_ms // 1000
    expires_s = now_s + _EXPIRES_AFTER_S

    def encode(number: int) -> list[bytes]:
        return encode_list_parts(MediumList(listed.kind, number, expires_s, listed.entries))

    content = Content(kind, TYP_LIST, city, now_s, expires_s, bytes(listed.entries), encode)
    document, is_new = issue(session, keys, content, now_ms)
    if is_new:
        _issue_deltas(session, keys, kind, city, MediumList(listed.kind, document.number, expires_s, listed.entries))
        forget_old(session, kind, city)
    return document.number


def _issue_change(
    session: Session,
    keys: KeyStore,
    newest: SignedDocument,
    deltas: Sequence[ListDelta],
    after: MediumList,
    now_ms: int,
) -> int:
    document = SignedDocument(
        kind=newest.kind,
        number=after.number,
        city=newest.city,
        valid_from_s=newest.valid_from_s,
        expires_s=newest.expires_s,
        content_sha256=hashlib.sha256(after.entries).hexdigest(),
        body=newest.body,
        created_at_ms=now_ms,
    )
    session.add(document)
    session.flush()
    _sign_deltas(session, keys, newest.kind, newest.city, deltas)
    forget_old(session, newest.kind, newest.city)
    return document.number


def _next_number(session: Session, kind: str) -> int:
    return (session.scalar(select(func.max(SignedDocument.number)).where(SignedDocument.kind == kind)) or 0) + 1


def whole_is_due(session: Session, kind: str, city: str) -> MediumList | None:
    """The list that should be signed whole now; absent while the changes since the last whole one are few."""
    documents = kept_documents(session, kind, city)
    if not documents:
        return None
    newest = documents[0]
    base = base_number(newest)
    delta = session.get(DocumentDelta, (kind, newest.number, base))
    if delta is None:
        return None
    numbers = [each.number for each in documents]
    is_far = base not in numbers[:_NUMBERS_WITHOUT_WHOLE]
    return read_list(session, kind, newest.number) if is_far or len(delta.body) > _CHANGE_BYTES_WITHOUT_WHOLE else None


def sign_whole(database: Database, keys: KeyStore, kind: str, city: str) -> bool:
    """Sign the newest list of a city whole if that is due, whatever is waiting: nothing is locked but to store it.

    Returns whether it was. Its number stays: it says what it said before.
    """
    with database.reading() as session:
        listed = whole_is_due(session, kind, city)
    if listed is None:
        return False
    keys.reload()
    bodies = [sign1(payload, TYP_LIST, city, keys.documents) for payload in encode_list_parts(listed)]
    with database.writing() as session:
        lock_city(session, city)
        document = session.get(SignedDocument, (kind, listed.number))
        if document is None or base_number(document) == listed.number:
            return False  # somebody else was faster
        document.body = bodies[0]
        session.add_all(
            DocumentPart(kind=kind, number=listed.number, part=part, body=body)
            for part, body in enumerate(bodies[1:], 2)
        )
        session.flush()
        forget_old(session, kind, city)
    return True


def sign_lists_anew(session: Session, keys: KeyStore, city: str, now_ms: int) -> None:
    """Sign the lists of a city as they are with the newest key."""
    for kind in WIRE_KINDS:
        newest = next(iter(kept_documents(session, kind, city)), None)
        if newest is not None:
            held = read_list(session, kind, newest.number)
            issue_list(session, keys, kind, city, [held.at(index) for index in range(len(held))], now_ms)


def _issue_deltas(session: Session, keys: KeyStore, kind: str, city: str, after: MediumList) -> None:
    """Sign what has changed since the number before, and, joined with what had changed until then, since those before it."""
    before = next((each.number for each in kept_documents(session, kind, city) if each.number < after.number), None)
    if before is None:
        return
    try:
        newest = make_delta(read_list(session, kind, before), after)
    except (LocalProtocolError, DocumentError, CborError):
        return  # too much has changed, or it is of a form that no validator takes any more
    _sign_deltas(session, keys, kind, city, [newest, *_joined_from(session, kind, city, newest)])


def _joined_from(session: Session, kind: str, city: str, newest: ListDelta) -> Iterator[ListDelta]:
    """The changes that lead from the earlier numbers to where a change leads; not those that are too much for a message."""
    numbers = [each.number for each in kept_documents(session, kind, city) if each.number < newest.from_number]
    for number in numbers[: NUMBERS_KEPT - 1]:
        body = find_delta(session, kind, newest.from_number, number)
        if body is not None:
            with suppress(LocalProtocolError):
                yield join_deltas(decode_delta(parse(body).payload, newest.kind), newest)


def _sign_deltas(session: Session, keys: KeyStore, kind: str, city: str, deltas: Iterable[ListDelta]) -> None:
    for delta in deltas:
        body = sign1(encode_delta(delta), TYP_LIST_DELTA, city, keys.documents)
        session.add(DocumentDelta(kind=kind, number=delta.to_number, from_number=delta.from_number, body=body))
    session.flush()
