"""What can be done by a channel: take an SMS payment, take a top-up. The sender's reference makes each count once."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol, TypeVar

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from clearing.access.audit import canonical_json
from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.channels.models import SmsPayment, TopUp
from clearing.channels.paid_rides import PAID, SMS
from clearing.channels.senders import party_code
from clearing.channels.sms_text import expired_reply, paid_reply, rejected_reply, ticket_code, vehicle_code
from clearing.endpoint import ConflictError, InvalidError
from clearing.fleet.keys import KeyStore
from clearing.ingest.settling import mark_dirty
from clearing.media.tokens import parse_token, phone_token
from clearing.media.top_ups import hold_for_card, pending_of
from clearing.network.models import City
from clearing.network.package import ADULT
from clearing.network.parties import Names, QrProvider, SmsAggregator
from clearing.network.service import city_of, fares_on, find_vehicle, list_cities, parties_of
from clearing.network.service_day import day_end_s, service_day

REJECTED = "rejected"
EXPIRED = "expired"
DUPLICATE = "duplicate"
ACCEPTED = "accepted"
CLOCK_TOLERANCE_S = 300
_NOBODY = SmsAggregator(code="nobody", names=Names(kk="–", ru="–", en="–"), short_number="000")


class _HasDigest(Protocol):
    @property
    def reference(self) -> str: ...

    @property
    def body_sha256(self) -> bytes: ...


Row = TypeVar("Row", bound=_HasDigest)


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

    One message is charged once: under one reference, under two, and when an impatient rider sends it again within the time
    that the city's package names. What comes too late is charged, or not, as the package says.

    Raises:
        ConflictError: the reference was used for another message.
        InvalidError: it says that it was sent in the future.
    """
    token = phone_token(keys, message.msisdn)
    lock_token(session, token)
    # The number enters the digest as its token, so that it cannot be found again by trying all numbers.
    body = digest(text=message.text, token=token.hex(), sent_at_s=message.sent_at_s)
    repeated = session.scalar(
        select(SmsPayment).where(
            SmsPayment.aggregator == caller.principal_id, SmsPayment.reference == message.reference
        )
    )
    if repeated is not None:
        return same_or_conflict(repeated, body)
    refuse_future(message.sent_at_s, now_ms, "sent_at_s")
    city = meant_city(session, caller, "sms.receive", message.city)
    payment = SmsPayment(
        aggregator=caller.principal_id,
        reference=message.reference,
        body_sha256=body,
        token=token,
        city=city.code,
        paid_at_s=message.sent_at_s,
        service_day=service_day(city.zone, message.sent_at_s),
        fare_minor=0,
        received_at_ms=now_ms,
    )
    terms = sms_terms(session, city.code, caller.name, payment.service_day)
    _judge(session, keys, city, payment, terms, message.text)
    session.add(payment)
    session.flush()
    if payment.status == PAID:
        tell_late(session, city, payment.service_day, now_ms)
    return payment


def sms_terms(session: Session, city: str, name: str, day: str) -> SmsAggregator:
    """What was agreed with the aggregator of that name for a service day; the defaults where the city names none."""
    parties = parties_of(session, city, day)
    return parties.sms_aggregator(party_code(parties.sms_aggregators, name)) or _NOBODY


