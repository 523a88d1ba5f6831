"""Adds up a priced day: what its close will say, from the tables of pricing and the channels, by few statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, case, func, literal, select
from sqlalchemy.orm import Session

from clearing.access.models import Principal
from clearing.channels.models import TopUp
from clearing.fleet.keys import KeyStore
from clearing.ingest.models import TapException, TapRow
from clearing.media.models import GivenCommand, PendingTopUp
from clearing.media.top_ups import APPLIED
from clearing.money import split_minor
from clearing.network.parties import Parties
from clearing.network.service import parties_of
from clearing.pricing.models import Fare
from clearing.pricing.service import PricedDay
from clearing.pricing.subsidies import subsidies_of
from clearing.settlement.evidence import gather_evidence
from clearing.settlement.models import Adjustment
from clearing.settlement.parties import counterparty, party_of_ride
from clearing.settlement.totals import (
    AdjustmentLine,
    AgentLine,
    Line,
    PoolLine,
    SubsidyLine,
    Totals,
)
from protocol.tap import KIND_REFUSED

_TAP = "tap"
APPROVED = "approved"


def gather_totals(session: Session, city: str, day: str, priced: PricedDay, keys: KeyStore | None) -> Totals:
    """Everything that a close of the day says now; its evidence where the service's keys are at hand."""
    parties = parties_of(session, city, day)
    lines, agents = _lines(session, parties, city, day), _agents(session, parties, city, day)
    return Totals(
        lines=lines,
        refused=_count(session, TapRow, city, day, TapRow.kind == KIND_REFUSED, TapRow.test.is_(False)),
        unknown=priced.unknown,
        unknown_minor=priced.unknown_minor,
        exceptions=_count(session, TapException, city, day),
        top_ups=sum(line.top_ups for line in agents),
        top_ups_minor=sum(line.sold_minor for line in agents),
        agents=agents,
        applied_minor=_applied_minor(session, city, day),
        subsidies=_subsidies(session, parties, city, day),
        pools=_pools(parties, lines),
        transfers=_transfers(session, city, day) if parties.shares.transfers == "equal" else (),
        adjustments=gather_adjustments(session, city, day),
        evidence=None if keys is None else gather_evidence(session, keys, city, day),
    )


def _lines(session: Session, parties: Parties, city: str, day: str) -> tuple[Line, ...]:
    sender = _sender(session)
    rows = session.execute(
        select(
            Fare.carrier,
            Fare.medium,
            Fare.line,
            sender.label("sender"),
            func.count(),
            func.sum(Fare.charged_minor),
            func.sum(Fare.correction_minor),
        )
        .where(Fare.city == city, Fare.service_day == day)
        .group_by(Fare.carrier, Fare.medium, Fare.line, "sender")
    ).all()
    names = _names(session, {row.sender for row in rows})
    found: dict[tuple[str, str, str, str, int], Counter[str]] = {}
    for carrier, medium, line, principal, trips, charged_minor, correction_minor in rows:
        operator = parties.operator_of(carrier, medium, line or 0)
        who = (
            carrier,
            medium,
            party_of_ride(parties, medium, names.get(principal, "")),
            operator.code if operator else "",
            parties.commission_bp(carrier, medium, line or 0),
        )
        sums = {"trips": trips, "charged": int(charged_minor), "correction": int(correction_minor)}
        found.setdefault(who, Counter()).update(sums)
    return tuple(
        sorted(
            Line(carrier, medium, sums["trips"], sums["charged"], sums["correction"], party, operator, basis_points)
            for (carrier, medium, party, operator, basis_points), sums in found.items()
        )
    )


def _sender(session: Session) -> ColumnElement[str]:
    """Id of the principal that a ride paid by a channel came from: what its source key begins with; empty for a tap."""
    if session.get_bind().dialect.name == "postgresql":
        first: ColumnElement[str] = func.split_part(Fare.source_key, "/", 1)
    else:
        first = func.substr(Fare.source_key, 1, func.instr(Fare.source_key, "/") - 1)
    return case((Fare.source == _TAP, literal("")), else_=first)


def _names(session: Session, ids: set[str]) -> dict[str, str]:
    rows = session.execute(select(Principal.id, Principal.name).where(Principal.id.in_(sorted(ids))))
    return {row.id: row.name for row in rows}


