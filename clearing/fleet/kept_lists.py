"""Lists of media as they are kept: whole, in parts, and what has changed since.

A number of which only the change was signed has the first message of the whole list before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from clearing.fleet.documents import ALLOW_LIST, DENY_LIST, TOP_UP_LIST
from clearing.fleet.models import DocumentDelta, DocumentPart, SignedDocument
from protocol import cbor
from protocol.cose import parse
from protocol.list_delta import apply_delta, decode_delta
from protocol.medium_list import LIST_ALLOW, LIST_DENY, LIST_TOP_UP, MediumList

NUMBERS_KEPT = 16
WIRE_KINDS = {DENY_LIST: LIST_DENY, ALLOW_LIST: LIST_ALLOW, TOP_UP_LIST: LIST_TOP_UP}


def base_number(document: SignedDocument) -> int:
    """The number of the list that a document is whole of: its own, or an earlier one that changes lead on from."""
    number: int = cbor.decode(parse(document.body).payload)[2]
    return number


def find_part(session: Session, kind: str, number: int, part: int) -> bytes | None:
    """A message of a list in parts, from 1; a list in one message has no parts."""
    document = session.get(SignedDocument, (kind, number))
    if document is None:
        return None
    further = session.get(DocumentPart, (kind, base_number(document), max(part, 2)))
    if part != 1 or further is None:
        return further.body if further is not None and part > 1 else None
    return document.body


def find_delta(session: Session, kind: str, number: int, from_number: int) -> bytes | None:
    """What has changed in a list since an earlier number; nothing where it must be fetched whole."""
    delta = session.get(DocumentDelta, (kind, number, from_number))
    return None if delta is None else delta.body


def kept_documents(session: Session, kind: str, city: str) -> Sequence[SignedDocument]:
    """A city's lists that are kept, newest first."""
    query = select(SignedDocument).where(SignedDocument.kind == kind, SignedDocument.city == city)
    return session.scalars(query.order_by(SignedDocument.number.desc())).all()


def read_list(session: Session, kind: str, number: int) -> MediumList:
    """A list as it is by that number: the whole one, and the change since."""
    document = session.get_one(SignedDocument, (kind, number))
    base = base_number(document)
    parts = select(DocumentPart.body).where(DocumentPart.kind == kind, DocumentPart.number == base)
    bodies = [document.body, *session.scalars(parts.order_by(DocumentPart.part))]
    # Our own messages: that their entries are in order was seen to when they were signed.
    whole = MediumList(
        WIRE_KINDS[kind], base, document.expires_s, b"".join(cbor.decode(parse(body).payload)[5] for body in bodies)
    )
    if base == number:
        return whole
    delta = session.get_one(DocumentDelta, (kind, number, base))
    return apply_delta(whole, decode_delta(parse(delta.body).payload, whole.kind))


def forget_old(session: Session, kind: str, city: str) -> None:
    """Forget numbers that are not kept, but for the whole list that the newest leads on from."""
    documents = kept_documents(session, kind, city)
    needed = base_number(documents[0])
    for number in [each.number for each in documents[NUMBERS_KEPT:] if each.number != needed]:
        for table in (DocumentDelta, DocumentPart, SignedDocument):
            session.execute(delete(table).where(table.kind == kind, table.number == number))
