"""What can be done about codes: issue a rider's ticket, give the receipt for a paid screen code, look up a vehicle's label.

The issuer's reference makes each count once, and all numbers follow from it: who asks again gets the same code again. That
somebody has paid is the issuer's word; taking the money is not done here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.fleet.key_bundles import DAY_MS
from clearing.fleet.keys import KeyStore
from clearing.fleet.models import Validator
from clearing.media.models import ScreenReceipt, Ticket
from clearing.network.models import City, Vehicle
from clearing.network.package import ADULT
from clearing.network.service import city_of, fares_on, find_vehicle
from clearing.network.service_day import service_day
from protocol.compat import hmac_sha256
from protocol.errors import QrError
from protocol.qr import nonce
from protocol.qr.ticket import QrTicket, day_key, ticket_key
from protocol.qr.ticket_signature import sign_ticket
from protocol.qr.vehicle_label import VehicleLabel, is_printed
from protocol.tap import MEDIUM_QR_TICKET
from protocol.tokens import LABEL_QR, LABEL_SCREEN, medium_token

Row = TypeVar("Row", Ticket, ScreenReceipt)
SCREEN = "qr_screen"
_ACTIVE = "active"
_NUMBER_BYTES = 8
_KEY_DAYS = 3
_MINUTES_TO_PAY = 2
_MINUTES_A_DAY = 1440


@dataclass(frozen=True)
class TicketOrder:
    """A ticket that somebody has sold."""

    reference: str
    city: str
    category: int
    expires_s: int


@dataclass(frozen=True)
class ScreenPayment:
    """A fare that somebody has taken for a code on a validator's screen; `code` is its text."""

    reference: str
    city: str
    code: str


def issue_ticket(session: Session, keys: KeyStore, caller: Caller, now_ms: int, order: TicketOrder) -> Ticket:
    """Issue a ticket; a repetition gives the same one.

    Raises:
        ConflictError: the reference was used for another ticket.
        InvalidError: it would have expired already.
    """
    must_reach(caller, "ticket.issue", order.city)
    city = city_of(session, order.city)
    body = _digest(city=order.city, category=order.category, expires_s=order.expires_s)
    repeated = _repeated(session, Ticket, caller, order.reference, body)
    if repeated is not None:
        return repeated
    if order.expires_s * 1000 <= now_ms:
        raise InvalidError("the ticket would have expired already", "send a later expires_s")
    ticket_id = _number(keys, "ticket", caller, order.reference)
    shown = QrTicket(ticket_id, city.number, order.category, order.expires_s, 0)
    keys.reload()
    ticket = Ticket(
        issuer=caller.principal_id,
        reference=order.reference,
        body_sha256=body,
        city=city.code,
        ticket_id=ticket_id,
        token=medium_token(keys.token_key, LABEL_QR, ticket_id),
        category=order.category,
        expires_s=order.expires_s,
        signature=sign_ticket(shown, city.code, keys.documents),
        issued_at_ms=now_ms,
    )
    session.add(ticket)
    session.flush()
    return ticket


def phone_keys(keys: KeyStore, ticket: Ticket, now_ms: int) -> dict[int, bytes]:
    """The ticket's own keys of today and the next days, by day number: what the rider's phone holds."""
    today = now_ms // DAY_MS
    return {day: ticket_key(day_key(keys.qr_master, day), ticket.ticket_id) for day in range(today, today + _KEY_DAYS)}