def _agents(session: Session, parties: Parties, city: str, day: str) -> tuple[AgentLine, ...]:
    codes = [agent.code for agent in parties.agents]
    waiting = case((PendingTopUp.id.is_not(None), TopUp.amount_minor), else_=0)
    rows = session.execute(
        select(Principal.name, func.count(), func.sum(TopUp.amount_minor), func.sum(waiting))
        .join(Principal, Principal.id == TopUp.agent)
        .outerjoin(PendingTopUp, PendingTopUp.top_up_id == TopUp.id)
        .where(TopUp.city == city, TopUp.service_day == day)
        .group_by(Principal.name)
    )
    found: dict[str, Counter[str]] = {}
    for name, count, sold_minor, waiting_minor in rows:
        sums = {"count": count, "sold": int(sold_minor), "waiting": int(waiting_minor)}
        found.setdefault(counterparty(codes, name), Counter()).update(sums)
    return tuple(
        AgentLine(party, sums["count"], sums["sold"], sums["waiting"]) for party, sums in sorted(found.items())
    )


def _applied_minor(session: Session, city: str, day: str) -> int:
    """Top-ups that were loaded on this day: by the records of the validators that did it, each top-up once."""
    record = and_(
        TapRow.device_id == GivenCommand.device_id,
        TapRow.epoch == GivenCommand.epoch,
        TapRow.sequence == GivenCommand.sequence,
    )
    loaded = (
        select(GivenCommand.pending_id, func.min(TapRow.service_day).label("day"))
        .join(TapRow, record)
        .where(GivenCommand.status == APPLIED, TapRow.city == city)
        .group_by(GivenCommand.pending_id)
        .subquery()
    )
    applied = select(func.sum(PendingTopUp.amount_minor)).join(loaded, loaded.c.pending_id == PendingTopUp.id)
    return int(session.scalar(applied.where(loaded.c.day == day)) or 0)


def _subsidies(session: Session, parties: Parties, city: str, day: str) -> tuple[SubsidyLine, ...]:
    """What payers of concessions owe; a category that nobody pays for is the operator's own kindness."""
    found = []
    for each in subsidies_of(session, city, day):
        payer = parties.payer_of(each.category, day)
        if payer is not None:
            found.append(SubsidyLine(each.carrier, payer.code, each.category, each.rides, each.subsidy_minor))
    return tuple(sorted(found))


def _pools(parties: Parties, lines: Sequence[Line]) -> tuple[PoolLine, ...]:
    rides: Counter[str] = Counter()
    for line in lines:
        rides[line.carrier] += line.trips
    return tuple(
        PoolLine(
            pool.code,
            tuple(
                (carrier, rides[carrier] if pool.by == "rides" else pool.weights.get(carrier, 0))
                for carrier in sorted(pool.carriers)
            ),
        )
        for pool in sorted(parties.shares.pools, key=lambda pool: pool.code)
    )


def _transfers(session: Session, city: str, day: str) -> tuple[tuple[str, int], ...]:
    """What changes carriers of journeys gain or lose when a journey's fare is shared equally by its rides of the day."""
    journey = func.coalesce(Fare.journey_key, Fare.source + "/" + Fare.source_key)
    of_day = and_(Fare.city == city, Fare.service_day == day)
    shared = (
        select(journey.label("journey")).where(of_day).group_by(journey).having(func.count(Fare.carrier.distinct()) > 1)
    )
    rows = session.execute(
        select(journey, Fare.carrier, func.count(), func.sum(Fare.charged_minor))
        .where(of_day, journey.in_(shared))
        .group_by(journey, Fare.carrier)
    )
    journeys: dict[str, list[tuple[str, int, int]]] = {}
    for key, carrier, rides, charged_minor in rows:
        journeys.setdefault(key, []).append((carrier, rides, int(charged_minor)))
    gains: Counter[str] = Counter()
    for parts in journeys.values():
        ordered = sorted(parts)
        total_minor = sum(charged for _, _, charged in ordered)
        for (carrier, _, charged), part in zip(
            ordered, split_minor(total_minor, [rides for _, rides, _ in ordered]), strict=True
        ):
            gains[carrier] += part - charged
    return tuple(sorted((carrier, gain) for carrier, gain in gains.items() if gain))


def gather_adjustments(session: Session, city: str, day: str) -> tuple[AdjustmentLine, ...]:
    """What two persons have corrected on the day."""
    rows = session.scalars(
        select(Adjustment).where(Adjustment.city == city, Adjustment.service_day == day, Adjustment.state == APPROVED)
    )
    return tuple(sorted(AdjustmentLine(row.reference, row.kind, row.reason, row.legs()) for row in rows))


def _count(
    session: Session, table: type[TapRow | TapException], city: str, day: str, *conditions: ColumnElement[bool]
) -> int:
    query = select(func.count()).select_from(table).where(table.city == city, table.service_day == day)
    return session.scalar(query.where(*conditions)) or 0
