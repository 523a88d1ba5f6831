"""What can be done about QR payments: take a provider's notification, take a refund. Each counts once.

The payment is bound to one vehicle: by the code on the validator's screen, which nobody else can make and which is of one minute,
or by the printed label with its check. A sticker that somebody has put over the label names another vehicle than the one the
rider sits in; therefore the payer is shown the vehicle's plate, and the provider says which plate that was. What does not fit is
refused: it is no ride, and the provider gives the money back.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.channels.models import QrPayment, QrRefund
from clearing.channels.paid_rides import PAID, QR
from clearing.channels.senders import party_code
from clearing.channels.service import digest, is_too_late, lock_token, refuse_future, same_or_conflict, tell_late
from clearing.channels.sms_text import same_code, ticket_code
from clearing.endpoint import ConflictError, InvalidError, NotFoundError
from clearing.fleet.keys import KeyStore
from clearing.media.codes import SCREEN, genuine_code
from clearing.network.models import City, Vehicle
from clearing.network.package import ADULT
from clearing.network.parties import Names, QrProvider
from clearing.network.service import city_of, fares_on, find_vehicle, parties_of
from clearing.network.service_day import service_day
from protocol.errors import QrError
from protocol.qr.nonce import MINUTE_S, SCREEN_PREFIX
from protocol.qr.vehicle_label import is_printed, read_label
from protocol.tokens import medium_token

REFUSED = "refused"
REFUNDED = "refunded"
_PAYER = b"payer"
_NOBODY = QrProvider(code="nobody", names=Names(kk="–", ru="–", en="–"))


@dataclass(frozen=True)
class QrNotice:
    """A payment as its provider tells it.

    Attributes:
        code: the text that was scanned, of a screen or a label.
        plate: what the payer was shown as the vehicle's, and has confirmed.
        payer: who has paid, by the provider's own pseudonym; it is not stored.
    """

    reference: str
    city: str
    code: str
    plate: str
    payer: str
    amount_minor: int
    currency: str
    paid_at_s: int


@dataclass(frozen=True)
class QrRefunded:
    """A payment that was given back; `payment` is its reference."""

    reference: str
    payment: str
    at_s: int


@dataclass(frozen=True)
class Scanned:
    """What a code leads to.

    Attributes:
        medium: `qr` or `qr_screen`: by whose price it is paid.
        device_id, minute: of a screen code.
    """

    vehicle: Vehicle
    medium: str
    device_id: bytes | None = None
    minute: int | None = None


def read_code(session: Session, keys: KeyStore, city: City, code: str, at_s: int, nonce_s: int) -> Scanned:
    """The vehicle that a code of a screen or a label leads to.

    Raises:
        InvalidError: it leads to none of this city's, or not at this moment.
    """
    if code.startswith(SCREEN_PREFIX):
        screen, validator = genuine_code(session, keys, city, code, at_s, -(-nonce_s // MINUTE_S))
        vehicle = find_vehicle(session, city.code, validator.vehicle)
        assert vehicle is not None
        return Scanned(vehicle, SCREEN, screen.device, screen.minute)
    try:
        label = read_label(code)
    except QrError:
        raise InvalidError("neither a code of a screen nor a vehicle's label", "scan it again") from None
    vehicle = find_vehicle(session, city.code, label.vehicle)
    if label.city != city.code or vehicle is None or not is_printed(label, keys.qr_master):
        raise InvalidError("the label was not printed by the service: it may be a fake sticker", "pay in another way")
    return Scanned(vehicle, QR)


def provider_terms(session: Session, city: str, name: str, day: str) -> QrProvider:
    """What was agreed with the provider of that name for a service day; the defaults where the city names none."""
    parties = parties_of(session, city, day)
    return parties.qr_provider(party_code(parties.qr_providers, name)) or _NOBODY


def take_qr_payment(session: Session, keys: KeyStore, caller: Caller, now_ms: int, notice: QrNotice) -> QrPayment:
    """Take a payment; a repetition is given the answer that the first one was given.

    Raises:
        ConflictError: the reference was used for another payment.
        InvalidError: it says that it was made in the future, or in another currency.
    """
    must_reach(caller, "qr.receive", notice.city)
    city = city_of(session, notice.city)
    token = medium_token(keys.phone_token_key, _PAYER, f"{caller.principal_id}/{notice.payer}".encode())
    lock_token(session, token)
    body = digest(**{**vars(notice), "payer": token.hex()})
    repeated = _find(session, caller, notice.reference)
    if repeated is not None:
        return same_or_conflict(repeated, body)
    refuse_future(notice.paid_at_s, now_ms, "paid_at_s")
    if notice.currency != city.currency:
        raise InvalidError(f"{notice.currency} is not the city's currency", f"send the amount in {city.currency}")
    payment = QrPayment(
        provider=caller.principal_id,
        reference=notice.reference,
        body_sha256=body,
        medium=SCREEN if notice.code.startswith(SCREEN_PREFIX) else QR,
        token=token,
        city=city.code,
        amount_minor=notice.amount_minor,
        fare_minor=0,
        paid_at_s=notice.paid_at_s,
        service_day=service_day(city.zone, notice.paid_at_s),
        received_at_ms=now_ms,
    )
    _judge(session, keys, city, payment, notice, caller.name)
    session.add(payment)
    session.flush()
    if payment.status == PAID:
        tell_late(session, city, payment.service_day, now_ms)
    return payment


def _judge(session: Session, keys: KeyStore, city: City, payment: QrPayment, notice: QrNotice, name: str) -> None:
    """Decide whether a payment is a ride; where it is none, say why."""
    try:
        terms = provider_terms(session, city.code, name, payment.service_day)
        scanned = read_code(session, keys, city, notice.code, notice.paid_at_s, terms.nonce_s)
        payment.device_id, payment.minute = scanned.device_id, scanned.minute
        vehicle = scanned.vehicle
        payment.vehicle, payment.carrier, payment.line = vehicle.code, vehicle.carrier, vehicle.line
        if is_too_late(payment.received_at_ms // 1000 - payment.paid_at_s, terms):
            raise InvalidError("it was told too long after it was made")  # noqa: TRY301 - one answer for all reasons
        _require_fits(session, payment, notice, vehicle)
    except InvalidError as error:
        payment.status, payment.reason = REFUSED, error.message
        return
    payment.status, payment.fare_minor = PAID, payment.amount_minor
    payment.charged_once = _once(payment, notice)
    payment.ticket = ticket_code(hmac.digest(keys.phone_token_key, b"ticket\0" + payment.body_sha256, "sha256"))


def _once(payment: QrPayment, notice: QrNotice) -> bytes:
    """What the payer did; the database itself refuses to charge it a second time."""
    return digest(token=payment.token.hex(), code=notice.code, paid_at_s=notice.paid_at_s)


def _require_fits(session: Session, payment: QrPayment, notice: QrNotice, vehicle: Vehicle) -> None:
    """Refuse a payment of another vehicle, of another price, or one that was made already."""
    if not same_code(notice.plate, plate_of(vehicle)):
        raise InvalidError(f"the payer was shown {notice.plate[:16]}, and the code is of {plate_of(vehicle)}")
    fare_minor = fares_on(session, payment.city, payment.service_day).get((payment.medium, ADULT))
    if fare_minor is None:
        raise InvalidError(f"{payment.medium} is not sold on {payment.service_day}")
    if payment.amount_minor != fare_minor:
        raise InvalidError(f"the ride costs {fare_minor} tiyn, {payment.amount_minor} were taken")
    same = select(QrPayment.reference).where(QrPayment.charged_once == _once(payment, notice))
    if (reference := session.scalar(same)) is not None:
        raise InvalidError(f"the same scan was paid under the reference {reference}")


def plate_of(vehicle: Vehicle) -> str:
    """What stands on a vehicle for riders to see: its number plate, or where that is not known the code painted on it."""
    return vehicle.plate or vehicle.code


def take_qr_refund(session: Session, caller: Caller, now_ms: int, refunded: QrRefunded) -> QrPayment:
    """Take it that a payment was given back, whole: it is no ride any more.

    Raises:
        NotFoundError: there is no such payment of this provider.
        ConflictError: it was refunded under another reference, or the reference was used for another refund.
    """
    body = digest(payment=refunded.payment, at_s=refunded.at_s)
    by_reference = select(QrRefund).where(
        QrRefund.provider == caller.principal_id, QrRefund.reference == refunded.reference
    )
    payment = _find(session, caller, refunded.payment, for_update=True)
    repeated = session.scalar(by_reference)
    if repeated is not None:
        same_or_conflict(repeated, body)
        return session.get_one(QrPayment, repeated.payment_id)
    if payment is None:
        raise NotFoundError(f"there is no payment {refunded.payment}", "send the provider's reference of the payment")
    must_reach(caller, "qr.receive", payment.city)
    refuse_future(refunded.at_s, now_ms, "at_s")
    if session.scalar(select(QrRefund.id).where(QrRefund.payment_id == payment.id)) is not None:
        raise ConflictError(f"payment {refunded.payment} was refunded already", "give the money back once")
    session.add(
        QrRefund(
            provider=caller.principal_id,
            reference=refunded.reference,
            body_sha256=body,
            payment_id=payment.id,
            at_s=refunded.at_s,
            received_at_ms=now_ms,
        )
    )
    if payment.status == PAID:
        tell_late(session, city_of(session, payment.city), payment.service_day, now_ms)
    payment.status = REFUNDED
    session.flush()
    return payment


def _find(session: Session, caller: Caller, reference: str, *, for_update: bool = False) -> QrPayment | None:
    query = select(QrPayment).where(QrPayment.provider == caller.principal_id, QrPayment.reference == reference)
    return session.scalar(query.with_for_update() if for_update else query)
