"""What can be done about money that parties pass on: take it that some has come to the bank, and book it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.permission import must_reach
from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.channels.dues import commission_within
from clearing.channels.models import Remittance
from clearing.channels.service import digest, same_or_conflict
from clearing.channels.standing import AGENT, QR_PROVIDER, SMS_AGGREGATOR, Agreements, Terms
from clearing.endpoint import InvalidError, NotFoundError
from clearing.ledger.chart import (
    agents_account,
    bank_account,
    counted_account,
    fees_account,
    qr_provider_account,
    sms_aggregator_account,
)
from clearing.ledger.entries import entry_of
from clearing.ledger.service import book_all
from clearing.network.service import city_of
from clearing.network.service_day import service_day


@dataclass(frozen=True)
class RemittanceTold:
    """Money that has come to the bank.

    Attributes:
        reference: the bank's; it makes it one.
        service_day: for which it was paid, where that is said.
    """

    city: str
    party_kind: str
    party: str
    reference: str
    amount_minor: int
    banked_day: str
    service_day: str | None = None


def take_remittance(session: Session, caller: Caller, now_ms: int, told: RemittanceTold) -> Remittance:
    """Take it that a party's money has come, and book it with the commission that it kept; a repetition changes nothing.

    Raises:
        NotFoundError: there is no such party.
        InvalidError: it has come on a day that has not begun.
        ConflictError: the reference was used for another remittance.
    """
    must_reach(caller, "remittance.record", told.city)
    zone = city_of(session, told.city).zone
    agreements = Agreements(session, told.city)
    terms = agreements.terms(told.party_kind, told.party, told.service_day or told.banked_day)
    if terms is None:
        raise NotFoundError(f"the city has no {told.party_kind} {told.party}", "send its code from the city package")
    body = digest(**vars(told))
    same = select(Remittance).filter_by(
        city=told.city, party_kind=told.party_kind, party=told.party, reference=told.reference
    )
    repeated = session.scalar(same)
    if repeated is not None:
        return same_or_conflict(repeated, body)
    if max(told.banked_day, told.service_day or "") > service_day(zone, now_ms // 1000):
        raise InvalidError("it lies in the future", "send the day on which it came to the bank")
    remittance = Remittance(
        city=told.city,
        party_kind=told.party_kind,
        party=told.party,
        reference=told.reference,
        body_sha256=body,
        service_day=told.service_day,
        banked_day=told.banked_day,
        amount_minor=told.amount_minor,
        commission_minor=_commission(agreements, told, terms),
        entry_key=f"remittance/{told.city}/{told.party_kind}/{told.party}/{told.reference}",
        recorded_by=caller.principal_id,
        received_at_ms=now_ms,
    )
    session.add(remittance)
    session.flush()
    _book(session, remittance, now_ms)
    detail = {"amount_minor": remittance.amount_minor, "commission_minor": remittance.commission_minor}
    record_audit(session, caller.principal_id, now_ms, "remittance.record", remittance.entry_key, detail)
    return remittance


def _commission(agreements: Agreements, told: RemittanceTold, terms: Terms) -> int:
    """What the party kept: of that day's takings when all of it has come, else in proportion."""
    for due in agreements.dues(told.party_kind, told.party):
        if due.service_day == told.service_day and due.net_minor == told.amount_minor:
            return due.commission_minor
    return commission_within(told.amount_minor, terms.commission_bp)


def _book(session: Session, remittance: Remittance, now_ms: int) -> None:
    city, party = remittance.city, remittance.party
    owed = owed_account(remittance.party_kind, city, party)
    legs = {
        bank_account(city): remittance.amount_minor,
        fees_account(city, party): remittance.commission_minor,
        owed: -remittance.amount_minor - remittance.commission_minor,
    }
    description = f"{remittance.banked_day}: remittance of {party}"
    entry = entry_of(remittance.entry_key, city, remittance.banked_day, description, legs)
    assert entry is not None
    book_all(session, [entry], now_ms)


def owed_account(party_kind: str, city: str, party: str) -> str:
    """The account that says what a party owes."""
    if party_kind == QR_PROVIDER:
        return qr_provider_account(city, party)
    if party_kind == SMS_AGGREGATOR:
        return sms_aggregator_account(city, party)
    return agents_account(city, party) if party_kind == AGENT else counted_account(city, party)
