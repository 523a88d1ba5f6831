"""Documents signed for validators: fare tables made from the dated tariffs, and whatever a higher feature has signed.

A document is signed once and kept. Its number counts over all cities; the number that a validator should have travels in
every ack (`wanted`), and the document is public: it holds prices and keyed tokens, and a signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from clearing.fleet.keys import KeyStore
from clearing.fleet.models import DocumentPart, SignedDocument
from clearing.network.dated_rules import rules_on
from clearing.network.ride_rules import fare_rules
from clearing.network.service import TariffPeriod, city_of, rules_of, tariff_periods
from clearing.network.service_day import day_end_s, day_start_s, service_day
from clearing.network.tariff_rules import offline_rules
from protocol.ack import (
    WANTED_ALLOW_LIST,
    WANTED_CA_KEYS,
    WANTED_DENY_LIST,
    WANTED_FARE_TABLE,
    WANTED_NEXT_FARE_TABLE,
    WANTED_TOP_UPS,
)
from protocol.cose import TYP_FARE_TABLE, parse, sign1
from protocol.fare_table import FareTable, encode_fare_table
from protocol.tap import (
    MEDIUM_BANK_CARD,
    MEDIUM_CASH,
    MEDIUM_PHONE_NFC,
    MEDIUM_QR_SCREEN,
    MEDIUM_QR_TICKET,
    MEDIUM_TRANSPORT_CARD,
)

FARE_TABLE = "fare-table"
DENY_LIST = "deny-list"
ALLOW_LIST = "allow-list"
TOP_UP_LIST = "top-up-list"
CARD_AUTHORITIES = "card-authorities"
WIRE_MEDIA = {
    "transport_card": MEDIUM_TRANSPORT_CARD,
    "bank_card": MEDIUM_BANK_CARD,
    "phone_nfc": MEDIUM_PHONE_NFC,
    "qr": MEDIUM_QR_TICKET,
    "qr_screen": MEDIUM_QR_SCREEN,
    "cash": MEDIUM_CASH,
}
# A tariff without an end is signed for so long; it is signed anew when it changes.
_OPEN_END_S = 10 * 365 * 86_400
# A new tariff is sent to the buses so long before its first day.
_ANNOUNCED_S = 30 * 86_400
_WANTED = (
    (WANTED_FARE_TABLE, FARE_TABLE),
    (WANTED_DENY_LIST, DENY_LIST),
    (WANTED_ALLOW_LIST, ALLOW_LIST),
    (WANTED_TOP_UPS, TOP_UP_LIST),
    (WANTED_CA_KEYS, CARD_AUTHORITIES),
)


@dataclass(frozen=True)
class Content:
    """What a document shall say.

    Attributes:
        kind: `FARE_TABLE`, `DENY_LIST`, `ALLOW_LIST`, `TOP_UP_LIST` or `CARD_AUTHORITIES`.
        typ: the kind of message.
        identity: what makes it the same document again.
        encode: the payloads for a number; several when it comes in parts.
    """

    kind: str
    typ: str
    city: str
    valid_from_s: int
    expires_s: int
    identity: bytes
    encode: Callable[[int], Sequence[bytes]]


def newest_document(session: Session, kind: str, city: str, valid_from_s: int) -> SignedDocument | None:
    """The document of a kind that is in force in a city at a moment."""
    return session.scalar(
        select(SignedDocument)
        .where(SignedDocument.city == city, SignedDocument.kind == kind)
        .where(SignedDocument.valid_from_s <= valid_from_s)
        .order_by(SignedDocument.valid_from_s.desc(), SignedDocument.number.desc())
        .limit(1)
    )


def issue(
    session: Session, keys: KeyStore, content: Content, now_ms: int, above: int = 0
) -> tuple[SignedDocument, bool]:
    """Sign a document unless the newest of its kind and city says the same, by the same key and for long enough.

    Its number is above `above`. Returns the document, and whether it is a new one.
    """
    keys.reload()
    content_sha256 = hashlib.sha256(content.identity).hexdigest()
    newest = newest_document(session, content.kind, content.city, content.valid_from_s)
    says_the_same = newest is not None and newest.content_sha256 == content_sha256 and newest.number > above
    if newest is not None and says_the_same and parse(newest.body).kid == keys.documents.kid:
        lasts_s, left_s = newest.expires_s - newest.valid_from_s, newest.expires_s - now_ms // 1000
        if left_s >= lasts_s // 2 or newest.expires_s >= content.expires_s:
            return newest, False
    highest = select(func.max(SignedDocument.number)).where(SignedDocument.kind == content.kind)
    number = (session.scalar(highest) or 0) + 1
    bodies = [sign1(payload, content.typ, content.city, keys.documents) for payload in content.encode(number)]
    document = SignedDocument(
        kind=content.kind,
        number=number,
        city=content.city,
        valid_from_s=content.valid_from_s,
        expires_s=content.expires_s,
        content_sha256=content_sha256,
        body=bodies[0],
        created_at_ms=now_ms,
    )
    session.add(document)
    session.flush()
    for part, body in enumerate(bodies[1:], 2):
        session.add(DocumentPart(kind=content.kind, number=number, part=part, body=body))
    session.flush()
    return document, True


def issue_fare_tables(session: Session, keys: KeyStore, city: str, now_ms: int) -> list[int]:
    """Sign the fare table of every dated tariff that has not ended; returns their numbers, which grow with their dates."""
    zone = city_of(session, city).zone
    today = service_day(zone, now_ms // 1000)
    numbers = [0]
    for period in tariff_periods(session, city):
        if period.valid_until is None or period.valid_until >= today:
            numbers.append(_issue_fare_table(session, keys, city, zone, period, now_ms, numbers[-1]))
    return numbers[1:]


def _issue_fare_table(
    session: Session, keys: KeyStore, city: str, zone: str, period: TariffPeriod, now_ms: int, above: int
) -> int:
    valid_from_s = day_start_s(zone, period.valid_from)
    ends_s = day_end_s(zone, period.valid_until) if period.valid_until else valid_from_s + _OPEN_END_S
    fares = {WIRE_MEDIA[medium]: prices for medium, prices in period.fares_minor.items() if medium in WIRE_MEDIA}
    its_city = city_of(session, city)
    told = offline_rules(rules_on(session, city, period.valid_from), rules_of(its_city))
    rules = fare_rules(told, zone, max(valid_from_s, now_ms // 1000), WIRE_MEDIA)

    def encode(number: int) -> list[bytes]:
        return [encode_fare_table(FareTable(number, valid_from_s, ends_s, its_city.number, fares, rules))]

    content = Content(FARE_TABLE, TYP_FARE_TABLE, city, valid_from_s, ends_s, encode(0)[0], encode)
    return issue(session, keys, content, now_ms, above)[0].number


def find_document(session: Session, kind: str, number: int) -> SignedDocument | None:
    """A document by its number; of a list in parts its first message."""
    return session.get(SignedDocument, (kind, number))


def wanted_versions(session: Session, city: str, now_s: int) -> dict[int, int]:
    """The numbers of the documents that validators of a city should have now, by `WANTED_…`."""
    moments = {"city": city, "now_s": now_s, "soon_s": now_s + _ANNOUNCED_S}
    numbers = session.connection().execute(_NUMBERS, moments).one()
    return {key: number for key, number in zip(_KEYS, numbers, strict=True) if number is not None}


# One statement, as text: every ack asks it, and to put it together took longer than to answer it. For each kind what
# `newest_document` finds, then the fare table that comes into force next, soon.
_OF_KIND = "(SELECT number FROM signed_document WHERE city = :city AND kind = '{}' AND {} LIMIT 1)"
_IN_FORCE = "valid_from_s <= :now_s ORDER BY valid_from_s DESC, number DESC"
_NEXT = "valid_from_s > :now_s AND valid_from_s <= :soon_s ORDER BY valid_from_s, number DESC"
_KEYS = (*(key for key, _ in _WANTED), WANTED_NEXT_FARE_TABLE)
_ASKED = (*(_OF_KIND.format(kind, _IN_FORCE) for _, kind in _WANTED), _OF_KIND.format(FARE_TABLE, _NEXT))
_NUMBERS = text("SELECT " + ", ".join(_ASKED))
