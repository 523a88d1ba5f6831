"""What can be done by a channel: take an SMS payment, take a top-up. The sender's reference makes each count once."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.channels.models import SmsPayment, TopUp
from clearing.channels.sms_text import paid_reply, rejected_reply, ticket_code, vehicle_code
from clearing.endpoint import ConflictError, InvalidError
from clearing.fleet.keys import KeyStore
from clearing.media.tokens import parse_token, phone_token
from clearing.media.top_ups import hold_for_card, pending_of
from clearing.network.models import City, Vehicle
from clearing.network.package import ADULT
from clearing.network.service import city_of, fares_on, find_vehicle, list_cities
from clearing.network.service_day import service_day

PAID = "paid"
REJECTED = "rejected"
ACCEPTED = "accepted"
SMS = "sms"

Row = TypeVar("Row", SmsPayment, TopUp)


@dataclass(frozen=True)
class SmsMessage:
    """A text message as an aggregator passes it on.

    Attributes:
        reference: the aggregator's own number of the message.
        msisdn: the rider's telephone number; it is not stored.
        city: absent when the aggregator serves one city only.
    """

    reference: str
    msisdn: str
    text: str
    sent_at_s: int
    city: str | None = None


@dataclass(frozen=True)
class TopUpOrder:
    """Money that an agent or an app took for a medium, named by its token.

    Attributes:
        on_bus: it waits until the card is held before a validator; otherwise whoever took it has loaded it.
    """

    reference: str
    token: str
    amount_minor: int
    at_s: int
    city: str | None = None
    on_bus: bool = False


def take_sms(session: Session, keys: KeyStore, caller: Caller, now_ms: int, message: SmsMessage) -> SmsPayment:
    """Take an SMS payment; a repetition is given the answer that the first one was given.

    Raises:
        ConflictError: the reference was used for another message.
    """
    token = phone_token(keys, message.msisdn)
    # The number enters the digest as its token, so that it cannot be found again by trying all numbers.
    body = _digest(text=message.text, token=token.hex(), sent_at_s=message.sent_at_s)
    repeated = session.scalar(
        select(SmsPayment).where(
            SmsPayment.aggregator == caller.principal_id, SmsPayment.reference == message.reference
        )
    )
    if repeated is not None:
        return _same(repeated, body)
    city = _city(session, caller, "sms.receive", message.city)
    day = service_day(city.zone, message.sent_at_s)
    code = vehicle_code(message.text)
    vehicle = find_vehicle(session, city.code, code) if code else None
    fare_minor = fares_on(session, city.code, day).get((SMS, ADULT))
    payment = SmsPayment(
        aggregator=caller.principal_id,
        reference=message.reference,
        body_sha256=body,
        token=token,
        city=city.code,
        paid_at_s=message.sent_at_s,
        service_day=day,
        received_at_ms=now_ms,
    )
    if vehicle is None or fare_minor is None:
        payment.status, payment.fare_minor, payment.reply = REJECTED, 0, rejected_reply(message.text)
    else:
        _pay(payment, keys, vehicle, fare_minor)
    session.add(payment)
    session.flush()
    return payment


def _pay(payment: SmsPayment, keys: KeyStore, vehicle: Vehicle, fare_minor: int) -> None:
    digest = hmac.digest(keys.phone_token_key, b"ticket\0" + payment.body_sha256, "sha256")
    payment.status, payment.fare_minor, payment.ticket = PAID, fare_minor, ticket_code(digest)
    payment.vehicle, payment.carrier, payment.line = vehicle.code, vehicle.carrier, vehicle.line
    payment.reply = paid_reply(vehicle.code, fare_minor, payment.ticket)


def take_top_up(session: Session, keys: KeyStore, caller: Caller, now_ms: int, order: TopUpOrder) -> tuple[TopUp, str]:
    """Take a top-up and return it and how far it is; a repetition changes nothing.

    Raises:
        ConflictError: the reference was used for another top-up.
    """
    token = parse_token(order.token)
    asked: dict[str, object] = {"token": token.hex(), "amount_minor": order.amount_minor, "at_s": order.at_s}
    body = _digest(**asked, on_bus=True) if order.on_bus else _digest(**asked)
    repeated = session.scalar(
        select(TopUp).where(TopUp.agent == caller.principal_id, TopUp.reference == order.reference)
    )
    if repeated is not None:
        pending = pending_of(session, _same(repeated, body).id)
        return repeated, ACCEPTED if pending is None else pending.status
    city = _city(session, caller, "top_up.receive", order.city)
    top_up = TopUp(
        agent=caller.principal_id,
        reference=order.reference,
        body_sha256=body,
        city=city.code,
        token=token,
        amount_minor=order.amount_minor,
        at_s=order.at_s,
        service_day=service_day(city.zone, order.at_s),
        received_at_ms=now_ms,
    )
    session.add(top_up)
    session.flush()
    if not order.on_bus:
        return top_up, ACCEPTED
    return top_up, hold_for_card(session, keys, city.code, token, order.amount_minor, top_up.id, now_ms).status


def _digest(**asked: object) -> bytes:
    return hashlib.sha256(canonical_json(asked).encode()).digest()


def _same(row: Row, body: bytes) -> Row:
    if row.body_sha256 != body:
        raise ConflictError(f"reference {row.reference} was used for something else", "send a new reference")
    return row


def _city(session: Session, caller: Caller, permission: str, named: str | None) -> City:
    """The city that is meant: the one named, or the only one that the caller reaches."""
    if named is None:
        reached = caller.cities(permission)
        cities = [city for city in list_cities(session) if reached is None or city.code in reached]
        if len(cities) != 1:
            raise InvalidError("the city is not clear", "send its code as `city`")
        return cities[0]
    must_reach(caller, permission, named)
    return city_of(session, named)