def _judge(session: Session, keys: KeyStore, city: City, payment: SmsPayment, terms: SmsAggregator, text: str) -> None:
    """Decide whether a message pays for a ride, and what its sender is answered."""
    code = vehicle_code(text)
    vehicle = find_vehicle(session, city.code, code) if code else None
    fare_minor = fares_on(session, city.code, payment.service_day).get((SMS, ADULT))
    if vehicle is None or fare_minor is None:
        payment.status, payment.reply = REJECTED, rejected_reply(text)
        return
    payment.vehicle, payment.carrier, payment.line = vehicle.code, vehicle.carrier, vehicle.line
    if is_too_late(payment.received_at_ms // 1000 - payment.paid_at_s, terms):
        payment.status, payment.reply = EXPIRED, expired_reply(vehicle.code)
        return
    first = _charged_already(session, payment, terms.repeat_within_s)
    if first is not None:
        payment.status, payment.ticket, payment.reply = DUPLICATE, first.ticket, first.reply
        return
    ticket = ticket_code(hmac.digest(keys.phone_token_key, b"ticket\0" + payment.body_sha256, "sha256"))
    payment.status, payment.fare_minor, payment.ticket = PAID, fare_minor, ticket
    # The database itself refuses to charge one message a second time.
    payment.charged_once = digest(token=payment.token.hex(), vehicle=vehicle.code, sent_at_s=payment.paid_at_s)
    payment.reply = paid_reply(vehicle.code, fare_minor, ticket)


def is_too_late(late_s: int, terms: SmsAggregator | QrProvider) -> bool:
    """Whether a payment that came so late is no ride any more, by what was agreed with its sender."""
    return late_s > terms.expires_after_s or (late_s > terms.late_after_s and terms.late == "reject")


def _charged_already(session: Session, payment: SmsPayment, within_s: int) -> SmsPayment | None:
    """The payment of the same telephone for the same vehicle at about the same moment."""
    at_s = payment.paid_at_s
    return session.scalar(
        select(SmsPayment)
        .where(SmsPayment.city == payment.city, SmsPayment.vehicle == payment.vehicle)
        .where(SmsPayment.token == payment.token, SmsPayment.status == PAID)
        .where(SmsPayment.paid_at_s.between(at_s - within_s, at_s + within_s))
        .where(SmsPayment.service_day.between(_day_before(payment.service_day), _day_after(payment.service_day)))
        .order_by(SmsPayment.paid_at_s)
        .limit(1)
    )


def _day_before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def _day_after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def take_top_up(session: Session, keys: KeyStore, caller: Caller, now_ms: int, order: TopUpOrder) -> tuple[TopUp, str]:
    """Take a top-up and return it and how far it is; a repetition changes nothing.

    Raises:
        ConflictError: the reference was used for another top-up.
    """
    token = parse_token(order.token)
    asked: dict[str, object] = {"token": token.hex(), "amount_minor": order.amount_minor, "at_s": order.at_s}
    body = digest(**asked, on_bus=True) if order.on_bus else digest(**asked)
    repeated = session.scalar(
        select(TopUp).where(TopUp.agent == caller.principal_id, TopUp.reference == order.reference)
    )
    if repeated is not None:
        pending = pending_of(session, same_or_conflict(repeated, body).id)
        return repeated, ACCEPTED if pending is None else pending.status
    city = meant_city(session, caller, "top_up.receive", order.city)
    _refuse_beyond_terms(session, city, caller.name, order)
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


def _refuse_beyond_terms(session: Session, city: City, name: str, order: TopUpOrder) -> None:
    agent = parties_of(session, city.code, service_day(city.zone, order.at_s)).agent(name)
    if agent is not None and not agent.top_up_minimum_minor <= order.amount_minor <= agent.top_up_maximum_minor:
        raise InvalidError(
            f"{name} may take {agent.top_up_minimum_minor} to {agent.top_up_maximum_minor} tiyn at once",
            "take another amount",
        )


def digest(**asked: object) -> bytes:
    """What tells a repetition from another message under the same reference."""
    return hashlib.sha256(canonical_json(asked).encode()).digest()


def same_or_conflict(row: Row, body: bytes) -> Row:
    """A row that is there already, if it is of the same message.

    Raises:
        ConflictError: its reference was used for something else.
    """
    if row.body_sha256 != body:
        raise ConflictError(f"reference {row.reference} was used for something else", "send a new reference")
    return row


def refuse_future(at_s: int, now_ms: int, name: str) -> None:
    """Refuse a moment that is still to come: the sender's clock is wrong, or the day would be."""
    if at_s > now_ms // 1000 + CLOCK_TOLERANCE_S:
        raise InvalidError(f"{name} lies in the future", "set the sender's clock, and send it again")


def lock_token(session: Session, token: bytes) -> None:
    """Let payments of one payer come one after the other, so that none is charged twice by two requests at one moment."""
    if session.get_bind().dialect.name == "postgresql":
        lock = int.from_bytes(token[:8], "big", signed=True)
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


def tell_late(session: Session, city: City, day: str, now_ms: int) -> None:
    """Let a day that may be closed be closed once more: something of it has come, or gone, after it was over."""
    if now_ms >= day_end_s(city.zone, day) * 1000:
        mark_dirty(session, city.code, day)


def meant_city(session: Session, caller: Caller, permission: str, named: str | None) -> City:
    """The city that is meant: the one named, or the only one that the caller reaches."""
    if named is None:
        reached = caller.cities(permission)
        cities = [city for city in list_cities(session) if reached is None or city.code in reached]
        if len(cities) != 1:
            raise InvalidError("the city is not clear", "send its code as `city`")
        return cities[0]
    must_reach(caller, permission, named)
    return city_of(session, named)