def give_receipt(
    session: Session, keys: KeyStore, caller: Caller, now_ms: int, payment: ScreenPayment
) -> ScreenReceipt:
    """Give the receipt for a screen code that was paid; a repetition gives the same one, however late it comes.

    Raises:
        ConflictError: the reference was used for another code.
        InvalidError: not a code that a validator of the city shows now.
    """
    must_reach(caller, "receipt.issue", payment.city)
    city = city_of(session, payment.city)
    body = _digest(city=payment.city, code=payment.code)
    repeated = _repeated(session, ScreenReceipt, caller, payment.reference, body)
    if repeated is not None:
        return repeated
    code, validator = genuine_code(session, keys, city, payment.code, now_ms // 1000)
    fare_minor = fares_on(session, city.code, service_day(city.zone, now_ms // 1000)).get((SCREEN, ADULT))
    if fare_minor is None:
        raise InvalidError("codes on screens are not sold here today", "pay in another way")
    number = _number(keys, "payment", caller, payment.reference)
    receipt = nonce.Receipt(code.device, code.city, code.minute, number, fare_minor, ADULT)
    row = ScreenReceipt(
        issuer=caller.principal_id,
        reference=payment.reference,
        body_sha256=body,
        city=city.code,
        device_id=code.device,
        vehicle=validator.vehicle,
        token=medium_token(keys.token_key, LABEL_SCREEN, number),
        category=ADULT,
        fare_minor=fare_minor,
        text=nonce.show_receipt(receipt, _screen_key(keys, validator, code.minute)),
        valid_until_s=(code.minute + nonce.MINUTES_VALID) * nonce.MINUTE_S,
        issued_at_ms=now_ms,
    )
    session.add(row)
    session.flush()
    return row


def genuine_code(
    session: Session, keys: KeyStore, city: City, text: str, at_s: int, minutes_max: int = _MINUTES_TO_PAY
) -> tuple[nonce.ScreenCode, Validator]:
    """A screen code that a validator of the city showed at a moment, or so many minutes before; and that validator.

    Raises:
        InvalidError: it is none.
    """
    try:
        code = nonce.read_screen(text)
    except QrError:
        raise InvalidError("not a code of a validator's screen", "scan it again") from None
    if code.city != city.number:
        raise InvalidError("the code is of another city", "send that city")
    validator = session.get(Validator, code.device)
    if validator is None or validator.city != city.code or validator.status != _ACTIVE:
        raise InvalidError("the code is of no validator in service", "pay in another way")
    if not nonce.is_genuine(code, _screen_key(keys, validator, code.minute)):
        raise InvalidError("the code was not made by the validator that it names", "pay in another way")
    if not -1 <= at_s // nonce.MINUTE_S - code.minute <= minutes_max:
        raise InvalidError("the code is of another moment", "scan the screen again")
    return code, validator


def _screen_key(keys: KeyStore, validator: Validator, minute: int) -> bytes:
    secret = nonce.vehicle_secret(keys.qr_master, validator.city, validator.vehicle)
    return nonce.screen_key(day_key(keys.qr_master, minute // _MINUTES_A_DAY), secret, validator.device_id)


def find_labelled(session: Session, keys: KeyStore, caller: Caller, label: VehicleLabel) -> Vehicle:
    """The vehicle whose label this is.

    Raises:
        NotFoundError: the service has not printed it, or the vehicle is gone.
    """
    must_reach(caller, "city.read", label.city)
    vehicle = find_vehicle(session, label.city, label.vehicle) if is_printed(label, keys.qr_master) else None
    if vehicle is None:
        raise NotFoundError("no vehicle has this label", "read it again, or type the code in large letters")
    return vehicle


def _number(keys: KeyStore, kind: str, caller: Caller, reference: str) -> bytes:
    """A number that nobody can foresee, and that is the same when the reference comes again."""
    return hmac_sha256(keys.qr_master, f"{kind}/{caller.principal_id}/{reference}".encode())[:_NUMBER_BYTES]


def _digest(**asked: object) -> bytes:
    return hashlib.sha256(canonical_json(asked).encode()).digest()


def _repeated(session: Session, table: type[Row], caller: Caller, reference: str, body: bytes) -> Row | None:
    row = session.scalar(select(table).where(table.issuer == caller.principal_id, table.reference == reference))
    if row is not None and row.body_sha256 != body:
        raise ConflictError(f"reference {reference} was used for something else", "send a new reference")
    return row


def tokens_issued(session: Session, medium: int, city: str, tokens: Sequence[bytes]) -> frozenset[bytes] | None:
    """Which of these tickets or payments were issued here; absent where the city has its tickets issued elsewhere."""
    table: type[Ticket | ScreenReceipt] = Ticket if medium == MEDIUM_QR_TICKET else ScreenReceipt
    if table is Ticket and session.scalar(select(Ticket.id).where(Ticket.city == city).limit(1)) is None:
        return None
    return frozenset(session.scalars(select(table.token).where(table.city == city, table.token.in_(tokens))))
