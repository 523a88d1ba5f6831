"""Where the parties stand that take riders' money: what they took, what they keep, what is due, what has come.

What was agreed is that of the service day: a new commission never changes an old day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from clearing.access.models import Principal
from clearing.channels.dues import Due, Paid, allocate, due_of
from clearing.channels.models import QrPayment, Remittance, SmsPayment, TillCount, TopUp
from clearing.channels.paid_rides import PAID
from clearing.channels.senders import party_code
from clearing.media.models import PendingTopUp
from clearing.media.top_ups import REFUNDED
from clearing.network.models import Carrier
from clearing.network.parties import Parties
from clearing.network.service import city_of, parties_of

# By kind and code of the party, and day: what it says to have taken, and to have kept where it says so.
Told = Mapping[tuple[str, str], Mapping[str, tuple[int, int | None]]]
QR_PROVIDER = "qr_provider"
SMS_AGGREGATOR = "sms_aggregator"
AGENT = "agent"
CARRIER = "carrier"


@dataclass(frozen=True)
class Terms:
    """What was agreed with one party for one service day.

    Attributes:
        days: money is due so many days after the service day.
        owes_maximum_minor: it may owe no more; absent for no limit.
    """

    commission_bp: int
    days: int
    owes_maximum_minor: int | None = None


@dataclass(frozen=True)
class PartyDues:
    """Where one party stands.

    Attributes:
        dues: oldest first, those that are paid included.
        beyond_minor: came beyond everything that was due.
        over_limit: it owes more than was agreed.
    """

    party_kind: str
    party: str
    dues: tuple[Due, ...]
    beyond_minor: int
    over_limit: bool

    @property
    def open_minor(self) -> int:
        return sum(due.open_minor for due in self.dues)


class Agreements:
    """What a city has agreed with its parties, day by day, and what they took."""

    def __init__(self, session: Session, city: str) -> None:
        city_of(session, city)
        self._session = session
        self._city = city
        self._by_day: dict[str | None, Parties] = {}
        self._carriers = list(session.scalars(select(Carrier.code).where(Carrier.city == city).order_by(Carrier.code)))

    def parties(self, day: str | None = None) -> Parties:
        """The parties of a service day; the newest without one."""
        if day not in self._by_day:
            self._by_day[day] = parties_of(self._session, self._city, day)
        return self._by_day[day]

    def everybody(self) -> Iterator[tuple[str, str]]:
        """Kind and code of everybody who takes riders' money."""
        newest = self.parties()
        yield from ((AGENT, member.code) for member in newest.agents)
        yield from ((QR_PROVIDER, member.code) for member in newest.qr_providers)
        yield from ((SMS_AGGREGATOR, member.code) for member in newest.sms_aggregators)
        yield from ((CARRIER, code) for code in self._carriers)

    def terms(self, kind: str, party: str, day: str | None = None) -> Terms | None:
        """What was agreed with a party; nothing when there is none of that code."""
        parties = self.parties(day)
        if kind == CARRIER:
            return Terms(0, parties.cash.bank_days) if party in self._carriers else None
        if kind == AGENT:
            agent = parties.agent(party)
            if agent is None:
                return None
            return Terms(agent.commission_bp, agent.remittance_days, agent.owes_maximum_minor)
        taker = parties.qr_provider(party) if kind == QR_PROVIDER else parties.sms_aggregator(party)
        return None if taker is None else Terms(taker.commission_bp, taker.settlement_days)

    def dues(self, kind: str, party: str) -> list[Due]:
        """A party's takings by service day, nothing of them paid yet."""
        takings: dict[str, int] = {}
        for day, whose, amount_minor in self._takings(kind):
            if whose == party:
                takings[day] = takings.get(day, 0) + amount_minor
        return [self.due(kind, party, day, takings[day]) for day in sorted(takings) if takings[day]]

    def due(self, kind: str, party: str, day: str, gross_minor: int) -> Due:
        """What a party owes of takings of a day."""
        terms = self.terms(kind, party, day) or self.terms(kind, party) or Terms(0, 0)
        return due_of(kind, party, day, gross_minor, terms.commission_bp, terms.days)

    def _takings(self, kind: str) -> Iterator[tuple[str, str, int]]:
        """Service day, party and amount of what was taken from riders; a principal is mapped to its party."""
        if kind == CARRIER:
            counts = select(TillCount.service_day, TillCount.carrier, func.sum(TillCount.counted_minor))
            counts = counts.where(TillCount.city == self._city).group_by(TillCount.service_day, TillCount.carrier)
            yield from ((day, carrier, int(amount)) for day, carrier, amount in self._session.execute(counts))
            return
        names = dict(self._session.execute(select(Principal.id, Principal.name)).all())
        for day, principal, amount_minor in self._session.execute(_taken(self._city, kind)):
            parties = self.parties(day)
            members = {
                AGENT: parties.agents,
                QR_PROVIDER: parties.qr_providers,
                SMS_AGGREGATOR: parties.sms_aggregators,
            }
            yield day, party_code(members[kind], names[principal]), int(amount_minor)


def _taken(city: str, kind: str) -> Select[str, str, int]:
    if kind == AGENT:
        given_back = select(PendingTopUp.top_up_id).where(PendingTopUp.status == REFUNDED)
        sold = select(TopUp.service_day, TopUp.agent, func.sum(TopUp.amount_minor))
        return sold.where(TopUp.city == city, TopUp.id.not_in(given_back)).group_by(TopUp.service_day, TopUp.agent)
    if kind == QR_PROVIDER:
        scans = select(QrPayment.service_day, QrPayment.provider, func.sum(QrPayment.fare_minor))
        scans = scans.where(QrPayment.city == city, QrPayment.status == PAID)
        return scans.group_by(QrPayment.service_day, QrPayment.provider)
    texts = select(SmsPayment.service_day, SmsPayment.aggregator, func.sum(SmsPayment.fare_minor))
    texts = texts.where(SmsPayment.city == city, SmsPayment.status == PAID)
    return texts.group_by(SmsPayment.service_day, SmsPayment.aggregator)


def list_dues(session: Session, city: str, told: Told | None = None) -> list[PartyDues]:
    """Where every party of a city stands that takes riders' money, in the order of kind and code.

    What a party has `told` of a day counts for that day: whether it tells the truth is another question than whether it pays.
    """
    agreements = Agreements(session, city)
    found = []
    for kind, party in agreements.everybody():
        payments = [
            Paid(row.amount_minor, row.service_day)
            for row in session.scalars(
                select(Remittance).filter_by(city=city, party_kind=kind, party=party).order_by(Remittance.id)
            )
        ]
        own = {due.service_day: due for due in agreements.dues(kind, party)}
        for day, (gross_minor, commission_minor) in (told or {}).get((kind, party), {}).items():
            due = agreements.due(kind, party, day, gross_minor)
            own[day] = due if commission_minor is None else replace(due, commission_minor=commission_minor)
        dues, beyond_minor = allocate(own.values(), payments)
        terms = agreements.terms(kind, party)
        limit_minor = None if terms is None else terms.owes_maximum_minor
        is_over = limit_minor is not None and sum(due.open_minor for due in dues) > limit_minor
        found.append(PartyDues(kind, party, tuple(dues), beyond_minor, is_over))
    return found


def overdue(session: Session, city: str, today: str) -> list[Due]:
    """What should have come and has not, oldest first."""
    late = [due for party in list_dues(session, city) for due in party.dues if due.is_overdue(today)]
    return sorted(late, key=lambda due: (due.due_day, due.party_kind, due.party))
